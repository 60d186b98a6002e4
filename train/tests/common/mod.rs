//! Holds what the integration tests of this crate share: small learnable images and a training call.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Result;
use dq_data::Images;
use dq_train::{Compute, EpochMetrics, Event, METRICS, Options, Outcome, Recipe, train};
use ndarray::Array4;

/// Draws `n` images of height × width × channels in `classes` classes: noise, brighter in a stripe that tells
/// the class.
pub fn images(n: usize, [height, width, channels]: [usize; 3], classes: usize) -> Images {
    let noise = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) % 120;
    let mut count = 0;
    let pixels = Array4::from_shape_fn((n, height, width, channels), |(i, _, x, _)| {
        count += 1;
        let stripe = x * classes / width == i % classes;
        (noise(count) + if stripe { 130 } else { 0 }) as u8
    });
    let labels = (0..n).map(|i| (i % classes) as u8).collect();
    Images {
        name: "stripes".to_owned(),
        pixels,
        labels,
        classes: (0..classes).map(|c| c.to_string()).collect(),
    }
}

/// Makes a recipe from its defaults, small enough for tests, changed by `overrides`.
pub fn recipe(overrides: &[&str]) -> Recipe {
    let text = "data.set = \"cifar10\"\ndata.holdout = 20\nmodel.blocks = [[4], [6]]\ntrain.batch = 20\n\
                train.epochs = 2\ntrain.precision = \"fp32\"\nschedule.warmup = 0.5\noptimizer.lr = 0.05";
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    Recipe::parse(text, "test", &overrides).expect("a valid recipe")
}

/// The device of the tests: what is trained there is the same on every run.
pub const CPU: Compute = Compute::one_thread();

/// Returns options with one thread and no checkpoint within an epoch.
pub fn options<'a>(run: &'a Path, resume: bool, stop: &'a AtomicBool) -> Options<'a> {
    Options { run, resume, init: None, compute: CPU, save_every: Duration::MAX, stop }
}

/// Trains on one thread.
pub fn fit(recipe: &Recipe, images: &Images, run: &Path, resume: bool) -> Result<Outcome> {
    let stop = AtomicBool::new(false);
    train(recipe, images, &options(run, resume, &stop), |_: Event| {})
}

/// Reads the metrics of a run, one entry per epoch.
pub fn metrics(run: &Path) -> Vec<EpochMetrics> {
    let text = std::fs::read_to_string(run.join(METRICS)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
