//! The training loop and its run folder, from outside.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{fit, images, recipe};
use dq_train::{BEST, EpochMetrics, Event, LAST, METRICS, Options, RECIPE, train};

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
        let options = Options { run: &pieces, resume: false, threads: 1, stop: &stop };
        let outcome = train(&recipe, &data, &options, |event| {
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
        let metrics = std::fs::read_to_string(pieces.join(METRICS)).unwrap();
        let epochs: Vec<usize> =
            metrics.lines().map(|l| serde_json::from_str::<EpochMetrics>(l).unwrap().epoch).collect();
        assert_eq!(epochs, [1, 2, 3, 4]);
    }
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
    assert!(error.contains("`beta = 0.002`") && error.contains("`beta = 0.5`"), "{error}");
    assert_eq!(fit(&recipe(&["train.epochs=3"]), &data, &run, true).unwrap().epochs, 3);
    let other = images(120, [8, 8, 1], 4);
    assert!(fit(&recipe(&["train.epochs=4"]), &other, &run, true).is_err());
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
        let metrics = std::fs::read_to_string(run.join(METRICS)).unwrap();
        let line: EpochMetrics = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
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
