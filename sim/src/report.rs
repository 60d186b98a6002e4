//! `report.json`: what was attacked, how, and what became of every image. Plain data; never a claim of robustness.

use crate::attack::{Norm, Start};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `format` of a report.
pub const FORMAT: &str = "dq-attack-report";
/// Version of the report's layout.
pub const VERSION: u32 = 2;
/// Version of the suite: it rises when an attack's results change.
pub const SUITE_VERSION: u32 = 1;
/// What the adversary may do: printed in every report.
pub const THREAT_MODEL: &str = "The adversary edits the uint8 image before the first integer layer: every adversary is a \
     uint8 image X' with |X' - X| <= eps in every element. It knows the network, its weights and scales (white box), or \
     only a substitute where a run names another gradient source. Success is judged by the network's own label alone \
     (arg max of the scores, lowest index on ties): an image counts as broken when its label is not the true one. \
     Accuracy under attack counts images that were misclassified without attack as failures and does not attack them.";

/// The words of [`THREAT_MODEL`] for the ball.
const LINF_BALL: &str = "with |X' - X| <= eps in every element";

/// What the adversary may do in balls of `norm`.
pub fn threat_model(norm: Norm) -> String {
    match norm {
        Norm::Linf => THREAT_MODEL.to_owned(),
        Norm::L2 => THREAT_MODEL
            .replace(LINF_BALL, "whose Euclidean distance from X over all elements is at most eps"),
    }
}

/// Everything about one suite on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// [`SUITE_VERSION`].
    pub suite_version: u32,
    /// [`threat_model`].
    pub threat_model: String,
    /// The network under attack, which alone judges.
    pub model: Model,
    /// The images.
    pub data: Data,
    /// Seed of every random number.
    pub seed: u64,
    /// Where PGD starts.
    pub start: Start,
    /// The part of the images that this report is of; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The network's labels without attack, in the images' order.
    pub clean_labels: Vec<u32>,
    /// Images whose two largest scores tie without attack.
    pub clean_ties: usize,
    /// Whether an attack left out what an earlier one had broken at the same radius.
    pub sequential: bool,
    /// Accuracy without attack.
    pub clean: Tally,
    /// One entry an attack and radius, in the order in which they ran.
    pub runs: Vec<Run>,
    /// What withstood every attack of a radius, over the runs that are whole: the headline.
    pub worst: Vec<Worst>,
    /// Reasons to distrust the figures.
    pub doubts: Vec<Doubt>,
    /// Whether every run went through every image.
    pub complete: bool,
}

/// Every `count`th image, from the `index`th on; counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Which, from 1 to `count`.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Shard {
    /// The images' places among `images`.
    pub fn positions(self, images: usize) -> impl Iterator<Item = usize> {
        (self.index - 1..images).step_by(self.count)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    /// `2/8`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if 1 <= index && index <= count => Ok(Shard { index, count }),
            _ => Err(format!("expected I/N with 1 <= I <= N (e.g. 2/8), found `{text}`")),
        }
    }
}

/// A network under attack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// `integer` (bit-exact), `float` or `float, A only` (quantized activations).
    pub kind: String,
    /// SHA-256 of what it computes, where it has one.
    pub content_hash: String,
}

/// The images under attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Data set.
    pub name: String,
    /// SHA-256 of shape, pixels and labels.
    pub digest: String,
    /// How many.
    pub images: usize,
}

/// How many of how many, with the Wilson interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Correctly classified images.
    pub correct: usize,
    /// All images.
    pub total: usize,
    /// `correct / total`, 0 to 1.
    pub accuracy: f64,
    /// 95 % Wilson score interval of the accuracy.
    pub interval: [f64; 2],
}

/// All attacks at one radius together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worst {
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// Accuracy under the attack that is worst for each image.
    pub tally: Tally,
    /// Images by the first run that broke them, as `attack` or `attack from source`.
    pub broken_by: BTreeMap<String, usize>,
}

/// One attack at one radius.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its name in [`crate::attack::ALL`].
    pub attack: String,
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// The substitute whose gradients were used; `None` is the network itself.
    pub source: Option<String>,
    /// Every hyper-parameter.
    pub settings: BTreeMap<String, Value>,
    /// One letter an image, in order: `-` misclassified without attack, `.` resisted, `x` broken, `=` broken by an earlier
    /// attack of a sequential suite and left out.
    pub outcomes: String,
    /// The wrong label of each broken image, in order.
    pub broken_labels: Vec<u32>,
    /// How often each attacked image, or a change of it, was evaluated until it was broken or given up, in order.
    pub queries: Vec<u32>,
    /// Adversaries whose two largest scores tie.
    pub ties: usize,
    /// Attacked images whose gradient was zero (or not a number) in every element at some step.
    pub zero_gradients: usize,
    /// Accuracy under this attack.
    pub tally: Tally,
}

/// A reason to distrust a figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Doubt {
    /// `zero-gradient`, `random-beats-gradient`, `black-box-beats-white-box`, `transfer-beats-white-box`,
    /// `single-step-beats-iterated`, `more-steps-help`, `not-monotone`, `whole-range-survived`.
    pub rule: String,
    /// What was seen.
    pub text: String,
}

/// Quantile of the normal distribution for a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

impl Tally {
    /// `correct` of `total`.
    pub fn new(correct: usize, total: usize) -> Self {
        let accuracy = if total == 0 { 0.0 } else { correct as f64 / total as f64 };
        Self { correct, total, accuracy, interval: wilson(correct, total) }
    }
}

/// 95 % Wilson score interval of `correct / total`; 0 to 1 for no trial (Wilson 1927).
pub fn wilson(correct: usize, total: usize) -> [f64; 2] {
    if total == 0 {
        return [0.0, 1.0];
    }
    let (n, p) = (total as f64, correct as f64 / total as f64);
    let z2 = Z * Z / n;
    let middle = p + z2 / 2.0;
    let half = Z * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt();
    let low = if correct == 0 { 0.0 } else { (middle - half) / (1.0 + z2) };
    let high = if correct == total { 1.0 } else { (middle + half) / (1.0 + z2) };
    [low, high]
}

/// Share of the images by which an attack that ought to be weaker may win before it is a doubt (AutoAttack's 0.2 points).
const TOLERANCE: f64 = 0.002;

/// Share of the images that restarts and more steps may break beyond a run that has converged.
const CONVERGED: f64 = 0.005;

/// What withstood every whole run of each radius.
pub fn worst(runs: &[Run], images: usize) -> Vec<Worst> {
    let runs: Vec<&Run> = runs.iter().filter(|run| run.outcomes.len() == images).collect();
    let radii: BTreeSet<u8> = runs.iter().map(|run| run.eps).collect();
    let of_radius = |eps: u8| {
        let runs: Vec<&&Run> = runs.iter().filter(|run| run.eps == eps).collect();
        let (mut broken_by, mut correct) = (BTreeMap::new(), 0);
        for i in 0..images {
            match runs.iter().find(|run| broken(run, i)) {
                Some(run) => *broken_by.entry(run.title()).or_insert(0) += 1,
                None => correct += usize::from(runs[0].outcomes.as_bytes()[i] != b'-'),
            }
        }
        Worst { eps, tally: Tally::new(correct, images), broken_by }
    };
    radii.into_iter().map(of_radius).collect()
}

impl Run {
    /// `pgd`, or `pgd from substitute.json`.
    pub fn title(&self) -> String {
        match &self.source {
            None => self.attack.clone(),
            Some(source) => format!("{} from {source}", self.attack),
        }
    }
}

/// What in `runs` contradicts the order that sound attacks show (complete runs only).
pub fn doubts(runs: &[Run], images: usize) -> Vec<Doubt> {
    let mut found = Vec::new();
    let runs: Vec<&Run> = runs.iter().filter(|run| run.outcomes.len() == images).collect();
    let allowed = TOLERANCE * images as f64;
    let mut doubt = |rule: &str, text: String| found.push(Doubt { rule: rule.into(), text });
    let place = |run: &Run| format!("{} at eps {}", run.title(), run.eps);
    let gradient = |run: &Run| crate::attack::find(&run.attack).is_some_and(|attack| attack.gradient);
    let steps = |run: &Run| crate::attack::find(&run.attack).map_or(0, |attack| (attack.steps)(run.eps));
    let white = |run: &Run| gradient(run) && run.source.is_none();
    for run in &runs {
        if run.zero_gradients > 0 {
            let text = format!(
                "{}: {} of {images} images had a gradient of zero, so the attack could not see them",
                place(run),
                run.zero_gradients
            );
            doubt("zero-gradient", text);
        }
        // G1, per example: what a blind or transferred attack breaks and white-box attacks tried in vain.
        let whites: Vec<&&Run> = runs.iter().filter(|w| white(w) && w.eps == run.eps).collect();
        if !white(run) && !whites.is_empty() {
            let missed = (0..images)
                .filter(|&i| broken(run, i) && whites.iter().all(|white| !broken(white, i)))
                .filter(|&i| whites.iter().any(|white| white.outcomes.as_bytes()[i] == b'.'))
                .count();
            if missed as f64 > allowed {
                let rule = match run.attack.as_str() {
                    _ if gradient(run) => "transfer-beats-white-box",
                    "random" | "draws" => "random-beats-gradient",
                    _ => "black-box-beats-white-box",
                };
                let text = format!(
                    "{} broke {missed} of {images} images that no white-box attack broke",
                    place(run)
                );
                doubt(rule, text);
            }
        }
        // A ball that holds every image holds an adversary of each.
        let norm = crate::attack::find(&run.attack).map(|attack| attack.norm);
        if white(run) && run.eps == 255 && norm == Some(Norm::Linf) && run.tally.correct as f64 > allowed {
            doubt(
                "whole-range-survived",
                format!("{} left {} images standing", place(run), run.tally.correct),
            );
        }
        // G2: the restarted run tells whether the short one had converged.
        let short = runs.iter().find(|s| s.attack == "pgd" && s.eps == run.eps && s.source == run.source);
        if let (true, Some(short)) = (run.attack == "pgd-r", short) {
            let fewer = (0..images).filter(|&i| broken(run, i) && !broken(short, i)).count();
            if fewer as f64 > CONVERGED * images as f64 {
                doubt(
                    "more-steps-help",
                    format!("{} broke {fewer} images that {} left standing", place(run), place(short)),
                );
            }
        }
        // G2 and G3: more steps, or a larger ball, must not leave more images standing.
        for other in
            runs.iter().filter(|other| other.source == run.source && gradient(other) && gradient(run))
        {
            let more = run.tally.correct as f64 - other.tally.correct as f64;
            if run.eps == other.eps && steps(run) > 1 && steps(other) == 1 && more > allowed {
                let text = format!(
                    "{} left {} images standing, {} only {}",
                    place(run),
                    run.tally.correct,
                    place(other),
                    other.tally.correct
                );
                doubt("single-step-beats-iterated", text);
            }
            if run.attack == other.attack && run.eps > other.eps && more > allowed {
                let text = format!(
                    "{} left {} images standing, the smaller eps {} only {}",
                    place(run),
                    run.tally.correct,
                    other.eps,
                    other.tally.correct
                );
                doubt("not-monotone", text);
            }
        }
    }
    found
}

fn broken(run: &Run, image: usize) -> bool {
    run.outcomes.as_bytes()[image] == b'x'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_intervals_are_the_published_ones() {
        // Newcombe 1998, table I (method 3): 81/263, 15/148, 0/20, 1/29.
        for (correct, total, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let [a, b] = wilson(correct, total);
            assert!((a - low).abs() < 5e-5 && (b - high).abs() < 5e-5, "{correct}/{total}: {a} {b}");
        }
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
        assert_eq!(wilson(20, 20)[1], 1.0);
    }

    fn run(attack: &str, eps: u8, source: Option<&str>, outcomes: &str) -> Run {
        let correct = outcomes.bytes().filter(|b| *b == b'.').count();
        Run {
            attack: attack.into(),
            eps,
            source: source.map(str::to_owned),
            settings: BTreeMap::new(),
            outcomes: outcomes.into(),
            broken_labels: vec![0; outcomes.bytes().filter(|b| *b == b'x').count()],
            queries: vec![1; outcomes.bytes().filter(|b| b".x".contains(b)).count()],
            ties: 0,
            zero_gradients: 0,
            tally: Tally::new(correct, outcomes.len()),
        }
    }

    #[test]
    fn doubts_are_raised_by_what_contradicts_a_sound_order_and_by_nothing_else() {
        let sound = [
            run("random", 8, None, "-...x..."),
            run("fgsm", 8, None, "-xx.x..."),
            run("pgd", 8, None, "-xx.xx.."),
            run("pgd", 8, Some("vgg"), "-.x.x..."),
            run("pgd", 16, None, "-xxxxxx."),
        ];
        assert_eq!(doubts(&sound, 8), []);
        let masked = [
            run("random", 8, None, "-...x..x"),
            run("fgsm", 8, None, "-xx.x..."),
            run("pgd", 8, None, "-x..x..."),
            run("pgd", 8, Some("vgg"), "-..xx..."),
            run("pgd", 16, None, "-......."),
        ];
        let rules: Vec<String> = doubts(&masked, 8).into_iter().map(|d| d.rule).collect();
        let wanted = [
            "random-beats-gradient",
            "single-step-beats-iterated",
            "transfer-beats-white-box",
            "not-monotone",
        ];
        assert_eq!(rules, wanted);
        let more = [
            run("pgd", 8, None, "-xx....."),
            run("pgd-r", 8, None, "-xxx...."),
            run("square", 8, None, "-....x.."),
            run("pgd", 255, None, "-xx....."),
        ];
        let rules: Vec<String> = doubts(&more, 8).into_iter().map(|d| d.rule).collect();
        let wanted = ["more-steps-help", "black-box-beats-white-box", "whole-range-survived"];
        assert_eq!(rules, wanted);
        // In a sequence the white box was never asked about what came before it.
        let sequence = [
            run("random", 8, None, "-x......"),
            run("pgd", 8, None, "-=xx...."),
            run("square", 8, None, "-===xxx."),
        ];
        let rules: Vec<String> = doubts(&sequence, 8).into_iter().map(|d| d.rule).collect();
        assert_eq!(rules, ["black-box-beats-white-box"]);
        let mut blind = run("pgd", 8, None, "-xx.xx..");
        blind.zero_gradients = 3;
        assert_eq!(doubts(&[blind], 8)[0].rule, "zero-gradient");
    }

    #[test]
    fn the_headline_is_the_worst_attack_for_each_image() {
        let runs = [
            run("fgsm", 8, None, "-x......"),
            run("pgd", 8, None, "-xx....."),
            run("pgd", 8, Some("vgg"), "-..x...."),
            run("square", 8, None, "-==.x..."),
            run("pgd", 4, None, "-x......"),
            run("pgd", 16, None, "-x"),
        ];
        let found = worst(&runs, 8);
        assert_eq!(found.iter().map(|w| (w.eps, w.tally.correct)).collect::<Vec<_>>(), [(4, 6), (8, 3)]);
        let by: Vec<(&str, usize)> =
            found[1].broken_by.iter().map(|(run, count)| (run.as_str(), *count)).collect();
        assert_eq!(by, [("fgsm", 1), ("pgd", 1), ("pgd from vgg", 1), ("square", 1)]);
    }
}
