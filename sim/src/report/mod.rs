//! Defines `report.json`: what was attacked, how, and what became of every image. It is plain data, never a
//! claim of robustness.

mod letters;
mod paired;
mod shard;
mod tally;

pub use letters::{Letter, Letters, Outcome, Outcomes};
pub(crate) use paired::at_least;
pub use paired::mcnemar;
pub use shard::Shard;
pub use tally::{Rate, Tally, wilson};

use crate::ball::Norm;
use dq_data::Images;
use dq_net::Network;
use dq_net::layer::Input;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Value of the field `format` in a report.
pub const FORMAT: &str = "dq-attack-report";
/// Version of the report's layout.
pub const VERSION: u32 = 2;
/// Version of the suite, which rises when an attack's results change.
pub const SUITE_VERSION: u32 = 1;
/// Names the rules by which a report's own figures raise doubts.
pub const RULES: [&str; 9] = [
    "zero-gradient",
    "random-beats-gradient",
    "black-box-beats-white-box",
    "transfer-beats-white-box",
    "single-step-beats-iterated",
    "more-steps-help",
    "restarts-help",
    "not-monotone",
    "whole-range-survived",
];
/// Name of the setting that says which other attack a run amounts to at its radius.
pub const SAME_AS: &str = "same_as";
/// States what the adversary may do; printed in every report.
pub const THREAT_MODEL: &str = "The adversary edits the uint8 image before the first integer layer: \
     every adversary is a uint8 image X' with |X' - X| <= eps in every element. It knows the network, its \
     weights and scales (white box), or only a substitute where a run names another gradient source. \
     Success is judged by the network's own label alone (arg max of the scores, lowest index on ties): an \
     image counts as broken when its label is not the true one. Accuracy under attack counts images that \
     were misclassified without attack as failures and does not attack them.";

/// States what a detector changes, after [`THREAT_MODEL`].
const DETECTOR: &str = " A detector flags an image where the network's label of the image and of its squeezed \
     form differ. An image counts as broken only when both labels agree and are not the true one. The \
     adversary knows the detector, except in runs that are called unaware.";

/// States the ball, in the words of [`THREAT_MODEL`].
const LINF_BALL: &str = "with |X' - X| <= eps in every element";

/// Says what the adversary may do to images of `input` in balls of `norm`, and what counts with a detector.
pub fn threat_model(norm: Norm, input: Input, has_detector: bool) -> String {
    let mut text = match input.has_pixels() {
        true => THREAT_MODEL.to_owned(),
        false => {
            THREAT_MODEL.replace("a uint8 image X'", &format!("an image X' of levels 0 to {}", input.top()))
        }
    };
    if norm == Norm::L2 {
        text = text.replace(LINF_BALL, "whose Euclidean distance from X over all elements is at most eps");
    }
    if has_detector { text + DETECTOR } else { text }
}

/// Holds everything about one suite on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`VERSION`].
    pub version: u32,
    /// Always [`SUITE_VERSION`].
    pub suite_version: u32,
    /// What the adversary may do, as [`threat_model`] says it.
    pub threat_model: String,
    /// The network under attack, which alone judges.
    pub model: Model,
    /// The images under attack.
    pub data: Data,
    /// Seed of every random number.
    pub seed: u64,
    /// Where PGD starts.
    pub start: Start,
    /// The part of the images that this report covers; `None` stands for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The network's label per image without attack, in the images' order.
    pub clean_labels: Vec<u32>,
    /// Number of images whose two largest scores tie without attack.
    pub clean_ties: usize,
    /// Whether an attack left out what an earlier one had broken at the same radius.
    pub sequential: bool,
    /// Accuracy without attack.
    pub clean: Tally,
    /// What the detector does without attack; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<Watched>,
    /// One entry per attack, radius and gradient source, in the order in which they ran.
    pub runs: Vec<Run>,
    /// Accuracy under all attacks of a radius together, over the complete runs: the headline.
    pub worst: Vec<Worst>,
    /// Reasons to distrust the figures.
    pub doubts: Vec<Doubt>,
    /// Whether every run went through every image.
    pub complete: bool,
}

/// Says what a detector does with the images as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// How images are squeezed, such as `bits=5,median`.
    pub squeezing: String,
    /// The network's label of each squeezed image, in the images' order.
    pub squeezed_labels: Vec<u32>,
    /// Images that the detector flags without attack, of all.
    pub false_alarms: Rate,
}

impl Watched {
    /// Counts the false alarms, where the images as they are have the labels `clean`.
    pub(crate) fn count(&mut self, clean: &[u32]) {
        let flagged = clean.iter().zip(&self.squeezed_labels).filter(|(own, squeezed)| own != squeezed);
        self.false_alarms = Rate::new(flagged.count(), clean.len());
    }
}

/// Names where PGD starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// `X + ⌊ε/2⌋·sign(N)`: the paper's text read literally.
    #[default]
    Signs,
    /// Uniform in the ball.
    Uniform,
}

/// Describes a network under attack.
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

impl Model {
    /// Describes an integer network.
    pub fn of(network: &Network) -> Self {
        Self {
            name: network.name.clone(),
            kind: "integer".into(),
            content_hash: dq_net::content_hash(network),
        }
    }
}

/// Describes the images under attack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Name of the data set.
    pub name: String,
    /// SHA-256 of shape, pixels and labels.
    pub digest: String,
    /// Number of images.
    pub images: usize,
}

impl From<&Images> for Data {
    fn from(images: &Images) -> Self {
        Self { name: images.name.clone(), digest: images.digest(), images: images.len() }
    }
}

/// Holds the accuracy under all attacks at one radius together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worst {
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// Accuracy under the attack that is worst for each image.
    pub tally: Tally,
    /// Number of images by the first run that broke them, as `attack` or `attack from source`.
    pub broken_by: BTreeMap<String, usize>,
}

/// Holds the results of one attack at one radius.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its name in [`crate::attack::ALL`].
    pub attack: String,
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// The substitute whose gradients were used; `None` stands for the network itself.
    pub source: Option<String>,
    /// SHA-256 of what the substitute computes: two paths may lead to one network, and one path to two.
    /// `None` without a substitute, where it follows from the network under attack, and in older reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_hash: Option<String>,
    /// Every hyper-parameter, by name.
    pub settings: BTreeMap<String, Value>,
    /// What became of each image, in order; a string of [`Outcome`]'s letters in the file.
    pub outcomes: Outcomes,
    /// The wrong label of each broken image, in order.
    pub broken_labels: Vec<u32>,
    /// How often each attacked image, or a change of it, was evaluated until it was broken or given up, in
    /// order.
    pub queries: Vec<u32>,
    /// Number of adversaries whose two largest scores tie.
    pub ties: usize,
    /// Number of attacked images whose gradient was zero (or not a number) in every element at some step.
    pub zero_gradients: usize,
    /// Accuracy under this attack. With a detector, adversaries that it flags do no harm.
    pub tally: Tally,
    /// Whether the attack does not know the network's detector.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unaware: bool,
    /// Images that the detector flags, of those whose label the attack changed; `None` without a detector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected: Option<Rate>,
}

impl Run {
    /// Counts the outcomes.
    pub(crate) fn count(&mut self) {
        let count = |outcome| self.outcomes.count(outcome);
        let (broken, detected) = (count(Outcome::Broken), count(Outcome::Detected));
        self.tally = Tally::new(count(Outcome::Survived) + detected, self.outcomes.len());
        self.detected = self.detected.map(|_| Rate::new(detected, detected + broken));
    }

    /// Returns its name for people: `pgd`, `pgd from substitute.json`, or `pgd, unaware`.
    pub fn title(&self) -> String {
        match &self.source {
            None if self.unaware => format!("{}, unaware", self.attack),
            None => self.attack.clone(),
            Some(source) => format!("{} from {source}", self.attack),
        }
    }

    /// Returns what tells the run from all others of a report, for people: `pgd from substitute.json (network
    /// d4686a29c1f0) at eps 8`.
    pub fn identity(&self) -> String {
        let network = self.source_hash.as_ref().and_then(|hash| hash.get(..12));
        let network = network.map(|hash| format!(" (network {hash})")).unwrap_or_default();
        format!("{}{network} at eps {}", self.title(), self.eps)
    }

    /// Returns the attack that this one amounts to at its radius, where it is another one.
    pub fn same_as(&self) -> Option<&str> {
        self.settings.get(SAME_AS)?.as_str()
    }

    /// Returns whether both are the same attack at the same radius by the gradients of the same network.
    /// Substitutes are compared by what they compute, and by their names only where a report does not know
    /// that.
    pub fn is_same(&self, other: &Run) -> bool {
        let is_same_source = match (&self.source_hash, &other.source_hash) {
            (Some(hash), Some(other)) => hash == other,
            _ => self.source == other.source,
        };
        let is_same_attack = self.attack == other.attack && self.unaware == other.unaware;
        is_same_attack && self.eps == other.eps && is_same_source
    }
}

/// Describes a reason to distrust a figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Doubt {
    /// Name of the rule, one of [`RULES`].
    pub rule: String,
    /// The figures that contradict each other, in words.
    pub text: String,
}

/// Sums up which images survived every whole run of each radius.
pub fn worst(runs: &[Run], images: usize) -> Vec<Worst> {
    let runs: Vec<&Run> = runs.iter().filter(|run| run.outcomes.len() == images).collect();
    let radii: BTreeSet<u8> = runs.iter().map(|run| run.eps).collect();
    let summary = |eps: u8| {
        let runs: Vec<&&Run> = runs.iter().filter(|run| run.eps == eps).collect();
        let (mut broken_by, mut correct) = (BTreeMap::new(), 0);
        for i in 0..images {
            match runs.iter().find(|run| run.outcomes[i] == Outcome::Broken) {
                Some(run) => *broken_by.entry(run.title()).or_insert(0) += 1,
                None => correct += usize::from(runs[0].outcomes[i] != Outcome::Misclassified),
            }
        }
        Worst { eps, tally: Tally::new(correct, images), broken_by }
    };
    radii.into_iter().map(summary).collect()
}
