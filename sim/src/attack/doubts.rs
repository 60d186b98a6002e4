//! Finds reasons to distrust a report: what in its runs contradicts the order that sound attacks show. There
//! is one rule per function; a new one is one more row of [`RULES`] or [`PAIR_RULES`]. Never changes a
//! figure.

use crate::attack::find;
use crate::ball::Norm;
use crate::report::{Doubt, Outcome, Run, at_least, mcnemar};
use serde_json::Value;

/// Share of the images that a supposedly weaker attack may break beyond a stronger one before it is a doubt
/// (AutoAttack's 0.2 points).
const TOLERANCE: f64 = 0.002;

/// A contradiction that chance alone would show more often than this is no doubt: of few images two attacks
/// differ by some anyhow.
const CHANCE: f64 = 0.05;

/// Share of the images that restarts and more steps may break beyond a run that has converged.
const CONVERGED: f64 = 0.005;

/// Fewest steps of an attack that searches: a step or two may end before the ball's edge, or beyond the
/// nearest adversary, on sound networks too.
const SEARCHING: usize = 5;

/// Holds the complete runs of a report.
struct Evidence<'a> {
    runs: Vec<&'a Run>,
    images: usize,
}

/// Judges one run, given all others.
type Rule = fn(&Run, &Evidence) -> Option<Doubt>;

/// Judges a run and another one with the same source of gradients; both ask for gradients.
type PairRule = fn(&Run, &Run, &Evidence) -> Option<Doubt>;

const RULES: &[Rule] =
    &[zero_gradient, white_boxes_missed, whole_range_survived, more_steps_help, restarts_help];

const PAIR_RULES: &[PairRule] = &[single_step_beats_iterated, not_monotone];

/// Returns what in `runs` contradicts the order that sound attacks show, over the complete runs alone.
pub(crate) fn doubts(runs: &[Run], images: usize) -> Vec<Doubt> {
    let evidence =
        Evidence { runs: runs.iter().filter(|run| run.outcomes.len() == images).collect(), images };
    let mut found = Vec::new();
    for run in &evidence.runs {
        found.extend(RULES.iter().filter_map(|rule| rule(run, &evidence)));
        let comparable = |other: &&&Run| is_alike(run, other) && asks_gradient(other) && asks_gradient(run);
        for other in evidence.runs.iter().filter(comparable) {
            found.extend(PAIR_RULES.iter().filter_map(|rule| rule(run, other, &evidence)));
        }
    }
    found
}

/// The attack sees nothing where its gradient is zero in every element.
fn zero_gradient(run: &Run, evidence: &Evidence) -> Option<Doubt> {
    (run.zero_gradients > 0).then(|| {
        let text = format!(
            "{}: {} of {} images had a gradient of zero, so the attack could not see them",
            place(run),
            run.zero_gradients,
            evidence.images
        );
        doubt("zero-gradient", text)
    })
}

/// A blind or transferred attack must not break images that white-box attacks of its radius tried in vain.
/// Where these are single steps, which miss many images of sound networks, it must not break more than they.
fn white_boxes_missed(run: &Run, evidence: &Evidence) -> Option<Doubt> {
    let white_boxes: Vec<&Run> =
        evidence.runs.iter().copied().filter(|other| is_white_box(other) && other.eps == run.eps).collect();
    if is_white_box(run) || white_boxes.is_empty() {
        return None;
    }
    let rule = match run.attack.as_str() {
        _ if asks_gradient(run) => "transfer-beats-white-box",
        "random" | "draws" => "random-beats-gradient",
        _ => "black-box-beats-white-box",
    };
    if white_boxes.iter().all(|other| steps(other) == 1) {
        let best = white_boxes.iter().min_by_key(|other| other.tally.correct)?;
        return evidence.more(best, run).map(|chance| doubt(rule, compared(best, run, chance)));
    }
    let missed = (0..evidence.images)
        .filter(|&i| broken(run, i) && white_boxes.iter().all(|other| !broken(other, i)))
        .filter(|&i| {
            white_boxes.iter().any(|other| matches!(other.outcomes[i], Outcome::Survived | Outcome::Detected))
        })
        .count();
    // All white boxes together broke none of these, so that the pairs differ to one side alone.
    let chance = mcnemar(missed, 0);
    if missed as f64 <= evidence.tolerance() || chance >= CHANCE {
        return None;
    }
    let images = evidence.images;
    let text = format!(
        "{} broke {missed} of {images} images that no white-box attack broke (p = {chance:.1e})",
        place(run)
    );
    Some(doubt(rule, text))
}

/// A ball that holds every image holds an adversary of each.
fn whole_range_survived(run: &Run, evidence: &Evidence) -> Option<Doubt> {
    let norm = find(&run.attack).map(|attack| attack.norm);
    let is_whole = is_white_box(run) && run.eps == 255 && norm == Some(Norm::Linf);
    let survived = run.tally.correct;
    (is_whole && survived as f64 > evidence.tolerance())
        .then(|| doubt("whole-range-survived", format!("{} left {survived} images standing", place(run))))
}

/// The restarted run tells whether the short one had converged.
fn more_steps_help(run: &Run, evidence: &Evidence) -> Option<Doubt> {
    let is_short = |other: &&&Run| other.attack == "pgd" && other.eps == run.eps && is_alike(run, other);
    let short = evidence.runs.iter().find(is_short).filter(|_| run.attack == "pgd-r")?;
    let fewer = (0..evidence.images).filter(|&i| broken(run, i) && !broken(short, i)).count();
    let more = (0..evidence.images).filter(|&i| broken(short, i) && !broken(run, i)).count();
    let chance = mcnemar(fewer, more);
    (fewer as f64 > CONVERGED * evidence.images as f64 && chance < CHANCE).then(|| {
        let text = format!(
            "{} broke {fewer} images that {} left standing (p = {chance:.1e})",
            place(run),
            place(short)
        );
        doubt("more-steps-help", text)
    })
}

/// An attack whose last start still breaks images has not converged: more starts would break more.
fn restarts_help(run: &Run, evidence: &Evidence) -> Option<Doubt> {
    let number = |name| run.settings.get(name).and_then(Value::as_u64);
    let (starts, iterations) = (number("restarts")?, number("iterations")?);
    if starts < 2 || run.source.is_some() || run.unaware {
        return None;
    }
    let before = (starts - 1) * number("targets").unwrap_or(1) * (iterations + 1);
    let attacked =
        run.outcomes.iter().filter(|o| matches!(o, Outcome::Broken | Outcome::Survived | Outcome::Detected));
    let late = attacked
        .zip(&run.queries)
        .filter(|(outcome, queries)| **outcome == Outcome::Broken && u64::from(**queries) > before);
    let late = late.count();
    let chance = at_least(late, evidence.images, TOLERANCE);
    (late as f64 > evidence.tolerance() && chance < CHANCE).then(|| {
        let text = format!(
            "{} broke {late} images only in the last of its {starts} starts (p = {chance:.1e})",
            place(run)
        );
        doubt("restarts-help", text)
    })
}

/// More steps along the network's own gradient must not leave more images than one. Steps along another
/// network's may: many of them fit that network alone.
fn single_step_beats_iterated(run: &Run, other: &Run, evidence: &Evidence) -> Option<Doubt> {
    let own = run.source.is_none() && other.source.is_none();
    let comparable = own && run.eps == other.eps && steps(run) >= SEARCHING && steps(other) == 1;
    let chance = evidence.more(run, other).filter(|_| comparable)?;
    Some(doubt("single-step-beats-iterated", compared(run, other, chance)))
}

/// A larger ball must not leave more images than a smaller one. One large step may, since it goes beyond the
/// nearest adversary.
fn not_monotone(run: &Run, other: &Run, evidence: &Evidence) -> Option<Doubt> {
    let comparable = run.attack == other.attack && run.eps > other.eps && steps(run) >= SEARCHING;
    let chance = evidence.more(run, other).filter(|_| comparable)?;
    let text = format!(
        "{} left {} images standing, the smaller eps {} only {} (p = {chance:.1e})",
        place(run),
        run.tally.correct,
        other.eps,
        other.tally.correct
    );
    Some(doubt("not-monotone", text))
}

impl Evidence<'_> {
    /// Returns how many images may contradict the order before that is a doubt.
    fn tolerance(&self) -> f64 {
        TOLERANCE * self.images as f64
    }

    /// Returns the probability that chance alone shows as many images more that survived `run` than `other`,
    /// where that is beyond the tolerance and what chance shows.
    fn more(&self, run: &Run, other: &Run) -> Option<f64> {
        let count = |a: &Run, b: &Run| (0..self.images).filter(|&i| !broken(a, i) && broken(b, i)).count();
        let chance = mcnemar(count(run, other), count(other, run));
        let away = run.tally.correct as f64 - other.tally.correct as f64;
        (away > self.tolerance() && chance < CHANCE).then_some(chance)
    }
}

fn doubt(rule: &str, text: String) -> Doubt {
    debug_assert!(crate::report::RULES.contains(&rule), "{rule} is not listed");
    Doubt { rule: rule.into(), text }
}

/// Says that `other` broke more images than `run`.
fn compared(run: &Run, other: &Run, chance: f64) -> String {
    let (left, fewer) = (run.tally.correct, other.tally.correct);
    format!("{} left {left} images standing, {} only {fewer} (p = {chance:.1e})", place(run), place(other))
}

/// Names a run: its attack, source and radius.
fn place(run: &Run) -> String {
    format!("{} at eps {}", run.title(), run.eps)
}

fn asks_gradient(run: &Run) -> bool {
    find(&run.attack).is_some_and(|attack| attack.gradient)
}

/// Returns how many gradients the run's attack asks for.
fn steps(run: &Run) -> usize {
    find(&run.attack).map_or(0, |attack| (attack.steps)(run.eps))
}

fn is_white_box(run: &Run) -> bool {
    asks_gradient(run) && run.source.is_none() && !run.unaware
}

/// Returns whether both runs have the same source of gradients, and know the network's detector if it has
/// one: what an attack that does not know it breaks says nothing of the attack.
fn is_alike(run: &Run, other: &Run) -> bool {
    run.source == other.source && !run.unaware && !other.unaware
}

fn broken(run: &Run, image: usize) -> bool {
    run.outcomes[image] == Outcome::Broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Letter, Outcomes, Tally, worst};
    use std::collections::BTreeMap;

    /// Holds ten images for each of `letters`.
    fn run(attack: &str, eps: u8, source: Option<&str>, letters: &str) -> Run {
        once(attack, eps, source, &letters.repeat(10))
    }

    fn once(attack: &str, eps: u8, source: Option<&str>, letters: &str) -> Run {
        let outcome = |letter| Outcome::ALL.iter().find(|(_, known)| *known == letter).unwrap().0;
        let outcomes: Outcomes = letters.chars().map(outcome).collect();
        let (survived, broken) = (outcomes.count(Outcome::Survived), outcomes.count(Outcome::Broken));
        Run {
            attack: attack.into(),
            eps,
            source: source.map(str::to_owned),
            source_hash: None,
            settings: BTreeMap::new(),
            broken_labels: vec![0; broken],
            queries: vec![1; survived + broken],
            ties: 0,
            zero_gradients: 0,
            tally: Tally::new(survived, outcomes.len()),
            outcomes,
            unaware: false,
            detected: None,
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
        assert_eq!(doubts(&sound, 80), []);
        let masked = [
            run("random", 8, None, "-...x..x"),
            run("fgsm", 8, None, "-xx.x..."),
            run("pgd", 8, None, "-x..x..."),
            run("pgd", 8, Some("vgg"), "-..xx..."),
            run("pgd", 16, None, "-......."),
        ];
        let rules: Vec<String> = doubts(&masked, 80).into_iter().map(|d| d.rule).collect();
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
        let rules: Vec<String> = doubts(&more, 80).into_iter().map(|d| d.rule).collect();
        let wanted = ["more-steps-help", "black-box-beats-white-box", "whole-range-survived"];
        assert_eq!(rules, wanted);
        // In a sequential suite the white box was never asked about images that an earlier attack broke.
        let sequence = [
            run("random", 8, None, "-x......"),
            run("pgd", 8, None, "-=xx...."),
            run("square", 8, None, "-===xxx."),
        ];
        let rules: Vec<String> = doubts(&sequence, 80).into_iter().map(|d| d.rule).collect();
        assert_eq!(rules, ["black-box-beats-white-box"]);
        let mut blind = run("pgd", 8, None, "-xx.xx..");
        blind.zero_gradients = 3;
        assert_eq!(doubts(&[blind], 80)[0].rule, "zero-gradient");
    }

    /// One step misses images of sound networks: it may break fewer with a larger radius, and two steps fewer
    /// than one. Breaking fewer with its own gradient than with another network's is a masked gradient.
    #[test]
    fn single_steps_raise_a_doubt_only_where_another_gradient_is_better() {
        let sound = [
            run("random", 8, None, "-...x..x"),
            run("fgsm", 2, None, "-xxx...."),
            run("pgd", 2, None, "-xx....."),
            run("fgsm", 8, None, "-xxxxx.."),
            run("fgsm", 8, Some("vgg"), "-..xx.x."),
            run("fgsm", 16, None, "-xxxx..."),
        ];
        assert_eq!(doubts(&sound, 80), []);
        let masked = [run("fgsm", 8, None, "-x......"), run("fgsm", 8, Some("vgg"), "-.xx....")];
        let found = doubts(&masked, 80);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].rule, "transfer-beats-white-box");
        assert!(
            found[0]
                .text
                .starts_with("fgsm at eps 8 left 60 images standing, fgsm from vgg at eps 8 only 50")
        );
    }

    /// Adversaries of many steps fit the network that they were made on, and transfer worse than those of one.
    #[test]
    fn iterated_attacks_that_transfer_badly_raise_no_doubt() {
        let from = |source| [run("pgd", 8, source, "-x......"), run("fgsm", 8, source, "-xxxx...")];
        assert_eq!(doubts(&from(Some("vgg")), 80), []);
        assert_eq!(doubts(&from(None), 80)[0].rule, "single-step-beats-iterated");
    }

    /// One image of 100 is a point, and nothing that chance does not do.
    #[test]
    fn few_images_raise_no_doubt_by_chance() {
        let rest = ".".repeat(92);
        let with = |attack: &str, letters: &str| once(attack, 8, None, &format!("{letters}{rest}"));
        let chance = [with("fgsm", "xxxxx..."), with("pgd", "xxxx...."), with("square", ".....x..")];
        assert_eq!(doubts(&chance, 100), []);
        let more = [with("fgsm", "xxxxxxx."), with("pgd", "x......."), with("square", "..xxxxxx")];
        let found = doubts(&more, 100);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].text.contains("left 99 images standing"), "{found:?}");
        assert!(found[0].text.contains("p = 1.6e-2"), "{found:?}");
    }

    #[test]
    fn a_last_start_that_still_breaks_images_raises_a_doubt() {
        let mut restarted = run("apgd-ce-r", 8, None, "xx.-....");
        restarted.settings = [("restarts", 10), ("targets", 1), ("iterations", 100)]
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .into();
        restarted.queries = vec![909; 70];
        assert_eq!(doubts(&[restarted.clone()], 80), []);
        // One image of 80 is no more than chance shows where the last start breaks 0.2 %.
        restarted.queries[0] = 910;
        assert_eq!(doubts(&[restarted.clone()], 80), []);
        restarted.queries[1] = 910;
        let found = doubts(&[restarted], 80);
        assert_eq!(found[0].rule, "restarts-help");
        assert!(
            found[0].text.contains("broke 2 images only in the last of its 10 starts (p = 1."),
            "{found:?}"
        );
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
        let found = worst(&runs, 80);
        assert_eq!(found.iter().map(|w| (w.eps, w.tally.correct)).collect::<Vec<_>>(), [(4, 60), (8, 30)]);
        let by: Vec<(&str, usize)> =
            found[1].broken_by.iter().map(|(run, count)| (run.as_str(), *count)).collect();
        assert_eq!(by, [("fgsm", 10), ("pgd", 10), ("pgd from vgg", 10), ("square", 10)]);
    }
}
