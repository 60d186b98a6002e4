//! Tests the training loop and its run folder, from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{CPU, fit, images, metrics, options, recipe};
use dq_net::AnyNetwork;
use dq_train::{BEST, Event, Keep, LAST, METRICS, Options, RECIPE, train};

/// Four epochs in one go, and two, then stopped in the middle of the third, then resumed: the same bytes.
#[test]
fn resuming_continues_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    for precision in ["fp32", "bf16"] {
        let precision = format!("train.precision=\"{precision}\"");
        let recipe = recipe(&["train.epochs=4", "data.augment=[\"flip\",\"crop\"]", &precision]);
        let (whole, pieces) =
            (folder.path().join(&precision), folder.path().join(format!("{precision} in pieces")));
        fit(&recipe, &data, &whole, false).unwrap();

        let stop = AtomicBool::new(false);
        let outcome = train(&recipe, &data, &options(&pieces, false, &stop), |event| {
            if let Event::Step { epoch: 3, step: 4, .. } = event {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
        assert!(outcome.stopped && outcome.epochs == 2);
        assert!(!fit(&recipe, &data, &pieces, true).unwrap().stopped);
        for file in [LAST, BEST, RECIPE] {
            let [a, b] = [&whole, &pieces].map(|run| std::fs::read(run.join(file)).unwrap());
            assert!(a == b, "{file} differs ({precision})");
        }
        let epochs: Vec<usize> = metrics(&pieces).iter().map(|line| line.epoch).collect();
        assert_eq!(epochs, [1, 2, 3, 4]);
    }
}

/// Stopped before the first step and after random ones, and resumed each time: the same bytes, whatever is
/// trained.
#[test]
fn any_step_is_a_place_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    let settings: [&[&str]; 7] = [
        &["train.ema=0.9", "train.label_smoothing=0.1", "data.augment=[\"cutout\",\"crop\"]"],
        &["adversarial.attack=\"pgd\"", "attacked.attack=\"fgsm\"", "attacked.choose=\"attacked\""],
        &[
            "adversarial.attack=\"r+fgsm\"",
            "adversarial.share=0.5",
            "adversarial.weight=0.3",
            "bits.weight_step=\"learned\"",
        ],
        &["bits.activation_step=\"learned\"", "model.activation=\"relu1\""],
        &["model.architecture=\"wrn\"", "model.depth=10", "model.width=0.25", "dq.retraction=0.01"],
        &["model.normalization=\"aol\"", "model.lipschitz=100", "train.ema=0.9"],
        &[
            "model.architecture=\"strided\"",
            "certified.eps=8",
            "certified.warmup=0.3",
            "certified.ramp=1.5",
            "certified.box=0.5",
            "attacked.choose=\"certified\"",
            "optimizer.clip=0.5",
        ],
    ];
    for (i, settings) in settings.into_iter().enumerate() {
        let recipe = recipe(&[settings, &["train.epochs=3"]].concat());
        let (whole, pieces) =
            (folder.path().join(format!("{i}")), folder.path().join(format!("{i} in pieces")));
        fit(&recipe, &data, &whole, false).unwrap();
        for piece in 0.. {
            // The first piece ends before its first step.
            let (stop, mut left) = (AtomicBool::new(piece == 0), 1 + (piece * 7 + i) % 5);
            let outcome = train(&recipe, &data, &options(&pieces, true, &stop), |event| {
                if let Event::Step { .. } = event {
                    left -= 1;
                    stop.store(left == 0, Ordering::Relaxed);
                    left = left.max(1);
                }
            });
            if !outcome.unwrap().stopped {
                break;
            }
        }
        for file in [LAST, BEST] {
            let [a, b] = [&whole, &pieces].map(|run| std::fs::read(run.join(file)).unwrap());
            assert!(a == b, "{file} differs ({settings:?})");
        }
        for (a, b) in metrics(&whole).iter().zip(&metrics(&pieces)) {
            assert_eq!(
                (a.loss, a.train_accuracy, a.holdout_attacked, a.holdout_certified),
                (b.loss, b.train_accuracy, b.holdout_attacked, b.holdout_certified)
            );
        }
    }
}

/// A checkpoint within an epoch is one, whenever it is written.
#[test]
fn checkpoints_within_an_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    let (recipe, stop) = (recipe(&["train.epochs=2"]), AtomicBool::new(false));
    let whole = folder.path().join("whole");
    fit(&recipe, &data, &whole, false).unwrap();
    // The run is killed: what was saved after the third step of the second epoch is copied away as it is.
    let (run, killed) = (folder.path().join("run"), folder.path().join("killed"));
    let options = Options { save_every: Duration::ZERO, ..options(&run, false, &stop) };
    train(&recipe, &data, &options, |event| {
        if let Event::Step { epoch: 2, step: 3, .. } = event {
            std::fs::create_dir(&killed).unwrap();
            for file in [LAST, BEST, RECIPE, METRICS] {
                std::fs::copy(run.join(file), killed.join(file)).unwrap();
            }
        }
    })
    .unwrap();
    let mut steps = 0;
    let stop = AtomicBool::new(false);
    let resumed = train(&recipe, &data, &crate::common::options(&killed, true, &stop), |event| {
        steps += usize::from(matches!(event, Event::Step { .. }));
    });
    assert!(!resumed.unwrap().stopped);
    assert_eq!(steps, 9 - 3);
    assert!(std::fs::read(whole.join(LAST)).unwrap() == std::fs::read(killed.join(LAST)).unwrap());
}

/// Every defence trains: adversarial training leaves more of the held-out images standing than none does.
#[test]
fn adversarial_training_makes_robust() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(600, [8, 8, 1], 4);
    let robust = |name: &str, settings: &[&str]| {
        let run = folder.path().join(name);
        let watch = ["train.epochs=8", "attacked.attack=\"fgsm\"", "attacked.eps=64", "data.holdout=200"];
        fit(&recipe(&[&watch, settings].concat()), &data, &run, false).unwrap();
        let line = metrics(&run).pop().unwrap();
        (line.holdout_accuracy, line.holdout_attacked.unwrap())
    };
    let plain = robust("plain", &[]);
    for (name, settings) in [
        ("fgsm", ["adversarial.attack=\"fgsm\"", "adversarial.eps=64", "adversarial.draw=\"fixed\""]),
        ("pgd", ["adversarial.attack=\"pgd\"", "adversarial.eps=32", "adversarial.step=4"]),
        ("trades", ["adversarial.attack=\"pgd\"", "adversarial.eps=32", "adversarial.trades=4"]),
    ] {
        let found = robust(name, &settings);
        assert!(found.1 > plain.1 + 0.05, "{name}: {found:?}, without {plain:?}");
    }
}

/// What learns from bounds is certified where what learns from images alone is not, by small boxes too.
#[test]
fn certified_training_makes_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(600, [8, 8, 1], 4);
    let certified = |name: &str, settings: &[&str]| {
        let run = folder.path().join(name);
        let all = [
            "train.epochs=8",
            "data.holdout=200",
            "model.architecture=\"strided\"",
            "dq.beta=0",
            "certified.eps=48",
            "certified.ramp=4",
            "optimizer.clip=2",
            "attacked.choose=\"certified\"",
        ];
        fit(&recipe(&[&all, settings].concat()), &data, &run, false).unwrap();
        let line = metrics(&run).pop().unwrap();
        line.holdout_certified.unwrap()
    };
    let plain = certified("plain", &["certified.clean=1", "certified.tightness=0"]);
    for (name, settings) in [("ball", "certified.box=1"), ("box", "certified.box=0.6")] {
        let found = certified(name, &[settings]);
        assert!(found > plain + 0.3, "{name}: {found}, without {plain}");
    }
    // What is exported names the measure that chose its epoch.
    let run = folder.path().join("ball");
    let network = dq_train::export(&run, None, Some(&data), Keep::Nowhere, CPU).unwrap();
    let AnyNetwork::Integer(network) = network else { panic!("the recipe is quantized") };
    let best = metrics(&run).iter().filter_map(|line| line.holdout_certified).fold(0.0, f64::max);
    assert_eq!(network.provenance.metrics["holdout_certified"], best);
    assert!(!network.provenance.metrics.contains_key("holdout_accuracy"));
}

/// Weights come back in under the names they went out under; what does not fit is named.
#[test]
fn a_run_starts_from_weights_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    let (first, stop) = (folder.path().join("first"), AtomicBool::new(false));
    fit(&recipe(&["train.epochs=3"]), &data, &first, false).unwrap();
    let start = |run: &str, file: &std::path::Path, settings: &[&str]| {
        let run = folder.path().join(run);
        let slow = ["train.epochs=1", "optimizer.lr=1e-9", "dq.beta=0"];
        let options = Options { init: Some(file), ..options(&run, false, &stop) };
        train(&recipe(&[&slow, settings].concat()), &data, &options, |_| {}).map(|outcome| outcome.best.0)
    };
    let best = first.join(BEST);
    let tuned = start("tuned", &best, &[]).unwrap();
    assert!(tuned > 0.4, "{tuned}");
    let text = std::fs::read_to_string(folder.path().join("tuned").join(RECIPE)).unwrap();
    let note = text.strip_prefix("# it started from the weights of best.safetensors, SHA-256 ");
    let hash = note.unwrap_or_else(|| panic!("{text}")).lines().next().unwrap();
    assert!(hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{text}");
    let error = format!("{:#}", start("wide", &best, &["model.blocks=[[5],[6]]"]).unwrap_err());
    assert!(error.contains("`conv1_1.weight`: expected shape [5, 3, 3, 3], found [4, 3, 3, 3]"), "{error}");
    let error = format!("{:#}", start("deep", &best, &["model.blocks=[[4],[6,6]]"]).unwrap_err());
    assert!(error.contains("`conv2_2.weight` of shape [6, 6, 3, 3] is missing"), "{error}");
    let error = format!("{:#}", start("flat", &best, &["model.blocks=[[4]]"]).unwrap_err());
    assert!(error.contains("has no tensor `conv2_1.weight`"), "{error}");
    let error = format!("{:#}", start("none", &folder.path().join("no.safetensors"), &[]).unwrap_err());
    assert!(error.contains("cannot read") && error.contains("no.safetensors"), "{error}");
}

/// A run that was killed before it saved anything holds its recipe alone.
#[test]
fn a_run_that_saved_nothing_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(120, [8, 8, 3], 4);
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    fit(&recipe(&[]), &data, &whole, false).unwrap();
    std::fs::create_dir(&killed).unwrap();
    std::fs::copy(whole.join(RECIPE), killed.join(RECIPE)).unwrap();
    let error = fit(&recipe(&[]), &data, &killed, false).unwrap_err().to_string();
    assert!(error.contains("already holds a run: resume it"), "{error}");
    fit(&recipe(&[]), &data, &killed, true).unwrap();
    let [a, b] = [whole, killed].map(|run| std::fs::read(run.join(BEST)).unwrap());
    assert!(a == b);
}

#[test]
fn more_epochs_go_on_from_the_last_and_other_changes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(120, [8, 8, 3], 4);
    let run = folder.path().join("run");
    fit(&recipe(&[]), &data, &run, false).unwrap();
    let error = fit(&recipe(&[]), &data, &run, false).unwrap_err().to_string();
    assert!(error.contains("already holds a run"), "{error}");
    let error = fit(&recipe(&["dq.beta=0.5"]), &data, &run, true).unwrap_err().to_string();
    assert!(error.contains("`dq.beta = 0.002`") && error.contains("`dq.beta = 0.5`"), "{error}");
    assert_eq!(fit(&recipe(&["train.epochs=3"]), &data, &run, true).unwrap().epochs, 3);
    assert_eq!(fit(&recipe(&["train.epochs=3"]), &data, &run, true).unwrap().epochs, 3);
    let other = images(120, [8, 8, 1], 4);
    assert!(fit(&recipe(&["train.epochs=4"]), &other, &run, true).is_err());
}

/// The recipe of a run whose earlier epochs were trained by another schedule or number format says so, and
/// with it the exported network; that of any other run is the recipe alone.
#[test]
fn a_run_says_what_its_earlier_epochs_were_trained_with() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(120, [8, 8, 3], 4);
    let go_on = |name: &str, settings: &[&str], stop_at: Option<(usize, usize)>| {
        let (run, stop, mut told) = (folder.path().join(name), AtomicBool::new(false), vec![]);
        let recipe = recipe(settings);
        train(&recipe, &data, &options(&run, true, &stop), |event| match event {
            Event::Step { epoch, step, .. } => stop.store(stop_at == Some((epoch, step)), Ordering::Relaxed),
            Event::Changed(note) => told.push(note.to_owned()),
            Event::Epoch(_) => {}
        })
        .unwrap();
        let text = std::fs::read_to_string(run.join(RECIPE)).unwrap();
        assert!(text.ends_with(&recipe.to_toml()), "{text}");
        let notes: Vec<String> =
            text.lines().map_while(|line| line.strip_prefix("# ")).map(str::to_owned).collect();
        (notes, told)
    };
    let none: Vec<String> = vec![];
    let two = "up to epoch 2 it was trained with `train.epochs = 2`".to_owned();
    let half = "up to step 2 of epoch 3 it was trained with `train.epochs = 4`, `train.precision = \"fp32\"`";
    assert_eq!(go_on("run", &["train.epochs=2"], None), (none.clone(), none.clone()));
    assert_eq!(go_on("run", &["train.epochs=2"], None), (none.clone(), none.clone()));
    let stopped = go_on("run", &["train.epochs=4"], Some((3, 1)));
    assert_eq!(stopped, (vec![two.clone()], vec![two.clone()]));
    assert_eq!(go_on("run", &["train.epochs=4"], Some((3, 2))), (vec![two.clone()], none.clone()));
    let last = go_on("run", &["train.epochs=5", "train.precision=\"bf16\""], None);
    assert_eq!(last, (vec![two.clone(), half.into()], vec![half.into()]));
    let run = folder.path().join("run");
    let network = dq_train::export(&run, None, Some(&data), Keep::Nowhere, CPU).unwrap();
    let AnyNetwork::Integer(network) = network else { panic!("the recipe is quantized") };
    assert!(network.provenance.recipe.starts_with(&format!("# {two}\n# {half}\nname = ")));
    // Rates that do not depend on the length are the same ones.
    let steps = |epochs: &'static str| ["schedule.kind=\"step\"", "schedule.milestones=[1]", epochs];
    go_on("steps", &steps("train.epochs=2"), None);
    assert_eq!(go_on("steps", &steps("train.epochs=3"), None), (none.clone(), none));
}

#[test]
fn it_learns_and_the_penalty_brings_the_weights_to_orthonormal() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(600, [8, 8, 1], 4);
    let last = |name: &str, beta: &str| {
        let run = folder.path().join(name);
        let recipe = recipe(&["train.epochs=8", beta]);
        let outcome = fit(&recipe, &data, &run, false).unwrap();
        assert!(outcome.best.0 > 0.8, "holdout accuracy {}", outcome.best.0);
        let line = metrics(&run).pop().unwrap();
        line.penalty.iter().map(|(_, value)| value).sum::<f64>()
    };
    let (vanilla, dq) = (last("vanilla", "dq.beta=0"), last("dq", "dq.beta=0.05"));
    assert!(dq < 0.2 * vanilla, "penalty {dq} with DQ, {vanilla} without");
}

#[test]
fn divergence_is_an_error_that_names_the_place_and_keeps_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(120, [8, 8, 3], 4);
    let run = folder.path().join("run");
    fit(&recipe(&[]), &data, &run, false).unwrap();
    let before = std::fs::read(run.join(LAST)).unwrap();
    let mut steep = recipe(&["train.epochs=9"]);
    steep.dq.beta = 1e30;
    let fresh = folder.path().join("fresh");
    let error = fit(&steep, &data, &fresh, false).unwrap_err().to_string();
    assert!(error.contains("diverged in epoch 1, step") && error.contains('`'), "{error}");
    assert!(!fresh.join(LAST).exists());
    assert_eq!(std::fs::read(run.join(LAST)).unwrap(), before);
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(30, [8, 8, 3], 4);
    let error = fit(&recipe(&[]), &data, folder.path(), false).unwrap_err().to_string();
    assert!(error.contains("`data.holdout` = 20") && error.contains("30 training images"), "{error}");
    let blocker = folder.path().join("file");
    std::fs::write(&blocker, "").unwrap();
    let error = fit(&recipe(&[]), &images(60, [8, 8, 3], 4), &blocker, false).unwrap_err().to_string();
    assert!(error.contains("cannot make the run folder"), "{error}");
}
