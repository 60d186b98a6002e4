//! Tests the attacks and their driver: adversaries stay in the ball and are judged by the network, results
//! depend on the seed alone, and gradients are worth more than noise.

use dq_data::Images;
use dq_net::layer::{Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Step, Surrogate};
use dq_net::random::{self, Options};
use dq_net::{Network, Node, Shape};
use dq_sim::attack::merge::{MergeError, merge};
use dq_sim::attack::suite::{self, Single, Subject, Substitute, Suite, SuiteError};
use dq_sim::attack::{self, Norm, Start};
use dq_sim::report::{Outcome, Report, Shard};
use dq_sim::{GradientSource, Loss, LossGradient, Precision, WhiteBox};
use ndarray::{Array2, Array4, ArrayView4, Axis};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

fn node(name: &str, layer: Layer, input: &str) -> Node {
    let inputs = if input.is_empty() { vec![] } else { vec![input.to_owned()] };
    Node { name: name.into(), layer, inputs }
}

/// Makes a network that tells horizontal from vertical stripes: two edge filters, half-wave steps, sums.
fn stripes_network() -> Network {
    stripes_network_of(0.05)
}

/// Makes the same network with real logits of another scale.
fn stripes_network_of(scale: f64) -> Network {
    let shape = Shape::new(8, 8, 1);
    let taps = [[[-1, -1, -1], [0, 0, 0], [1, 1, 1]], [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]];
    let weights = Array4::from_shape_fn((2, 3, 3, 1), |(o, y, x, _)| taps[o][y][x]);
    let conv = Conv { weights, weight_bits: 2, stride: [1, 1], pad: [0; 4], pad_level: 0, groups: 1 };
    let thresholds = Array2::from_shape_fn((2, 15), |(_, t)| 10 + 10 * t as i32);
    let surrogate = Surrogate { gain: vec![0.1; 2], open_lo: vec![1; 2], open_hi: vec![159; 2], unit: 0.4 };
    let step = Step { bits: 4, dir: vec![1; 2], thresholds, surrogate };
    let dense = Dense { weights: ndarray::arr2(&[[1, -1], [-1, 1]]), weight_bits: 2 };
    let nodes = vec![
        node("input", Layer::Input(Input::pixels(shape)), ""),
        node("conv", Layer::Conv(conv), "input"),
        node("step", Layer::Step(step), "conv"),
        node("pool", Layer::MaxPool(MaxPool { window: [2, 2], stride: [2, 2] }), "step"),
        node("sum", Layer::GlobalSum(GlobalSum), "pool"),
        node("dense", Layer::Dense(dense), "sum"),
        node("logits", Layer::Logits(Logits { bias: vec![0, 0], scale }), "dense"),
    ];
    Network::new("stripes", nodes).unwrap()
}

/// Draws faint stripes under noise: horizontal (0) and vertical (1).
fn stripes(count: usize) -> Images {
    let mut pixels = Array4::zeros((count, 8, 8, 1));
    for (i, mut image) in pixels.outer_iter_mut().enumerate() {
        let noise = random::image(i as u64 * 4 + 3, Input::pixels(Shape::new(8, 8, 1)));
        for ((y, x, c), pixel) in image.indexed_iter_mut() {
            let bright = (if i % 2 == 0 { y } else { x } + i / 2) % 4 < 2;
            *pixel = 100 + if bright { 12 + (i % 23) as u8 } else { 0 } + noise[[y, x, c]] / 20;
        }
    }
    let labels = (0..count).map(|i| (i % 2) as u8).collect();
    Images { name: "stripes".into(), pixels, labels, classes: vec!["horizontal".into(), "vertical".into()] }
}

/// Names of attacks of thousands of queries, which have tests of their own.
const LONG: [&str; 6] = ["square", "square-20k", "draws", "sign-hunter", "rays", "square-l2"];

fn suite(eps: &[u8]) -> Suite {
    let attacks =
        attack::ALL.iter().filter(|(name, attack)| attack.norm == Norm::Linf && !LONG.contains(name));
    let attacks = attacks.map(|(name, _)| (*name).to_owned()).collect();
    Suite { attacks, eps: eps.to_vec(), seed: 7, start: Start::Signs, sequential: false, shard: None }
}

fn watch<'a>(
    progress: &'a dyn Fn(suite::Progress),
    keep: &'a mut dyn FnMut(suite::Adversary),
    stop: &'a AtomicBool,
) -> suite::Watch<'a> {
    suite::Watch { progress, keep, stop }
}

/// Returns a network under attack by its own gradients.
fn subject<'a>(target: &'a WhiteBox, images: &'a Images) -> Subject<'a> {
    Subject { target, substitute: None, images }
}

fn run(engine: &WhiteBox, images: &Images, suite: &Suite) -> Report {
    suite::run(&subject(engine, images), suite, None, watch(&|_| (), &mut |_| (), &STOP)).unwrap()
}

fn surviving(report: &Report, attack: &str, eps: u8) -> usize {
    report.runs.iter().find(|run| run.attack == attack && run.eps == eps).unwrap().tally.correct
}

#[test]
fn gradients_break_what_noise_does_not_and_the_report_adds_up() {
    let engine = WhiteBox::new(&stripes_network());
    let images = stripes(150);
    let report = run(&engine, &images, &suite(&[4, 8, 16]));
    assert!(report.complete);
    assert!(report.clean.correct > 140, "{:?}", report.clean);
    for eps in [4, 8, 16] {
        let (noise, fgsm) = (surviving(&report, "random", eps), surviving(&report, "fgsm", eps));
        assert!(fgsm < noise, "eps {eps}: fgsm leaves {fgsm}, noise {noise}");
        assert!(surviving(&report, "pgd", eps) <= fgsm + 1, "eps {eps}");
    }
    assert!(surviving(&report, "pgd", 16) < surviving(&report, "pgd", 4));
    for run in &report.runs {
        assert_eq!(run.outcomes.len(), 150);
        let count = |letter: u8| run.outcomes.text().bytes().filter(|b| *b == letter).count();
        assert_eq!(count(b'-'), 150 - report.clean.correct);
        assert_eq!(count(b'.'), run.tally.correct);
        assert_eq!(count(b'x'), run.broken_labels.len());
        // The reference judges the very adversaries again.
        let indices: Vec<usize> = (0..150).filter(|&i| run.outcomes.text().as_bytes()[i] != b'-').collect();
        let found = suite::adversaries(&engine, &images, &indices, &Single::new(&run.attack, run.eps, 7));
        for (&i, image) in indices.iter().zip(found.outer_iter()) {
            let label = Logits::label(engine.network().eval(image));
            assert_eq!(
                label != usize::from(images.labels[i]),
                run.outcomes.text().as_bytes()[i] == b'x',
                "{} {i}",
                run.attack
            );
            let original = images.pixels.index_axis(ndarray::Axis(0), i);
            assert!(image.iter().zip(original).all(|(a, b)| a.abs_diff(*b) <= run.eps));
        }
    }
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

/// Returns a random network whose input has `levels`, and images of it with the labels that it gives them.
fn of_levels(seed: u64, levels: u16) -> (WhiteBox, Images) {
    let found = random::network(seed, &Options { max_side: 6, ..Options::default() });
    let mut nodes = found.nodes()[..2].to_vec();
    nodes[0].layer = Layer::Input(Input { levels, lowest: -1.0, unit: 0.5, ..found.input() });
    let weights =
        Array2::from_shape_fn((3, found.input_shape().len()), |(o, i)| ((o * 7 + i * 3) % 5) as i8 - 2);
    nodes[1] = node("dense", Layer::Dense(Dense { weights, weight_bits: 3 }), "input");
    nodes.push(node("logits", Layer::Logits(Logits { bias: vec![0, 1, 2], scale: 0.1 }), "dense"));
    let network = Network::new("levels", nodes).unwrap();
    let pixels = random::images(seed, 5, network.input());
    let white_box = WhiteBox::new(&network);
    let labels = white_box.engine().labels(pixels.view()).iter().map(|&label| label as u8).collect();
    let classes = (0..3).map(|class| class.to_string()).collect();
    (white_box, Images { name: "levels".into(), pixels, labels, classes })
}

/// Every attack evaluates and proposes levels of the input alone: the engine refuses others.
#[test]
fn adversaries_have_the_levels_of_the_input() {
    let mut broken = 0;
    for (name, attack) in attack::ALL {
        for (seed, levels, eps) in [(1, 2, 1), (2, 3, 1), (3, 4, 2), (4, 16, 40), (5, 100, 255)] {
            let (white_box, images) = of_levels(seed, levels);
            let indices: Vec<usize> = (0..images.len()).collect();
            let found = suite::adversaries(&white_box, &images, &indices, &Single::new(name, eps, 7));
            assert!(found.iter().all(|&level| u16::from(level) < levels), "{name}, {levels} levels");
            for (image, original) in found.outer_iter().zip(images.pixels.outer_iter()) {
                assert!(attack.norm.holds(image, original, eps), "{name}");
            }
            let labels = white_box.engine().labels(found.view());
            broken += labels.iter().zip(&images.labels).filter(|(a, b)| **a != usize::from(**b)).count();
        }
    }
    assert!(broken > 3 * attack::ALL.len(), "{broken}");
}

#[test]
fn images_of_other_levels_are_refused_and_reports_say_which_there_are() {
    let (white_box, mut images) = of_levels(3, 4);
    let suite = Suite { attacks: vec!["fgsm".into()], ..suite(&[1]) };
    let report = run(&white_box, &images, &suite);
    assert!(report.threat_model.contains("every adversary is an image X' of levels 0 to 3 with |X' - X|"));
    images.pixels[[2, 0, 0, 0]] = 4;
    let refused = suite::run(&subject(&white_box, &images), &suite, None, watch(&|_| (), &mut |_| (), &STOP));
    assert_eq!(refused.unwrap_err().to_string(), "images[2]: expected levels of 0 to 3, found 4");
}

#[test]
fn adversaries_stay_in_the_ball_on_any_network() {
    for seed in 0..40 {
        let network = random::network(seed, &Options::default());
        let engine = WhiteBox::new(&network);
        let (height, width, channels) = network.input_shape().dim();
        let pixels = Array4::from_shape_fn((6, height, width, channels), |(b, y, x, c)| {
            [0, 255, 1, 254, 128, 7][(b + y * 5 + x * 3 + c) % 6]
        });
        let classes = (0..network.classes()).map(|c| c.to_string()).collect();
        let images = Images { name: "edge".into(), pixels, labels: vec![0, 1, 0, 1, 0, 1], classes };
        for start in [Start::Signs, Start::Uniform] {
            for eps in [0, 1, 3, 8, 255] {
                for (name, attack) in attack::ALL {
                    // Attacks of many steps run on few networks.
                    let long = LONG.contains(name) || (attack.steps)(eps) > 200;
                    if (eps == 255 && seed > 0) || (long && (seed % 10 > 0 || eps % 3 > 0)) {
                        continue;
                    }

                    let all: Vec<usize> = (0..6).collect();
                    let found = suite::adversaries(
                        &engine,
                        &images,
                        &all,
                        &Single { start, ..Single::new(name, eps, 7) },
                    );
                    for (image, original) in found.outer_iter().zip(images.pixels.outer_iter()) {
                        assert!(attack.norm.holds(image, original, eps), "{name} at {eps} left the ball");
                    }
                }
            }
        }
    }
}

/// PGD++ does the same where real logits are a thousand times as far apart.
#[test]
fn scaled_logits_do_not_depend_on_how_far_apart_they_are() {
    let images = stripes(40);
    let suite = Suite { attacks: vec!["pgd-pp".into()], ..suite(&[4]) };
    let [small, large] = [0.05, 0.05 * 1024.0].map(|scale| {
        let mut report = run(&WhiteBox::new(&stripes_network_of(scale)), &images, &suite);
        report.runs.remove(0)
    });
    assert!(small.tally.correct < 40, "the radius breaks some: {:?}", small.tally);
    assert_eq!((small.outcomes, small.queries), (large.outcomes, large.queries));
}

#[test]
fn strong_attacks_break_what_weak_ones_leave() {
    let engine = WhiteBox::new(&stripes_network());
    let images = stripes(100);
    let all = Suite {
        attacks: [
            "fgsm",
            "pgd",
            "pgd-r",
            "pgd-pp",
            "pgd-t",
            "apgd-ce",
            "apgd-t",
            "apgd-ce-r",
            "apgd-t-r",
            "madry-20",
            "fab-t",
            "square",
            "sign-hunter",
            "rays",
        ]
        .map(String::from)
        .into(),
        ..suite(&[6])
    };
    let report = run(&engine, &images, &all);
    let left = |attack: &str| surviving(&report, attack, 6);
    assert!(left("fgsm") > 10, "the radius leaves something to do: {}", left("fgsm"));
    for strong in ["pgd-r", "pgd-t", "apgd-ce", "apgd-t", "fab-t", "square", "sign-hunter"] {
        assert!(left(strong) < left("fgsm"), "{strong}: {} of {}", left(strong), left("fgsm"));
    }
    // The first start of several is the one that there is without restarts.
    let broken = |attack: &str| {
        let run = report.runs.iter().find(|run| run.attack == attack).unwrap();
        run.outcomes.iter().map(|outcome| *outcome == Outcome::Broken).collect::<Vec<_>>()
    };
    for (one, many) in [("apgd-ce", "apgd-ce-r"), ("apgd-t", "apgd-t-r")] {
        assert!(broken(one).iter().zip(broken(many)).all(|(one, many)| !one || many), "{many}");
    }
    for strong in ["pgd-r", "pgd-pp", "pgd-t", "apgd-ce", "apgd-t", "madry-20"] {
        assert!(left(strong) <= left("pgd"), "{strong}: {} of {}", left(strong), left("pgd"));
    }
    for run in &report.runs {
        assert_eq!(run.queries.len(), report.clean.correct);
    }
    // A broken image stops its search; one that survives had all of it.
    let square = report.runs.iter().find(|run| run.attack == "square").unwrap();
    let attacked = square.outcomes.text().into_bytes().into_iter().filter(|b| *b != b'-');
    for (outcome, &queries) in attacked.zip(&square.queries) {
        assert!(if outcome == b'x' { queries <= 5_000 } else { queries == 5_000 }, "{queries}");
    }
    assert!(square.queries.iter().any(|&queries| queries < 100));
    let rays = report.runs.iter().find(|run| run.attack == "rays").unwrap();
    assert!(rays.queries.iter().all(|&queries| queries <= 10_000));
    assert!(rays.tally.correct < report.clean.correct - 20, "labels alone find many: {:?}", rays.tally);
    // In sequence each attack gets what is left, and the last tally is the headline.
    let sequence = run(&engine, &images, &Suite { sequential: true, ..all });
    assert_eq!(sequence.runs[0], report.runs[0]);
    let (first, second) = (&sequence.runs[0], &sequence.runs[1]);
    for (a, b) in first.outcomes.text().bytes().zip(second.outcomes.text().bytes()) {
        assert_eq!(b == b'=', a == b'x');
    }
    assert_eq!(sequence.worst[0].tally, sequence.runs.last().unwrap().tally);
    assert!(
        sequence.worst[0].tally.correct <= report.runs.iter().map(|run| run.tally.correct).min().unwrap()
    );
}

/// The Euclidean ball of radius 8·ε holds the 64-element box of ±ε, so that its attacks break at least as
/// much.
#[test]
fn the_euclidean_set_breaks_what_the_box_does() {
    let (engine, images) = (WhiteBox::new(&stripes_network()), stripes(100));
    let report = |names: &[&str], eps: u8| {
        let attacks = names.iter().map(|name| (*name).to_owned()).collect();
        run(&engine, &images, &Suite { attacks, ..suite(&[eps]) })
    };
    let (boxed, ball) = (report(attack::AUTO, 5), report(attack::AUTO_L2, 40));
    for (narrow, wide) in attack::AUTO.iter().zip(attack::AUTO_L2) {
        let (narrow, wide) = (surviving(&boxed, narrow, 5), surviving(&ball, wide, 40));
        assert!(wide <= narrow && narrow < boxed.clean.correct, "{narrow} in the box, {wide} in the ball");
    }
    assert!(surviving(&boxed, "apgd-ce", 5) > 0, "the box leaves something to do");
    assert!(ball.threat_model.contains("Euclidean") && !boxed.threat_model.contains("Euclidean"));
    let mixed = Suite { attacks: vec!["fgsm".into(), "fab-t-l2".into()], ..suite(&[8]) };
    let error = suite::run(&subject(&engine, &images), &mixed, None, watch(&|_| (), &mut |_| (), &STOP));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the ball of `fab-t-l2`") && error.contains("expected linf, found l2"), "{error}");
}

/// The positive control: gradients that are zero everywhere hide nothing from an attack that asks for scores.
#[test]
fn a_masked_network_is_broken_by_scores_alone_and_doubted() {
    let mut nodes = stripes_network().nodes().to_vec();
    let Layer::Step(step) = &mut nodes[2].layer else { panic!("the third node is the step") };
    step.surrogate.open_hi = vec![0; 2];
    let engine = WhiteBox::new(&Network::new("masked", nodes).unwrap());
    let attacks = ["pgd-r", "apgd-ce", "square"].map(String::from).into();
    let report = run(&engine, &stripes(60), &Suite { attacks, ..suite(&[16]) });
    assert!(surviving(&report, "square", 16) < surviving(&report, "apgd-ce", 16));
    let rules: Vec<&str> = report.doubts.iter().map(|doubt| doubt.rule.as_str()).collect();
    assert!(rules.contains(&"black-box-beats-white-box") && rules.contains(&"zero-gradient"), "{rules:?}");
}

/// Asks a network for the scores of whole images alone.
struct Whole<'a>(&'a WhiteBox);

impl GradientSource for Whole<'_> {
    fn input(&self) -> Input {
        self.0.input()
    }

    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient {
        self.0.loss_gradient(images, labels, loss)
    }

    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64> {
        self.0.real_logits(images)
    }
}

/// Searches that begin from what they know of an image find what they find without it.
#[test]
fn searches_near_an_image_find_what_searches_from_scratch_do() {
    let (engine, images) = (WhiteBox::new(&stripes_network()), stripes(6));
    assert!(engine.near(images.pixels.index_axis(Axis(0), 0)).is_some());
    let indices: Vec<usize> = (0..images.len()).collect();
    for (name, eps) in [("square", 1), ("square", 4), ("sign-hunter", 2)] {
        let single = Single::new(name, eps, 5);
        let near = suite::adversaries(&engine, &images, &indices, &single);
        assert_eq!(near, suite::adversaries(&Whole(&engine), &images, &indices, &single), "{name} {eps}");
    }
}

#[test]
fn every_adversary_is_shown_as_it_was_judged() {
    let engine = WhiteBox::new(&stripes_network());
    let images = stripes(40);
    let mut shown = vec![];
    let mut keep =
        |found: suite::Adversary| shown.push((found.attack.to_owned(), found.index, found.image.to_owned()));
    let report =
        suite::run(&subject(&engine, &images), &suite(&[8]), None, watch(&|_| (), &mut keep, &STOP)).unwrap();
    let broken: usize = report.runs.iter().map(|run| run.broken_labels.len()).sum();
    assert_eq!(shown.len(), broken);
    for (attack, index, image) in shown {
        assert_ne!(
            Logits::label(engine.network().eval(image.view())),
            usize::from(images.labels[index]),
            "{attack}"
        );
    }
}

#[test]
fn results_depend_on_the_seed_alone() {
    let (images, suite) = (stripes(150), suite(&[6]));
    let engine = WhiteBox::new(&stripes_network());
    let report = run(&engine, &images, &suite);
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| run(&engine, &images, &suite)), report, "{threads} threads");
    }
    // The run is stopped again and again, and continued.
    let mut kept: Option<Report> = None;
    for round in 0.. {
        let (stop, looks) = (AtomicBool::new(false), Cell::new(0));
        let progress = |_: suite::Progress| {
            looks.set(looks.get() + 1);
            stop.store(looks.get() == 2, Ordering::Relaxed);
        };
        let found =
            suite::run(&subject(&engine, &images), &suite, kept.take(), watch(&progress, &mut |_| (), &stop))
                .unwrap();
        if found.complete {
            assert!(round > 3, "it was stopped on the way");
            assert_eq!(found, report);
            break;
        }
        assert!(looks.get() <= 2, "it stops at the next look");
        kept = Some(found);
    }
    for (name, attack) in attack::ALL {
        let proposed = |seed| suite::adversaries(&engine, &images, &[0, 5], &Single::new(name, 6, seed));
        if LONG[1..3].contains(name) {
            continue;
        }
        let random = !["fgsm", "bim", "mi", "fab-t", "fab-t-l2", "sign-hunter", "rays"].contains(name);
        assert_eq!(proposed(7) != proposed(8), random, "{name}: {}", attack.about);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let engine = WhiteBox::new(&stripes_network());
    let run = |images: &Images, suite: &Suite, earlier| {
        suite::run(&subject(&engine, images), suite, earlier, watch(&|_| (), &mut |_| (), &STOP))
            .map_err(|e| e.to_string())
    };
    let images = stripes(10);
    let unknown = Suite { attacks: vec!["pdg".into()], ..suite(&[8]) };
    let error = run(&images, &unknown, None).unwrap_err();
    assert!(error.contains("`pdg`") && error.contains("random, fgsm"), "{error}");
    let grey = Images { pixels: Array4::zeros((10, 9, 8, 1)), ..images.clone() };
    assert!(run(&grey, &suite(&[8]), None).unwrap_err().contains("image shape of the network"));
    let third = Images { classes: vec!["a".into(), "b".into(), "c".into()], ..images.clone() };
    assert!(run(&third, &suite(&[8]), None).unwrap_err().contains("classes of the network"));
    let label = Images { labels: vec![2; 10], ..images.clone() };
    assert!(run(&label, &suite(&[8]), None).unwrap_err().contains("labels"));
    let report = run(&images, &suite(&[8]), None).unwrap();
    let error = run(&images, &Suite { seed: 9, ..suite(&[8]) }, Some(report.clone())).unwrap_err();
    assert!(error.contains("seed of the earlier report: expected 9, found 7"), "{error}");
    let mut edited = report;
    edited.runs[0].outcomes.push(Outcome::Broken);
    assert!(run(&images, &suite(&[8]), Some(edited)).unwrap_err().contains("outcomes"));
    let substitute = WhiteBox::new(&random::network(1, &Options::default()));
    let substitute = Substitute { name: "other", content_hash: None, source: &substitute };
    let error = suite::run(
        &Subject { substitute: Some(substitute), ..subject(&engine, &images) },
        &suite(&[8]),
        None,
        watch(&|_| (), &mut |_| (), &STOP),
    );
    assert!(matches!(error, Err(SuiteError::Mismatch { what, .. }) if what.contains("other")));
}

/// Gradients of 16 bits do what those of floats do, the report says so where they were asked for, and a
/// report of the one does not go on with the other.
#[test]
fn gradients_of_16_bits_attack_as_well_and_are_told() {
    let images = stripes(40);
    let float = WhiteBox::new(&stripes_network());
    let fixed = WhiteBox::new(&stripes_network()).with_gradients(Precision::Int16);
    let suite = Suite { attacks: ["random", "pgd", "apgd-ce"].map(str::to_owned).into(), ..suite(&[8]) };
    let [by_float, by_fixed] = [&float, &fixed].map(|engine| run(engine, &images, &suite));
    assert_eq!(by_float.runs[0], by_fixed.runs[0], "random noise needs no gradient");
    for (a, b) in by_float.runs.iter().zip(&by_fixed.runs).skip(1) {
        assert!(a.tally.correct.abs_diff(b.tally.correct) <= 2, "{}: {:?}, {:?}", a.attack, a.tally, b.tally);
        assert!(!a.settings.contains_key("gradients"));
        assert_eq!(b.settings["gradients"], "int16");
    }
    let resumed =
        suite::run(&subject(&fixed, &images), &suite, Some(by_float), watch(&|_| (), &mut |_| (), &STOP));
    let error = resumed.unwrap_err().to_string();
    assert!(error.contains("settings of pgd of the earlier report") && error.contains("int16"), "{error}");
}

#[test]
fn a_dead_gradient_is_counted_and_doubted() {
    let mut nodes = stripes_network().nodes().to_vec();
    let Layer::Step(step) = &mut nodes[2].layer else { panic!("the third node is the step") };
    step.surrogate.open_hi = vec![0; 2];
    let engine = WhiteBox::new(&Network::new("dead", nodes).unwrap());
    let report = run(&engine, &stripes(60), &suite(&[8]));
    let fgsm = report.runs.iter().find(|run| run.attack == "fgsm").unwrap();
    assert_eq!(fgsm.zero_gradients, report.clean.correct);
    assert_eq!(fgsm.tally, report.clean, "FGSM without a gradient moves nothing");
    assert!(report.doubts.iter().any(|doubt| doubt.rule == "zero-gradient"));
}

#[test]
fn what_is_named_twice_runs_once_and_is_complete() {
    let engine = WhiteBox::new(&stripes_network());
    let images = stripes(6);
    let once = run(&engine, &images, &suite(&[2, 8]));
    let mut doubled = suite(&[2, 8, 2]);
    doubled.attacks.extend(doubled.attacks.clone());
    let twice = run(&engine, &images, &doubled);
    assert!(twice.complete && once.complete);
    assert_eq!(twice.runs, once.runs);
}

/// The place of a run that an adversary names is the one in the report's own list, also where an attack is
/// named twice, and with a second source of gradients whose runs come behind those of an earlier report.
#[test]
fn an_adversary_names_its_run_in_the_reports_own_list() {
    let engine = WhiteBox::new(&stripes_network());
    let (images, twin) = (stripes(40), WhiteBox::new(&stripes_network_of(0.5)));
    let attacks = ["fgsm", "random", "fgsm", "pgd"].map(String::from).into();
    let suite = Suite { attacks, ..suite(&[8, 16]) };
    let mut found = vec![];
    let mut report = None;
    for substitute in [None, Some(Substitute { name: "twin", content_hash: None, source: &twin })] {
        let mut keep = |one: suite::Adversary| {
            found.push((
                one.run,
                one.attack.to_owned(),
                one.eps,
                substitute.map(|substitute| substitute.name.to_owned()),
            ));
        };
        let watch = watch(&|_| (), &mut keep, &STOP);
        let subject = Subject { substitute, ..subject(&engine, &images) };
        report = Some(suite::run(&subject, &suite, report, watch).unwrap());
    }
    let runs = report.unwrap().runs;
    for (n, run) in runs.iter().enumerate() {
        let count = found.iter().filter(|(run, ..)| *run == n).count();
        assert_eq!(count, run.broken_labels.len(), "run {n}, {}", run.title());
    }
    for (n, attack, eps, source) in found {
        // An attack that needs no gradient has no source.
        let source = source.filter(|_| attack != "random");
        assert_eq!((&runs[n].attack, runs[n].eps, &runs[n].source), (&attack, eps, &source));
    }
}

#[test]
fn shards_merge_to_the_report_of_one_process() {
    let engine = WhiteBox::new(&stripes_network());
    let images = stripes(50);
    for sequential in [false, true] {
        let suite = Suite { sequential, ..suite(&[4, 8]) };
        let whole = run(&engine, &images, &suite);
        let shards = |count: usize| {
            let shard = |index| {
                run(&engine, &images, &Suite { shard: Some(Shard { index, count }), ..suite.clone() })
            };
            (1..=count).map(shard).collect::<Vec<_>>()
        };
        for count in [1, 3, 7] {
            let mut shards = shards(count);
            shards.reverse();
            let merged = merge(shards).unwrap();
            assert_eq!(
                serde_json::to_string(&merged).unwrap(),
                serde_json::to_string(&whole).unwrap(),
                "{count}"
            );
        }
        assert_eq!(merge(vec![whole.clone()]), Err(MergeError::Whole(0)));
        let three = shards(3);
        let missing = merge(three[..2].to_vec()).unwrap_err();
        assert_eq!(missing, MergeError::Shards { index: 3, count: 3, times: 0 });
        let mut other = three.clone();
        other[1].seed = 8;
        assert!(merge(other).unwrap_err().to_string().contains("seed: expected 7"));
        let mut short = three.clone();
        short[1].clean_labels.pop();
        assert!(matches!(merge(short), Err(MergeError::Length { report: 1, .. })));
        let mut stopped = three;
        stopped[2].complete = false;
        assert_eq!(merge(stopped), Err(MergeError::Stopped(2)));
    }
}

/// A substitute is known by what it computes: two paths of one network are one, one path of two networks is
/// two. Reports that do not know it go by the path.
#[test]
fn a_substitute_is_known_by_what_it_computes() {
    let engine = WhiteBox::new(&stripes_network());
    let (images, twin) = (stripes(20), WhiteBox::new(&stripes_network_of(0.5)));
    let suite = |shard| Suite { attacks: vec!["fgsm".into()], shard, ..suite(&[8]) };
    let shard = |index, name, content_hash| {
        let substitute = Some(Substitute { name, content_hash, source: &twin });
        let subject = Subject { substitute, ..subject(&engine, &images) };
        let suite = suite(Some(Shard { index, count: 3 }));
        suite::run(&subject, &suite, None, watch(&|_| (), &mut |_| (), &STOP)).unwrap()
    };
    let one = shard(1, "a/sub.json", Some("1111111111111111"));
    let merged = merge(vec![
        shard(3, "b/sub.json", Some("1111111111111111")),
        one.clone(),
        shard(2, "c/sub.json", Some("1111111111111111")),
    ]);
    let merged = merged.unwrap();
    assert_eq!(merged.runs[0].source.as_deref(), Some("a/sub.json"));
    assert_eq!(merged.runs[0].source_hash.as_deref(), Some("1111111111111111"));
    let (same_path, old) = (shard(2, "a/sub.json", Some("2222222222222222")), shard(3, "a/sub.json", None));
    let error = merge(vec![one.clone(), same_path.clone(), old.clone()]).unwrap_err().to_string();
    let expected = "runs: expected fgsm from a/sub.json (network 111111111111) at eps 8, as the first report \
                    has, found fgsm from a/sub.json (network 222222222222) at eps 8";
    assert_eq!(error, expected);
    // An older report between them hides nothing.
    assert!(merge(vec![old.clone(), one.clone(), same_path]).is_err());
    assert!(merge(vec![one.clone(), shard(2, "a/sub.json", None), old.clone()]).is_ok());
    assert!(merge(vec![one, shard(2, "b/sub.json", None), old.clone()]).is_err());
    assert!(!serde_json::to_string(&old).unwrap().contains("source_hash"));
}

/// A report goes on with what it was begun for, and says what it holds where something else is asked for.
#[test]
fn a_report_is_not_continued_as_another_suite() {
    let (engine, images) = (WhiteBox::new(&stripes_network()), stripes(6));
    let own = subject(&engine, &images);
    let suite = |attacks: &[&str], eps: &[u8]| Suite {
        attacks: attacks.iter().map(|name| (*name).to_owned()).collect(),
        ..suite(eps)
    };
    let begun = run(&engine, &images, &suite(&["pgd"], &[2, 8]));
    let check = |subject: &Subject, suite: &Suite| {
        suite::check_begun(&begun, &suite::planned(subject, suite).unwrap())
            .map_err(|error| error.to_string())
    };
    assert_eq!(check(&own, &suite(&["pgd"], &[2, 8])), Ok(()));
    assert_eq!(check(&own, &suite(&["pgd", "fgsm"], &[2, 8])), Ok(()), "what follows was not begun");
    let error = check(&own, &suite(&["pgd"], &[2])).unwrap_err();
    let expected = "runs of the earlier report: expected the first of pgd at eps 2, found pgd at eps 2, pgd \
                    at eps 8";
    assert_eq!(error, expected);
    for (attacks, eps) in [(&["fgsm"][..], &[2, 8][..]), (&["fgsm", "pgd"], &[2, 8]), (&["pgd"], &[8, 2])] {
        assert!(check(&own, &suite(attacks, eps)).is_err(), "{attacks:?} {eps:?}");
    }
    let substitute = Substitute { name: "sub.json", content_hash: Some("1111111111111111"), source: &engine };
    let other = Subject { substitute: Some(substitute), ..own };
    let error = check(&other, &suite(&["pgd"], &[2, 8])).unwrap_err();
    assert!(error.contains("pgd from sub.json (network 111111111111) at eps 2"), "{error}");
}
