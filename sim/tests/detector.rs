//! Tests attacks on networks with a detector: what attacks that do not know it find is what they find without
//! it, what counts against those that know it is wrong in both passes, and reports of parts join.

use dq_data::Images;
use dq_net::layer::Logits;
use dq_net::random::{self, Options};
use dq_net::{Network, Squeezing};
use dq_sim::attack::merge::merge;
use dq_sim::attack::suite::{self, Adversary, Judge, Subject, Suite, Watch};
use dq_sim::attack::{self, Norm, Start};
use dq_sim::report::{Outcome, Report, Shard};
use dq_sim::{Detector, WhiteBox};
use ndarray::{Array3, Axis};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

/// Returns a random network of pixels and images that it labels in its own way.
fn network_and_images(seed: u64, count: usize) -> (Network, Images) {
    let options = Options { residuals: seed % 2 == 1, max_side: 6, ..Options::default() };
    let networks = (0..).map(|n| random::network(seed + 100 * n, &options));
    let network = networks.into_iter().find(|network| network.input().has_pixels()).expect("most are");
    let pixels = random::images(seed, count, network.input());
    let labels = pixels.outer_iter().map(|image| Logits::label(network.eval(image)) as u8).collect();
    let classes = (0..network.classes()).map(|class| class.to_string()).collect();
    (network, Images { name: "random".into(), pixels, labels, classes })
}

fn suite(attacks: &[&str]) -> Suite {
    let attacks = attacks.iter().map(|name| (*name).to_owned()).collect();
    let (eps, start) = (vec![9, 60], Start::Uniform);
    Suite { attacks, eps, seed: 7, start, sequential: false, shard: None }
}

/// Runs a suite, and keeps each adversary with the place of its run and its original's index.
fn run(target: &dyn Judge, images: &Images, suite: &Suite) -> (Report, Vec<(usize, usize, Array3<u8>)>) {
    let (stop, mut found) = (AtomicBool::new(false), vec![]);
    let mut keep = |one: Adversary| found.push((one.run, one.index, one.image.to_owned()));
    let watch = Watch { progress: &|_| (), keep: &mut keep, stop: &stop };
    let subject = Subject { target, substitute: None, images };
    (suite::run(&subject, suite, None, watch).unwrap(), found)
}

/// Squeezes one image by the words of the definition: the lower middle of four neighbours, rounded to two
/// bits.
fn squeezed(image: &Array3<u8>) -> Array3<u8> {
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        let (above, left) = (y.saturating_sub(1), x.saturating_sub(1));
        let mut taps = [[above, left], [above, x], [y, left], [y, x]].map(|[y, x]| image[[y, x, c]]);
        taps.sort_unstable();
        ((f64::from(taps[1]) * 3.0 / 255.0).round() * 255.0 / 3.0).round() as u8
    })
}

fn squeezing() -> Squeezing {
    "bits=2,median".parse().unwrap()
}

#[test]
fn what_unaware_attacks_find_is_flagged_as_two_networks_say() {
    let mut seen = [0; 2];
    for seed in 0..12 {
        let (network, images) = network_and_images(seed, 6);
        let plain = WhiteBox::new(&network);
        let suite = suite(&["random", "fgsm", "pgd", "apgd-ce"]);
        let (without, adversaries) = run(&plain, &images, &suite);
        let (with, undetected) = run(&Detector::hidden(&plain, squeezing()), &images, &suite);
        let label = |image: &Array3<u8>| Logits::label(network.eval(image.view()));
        for (own, guarded) in without.runs.iter().zip(&with.runs) {
            assert!(guarded.unaware && own.detected.is_none());
            let changed = |o: &Outcome| matches!(o, Outcome::Broken | Outcome::Detected);
            assert!(own.outcomes.iter().map(changed).eq(guarded.outcomes.iter().map(changed)));
            assert_eq!(own.queries, guarded.queries);
        }
        let mut left = undetected.iter();
        for (place, index, image) in &adversaries {
            let flagged = label(image) != label(&squeezed(image));
            let outcome = with.runs[*place].outcomes[*index];
            assert_eq!(outcome, if flagged { Outcome::Detected } else { Outcome::Broken }, "seed {seed}");
            assert!(flagged || left.next() == Some(&(*place, *index, image.clone())));
            seen[usize::from(flagged)] += 1;
        }
        for run in &with.runs {
            let (found, count) = (run.detected.unwrap(), |outcome| run.outcomes.count(outcome));
            assert_eq!(found.count, count(Outcome::Detected));
            assert_eq!(found.total, found.count + count(Outcome::Broken));
            assert_eq!(run.tally.correct, count(Outcome::Survived) + found.count);
        }
        let detector = with.detector.unwrap();
        let alarms = images.pixels.outer_iter().map(|image| image.to_owned());
        let alarms = alarms.filter(|image| label(image) != label(&squeezed(image))).count();
        assert_eq!((detector.false_alarms.count, detector.false_alarms.total), (alarms, 6));
    }
    assert!(seen.iter().all(|&n| n > 20), "{seen:?}");
}

#[test]
fn adversaries_that_count_against_a_known_detector_are_wrong_in_both_passes() {
    let mut seen = 0;
    for seed in 0..8 {
        let (network, images) = network_and_images(seed, 4);
        let plain = WhiteBox::new(&network);
        let detector = Detector::known(&plain, squeezing());
        let all = attack::ALL.iter().filter(|(_, attack)| attack.norm == Norm::Linf);
        // Attacks of many steps run on few networks.
        let brief = |steps: usize| steps > 0 && steps <= 200;
        let names: Vec<&str> =
            all.filter(|(_, attack)| seed == 0 || brief((attack.steps)(60))).map(|(name, _)| *name).collect();
        let (report, found) = run(&detector, &images, &suite(&names));
        for (place, index, image) in &found {
            let label = Logits::label(network.eval(image.view()));
            assert_eq!(label, Logits::label(network.eval(squeezed(image).view())));
            assert_ne!(label, usize::from(images.labels[*index]));
            let run = &report.runs[*place];
            let original = images.pixels.index_axis(Axis(0), *index);
            assert!(Norm::Linf.holds(image.view(), original, run.eps), "{}", run.title());
            assert!(!run.unaware && run.outcomes[*index] == Outcome::Broken);
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

/// Gradients of both passes find what those of the network alone do not.
#[test]
fn attacks_that_know_the_detector_break_more() {
    let broken = |is_known: bool| -> usize {
        let count = |seed: u64| {
            let (network, images) = network_and_images(seed, 6);
            let plain = WhiteBox::new(&network);
            let make = if is_known { Detector::known } else { Detector::hidden };
            let (_, found) = run(&make(&plain, squeezing()), &images, &suite(&["pgd-r", "apgd-ce"]));
            found.len()
        };
        (0..12).map(count).sum()
    };
    let (known, hidden) = (broken(true), broken(false));
    assert!(known > hidden, "{known} against {hidden}");
}

#[test]
fn shards_and_stopped_runs_join_to_the_same_report() {
    let (network, images) = network_and_images(5, 70);
    let plain = WhiteBox::new(&network);
    let detectors = Detector::both(&plain, squeezing());
    let base = Suite { sequential: true, ..suite(&["fgsm", "pgd"]) };
    let both = |shard: Option<Shard>, stop_after: usize| {
        let mut report = None;
        let suite = Suite { shard, ..base.clone() };
        let (stop, calls) = (AtomicBool::new(false), Cell::new(0));
        for target in &detectors {
            loop {
                let progress = |_: suite::Progress| {
                    calls.set(calls.get() + 1);
                    stop.store(calls.get() % stop_after == 0, Ordering::SeqCst);
                };
                let watch = Watch { progress: &progress, keep: &mut |_| (), stop: &stop };
                let subject = Subject { target, substitute: None, images: &images };
                report = Some(suite::run(&subject, &suite, report, watch).unwrap());
                if !stop.swap(false, Ordering::SeqCst) {
                    break;
                }
            }
        }
        let report: Report = report.unwrap();
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        report
    };
    let whole = both(None, usize::MAX);
    assert!(whole.complete && whole.runs.len() == 8);
    let letters: String = whole.runs.iter().map(|run| run.outcomes.text()).collect();
    assert!("x.d=".chars().all(|letter| letters.contains(letter)), "{letters}");
    assert_eq!(both(None, 2), whole);
    let shards = (1..=3).map(|index| both(Some(Shard { index, count: 3 }), usize::MAX)).collect();
    assert_eq!(merge(shards).unwrap(), whole);

    // Squeezing is defined for pixels alone.
    let options = Options { residuals: true, ..Options::default() };
    let levels = (0..100).map(|seed| random::network(seed, &options));
    let narrow = WhiteBox::new(&levels.into_iter().find(|network| !network.input().has_pixels()).unwrap());
    let guarded = Detector::known(&narrow, squeezing());
    let subject = Subject { target: &guarded, substitute: None, images: &images };
    let error = suite::planned(&subject, &base).unwrap_err().to_string();
    assert!(error.contains("with a detector: expected 256, as pixels have"), "{error}");

    // A report goes on with its own detector alone.
    let other = Detector::known(&plain, "median".parse().unwrap());
    for target in [&other as &dyn Judge, &plain] {
        let stop = AtomicBool::new(false);
        let watch = Watch { progress: &|_| (), keep: &mut |_| (), stop: &stop };
        let subject = Subject { target, substitute: None, images: &images };
        let error = suite::run(&subject, &base, Some(whole.clone()), watch).unwrap_err().to_string();
        assert!(error.contains("of the earlier report"), "{error}");
    }
}
