//! The training loop and the folder it writes: `recipe.toml` (resolved), `metrics.jsonl` (a line an epoch),
//! `last.safetensors` (with momentum: training goes on from it), `best.safetensors` (highest holdout accuracy).
//! Never looks at the test split.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use dq_net::data::Images;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use crate::batch;
use crate::checkpoint::{State, load, restore, save, write_atomically};
use crate::graph;
use crate::model::{Model, Tensors};
use crate::recipe::{Precision, Recipe};
use crate::sgd::{learning_rate, penalties, update, zero_momentum};

/// The resolved recipe.
pub const RECIPE: &str = "recipe.toml";
/// One JSON object an epoch.
pub const METRICS: &str = "metrics.jsonl";
/// The newest epoch, with momentum.
pub const LAST: &str = "last.safetensors";
/// The epoch with the highest holdout accuracy (the earliest of equals).
pub const BEST: &str = "best.safetensors";
/// Prefix of momentum buffers in a checkpoint.
const MOMENTUM: &str = "momentum.";

/// How to run, as opposed to what.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Folder of the run; made where it is missing.
    pub run: &'a Path,
    /// Go on from `last.safetensors`; without it a folder that holds a run is refused.
    pub resume: bool,
    /// CPU threads, at least 1.
    pub threads: usize,
    /// Set from outside to stop after the current batch: the run then stands at the last completed epoch.
    pub stop: &'a AtomicBool,
}

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// From 1.
    pub epoch: usize,
    /// `ce` + (β/2)·Σ `penalty`.
    pub loss: f64,
    /// Mean cross entropy over the epoch's batches.
    pub ce: f64,
    /// ‖WᵀW − I‖²_F (0 = orthonormal) of each layer at the end of the epoch, in graph order.
    pub penalty: Vec<(String, f64)>,
    /// Share of the (augmented) training images labelled right while they were learned from, 0…1.
    pub train_accuracy: f64,
    /// Share of the held-out images labelled right at the end of the epoch, 0…1.
    pub holdout_accuracy: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Training images a second, holdout and checkpoint left out.
    pub images_per_second: f64,
    /// Wall time of the whole epoch.
    pub seconds: f64,
}

/// What the loop tells while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step was made.
    Step {
        /// Epoch, from 1.
        epoch: usize,
        /// Epochs of the recipe.
        epochs: usize,
        /// Step, from 1.
        step: usize,
        /// Steps an epoch.
        steps: usize,
        /// Cross entropy of this batch.
        ce: f64,
    },
    /// An epoch is complete and saved.
    Epoch(&'a EpochMetrics),
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Epochs completed, those of earlier calls included.
    pub epochs: usize,
    /// Highest holdout accuracy, 0…1, and the epoch that reached it.
    pub best: (f64, usize),
    /// Whether `stop` ended it early.
    pub stopped: bool,
}

/// Trains `recipe` on `images` (the training split), epoch by epoch, and saves after each.
///
/// # Errors
/// A folder that does not fit, a full disk, data that does not fit the recipe, a loss that is not finite (naming epoch,
/// step and node). The last good checkpoint stays in every case.
pub fn train(
    recipe: &Recipe,
    images: &Images,
    options: &Options,
    mut tell: impl FnMut(Event),
) -> Result<Outcome> {
    ensure!(
        images.len() >= recipe.data.holdout + recipe.train.batch && recipe.data.holdout > 0,
        "`data.holdout` = {} and `train.batch` = {} do not fit {} training images (both must, and a holdout is needed)",
        recipe.data.holdout,
        recipe.train.batch,
        images.len()
    );
    crate::keep_large_blocks();
    crate::set_threads(options.threads);
    let device = crate::device();
    let kind = convolution_kind(recipe.train.precision, device);
    let nodes =
        graph::build(&recipe.model, recipe.squeeze, &recipe.bits, images.shape(), images.classes.len())?;
    let mut model = Model::new(nodes, &recipe.bits, recipe.train.seed, device);
    let mut momentum = zero_momentum(&model);
    let (mut state, mut metrics) = open(options, recipe, images, &mut model, &mut momentum)?;

    let (learn, held) = batch::split(images.len(), recipe.data.holdout, recipe.train.seed);
    for epoch in state.epochs..recipe.train.epochs {
        let start = Instant::now();
        let pass = Pass { recipe, images, learn: &learn, epoch, kind, device };
        let Some((ce, train_accuracy)) = pass.run(&mut model, &mut momentum, options.stop, &mut tell)? else {
            return Ok(Outcome {
                epochs: epoch,
                best: (state.best_accuracy, state.best_epoch),
                stopped: true,
            });
        };
        let learned = start.elapsed().as_secs_f64();
        let holdout_accuracy = accuracy(&model, images, &held, kind, device);
        let steps = learn.len() / recipe.train.batch;
        let penalty = penalties(&model, recipe.dq.on);
        let line = EpochMetrics {
            epoch: epoch + 1,
            loss: ce + recipe.dq.beta / 2.0 * penalty.iter().map(|(_, value)| value).sum::<f64>(),
            ce,
            penalty,
            train_accuracy,
            holdout_accuracy,
            lr: learning_rate(recipe, epoch, steps - 1, steps),
            images_per_second: (steps * recipe.train.batch) as f64 / learned,
            seconds: start.elapsed().as_secs_f64(),
        };
        state.epochs = epoch + 1;
        let improved = state.best_epoch == 0 || holdout_accuracy > state.best_accuracy;
        if improved {
            (state.best_accuracy, state.best_epoch) = (holdout_accuracy, epoch + 1);
        }
        let mut tensors = all_tensors(&model);
        if improved {
            save(&options.run.join(BEST), &tensors, &state)?;
        }
        metrics.push_str(&serde_json::to_string(&line)?);
        metrics.push('\n');
        write_atomically(&options.run.join(METRICS), metrics.as_bytes())?;
        tensors.extend(momentum.iter().map(|(name, t)| (format!("{MOMENTUM}{name}"), t.shallow_clone())));
        save(&options.run.join(LAST), &tensors, &state)?;
        tell(Event::Epoch(&line));
    }
    Ok(Outcome { epochs: state.epochs, best: (state.best_accuracy, state.best_epoch), stopped: false })
}

/// The number format that `precision` means on this machine.
pub fn convolution_kind(precision: Precision, device: Device) -> Kind {
    match precision {
        Precision::Bf16 => Kind::BFloat16,
        Precision::Fp32 => Kind::Float,
        Precision::Auto if device.is_cuda() || multiplies_bf16() => Kind::BFloat16,
        Precision::Auto => Kind::Float,
    }
}

#[cfg(target_arch = "x86_64")]
fn multiplies_bf16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn multiplies_bf16() -> bool {
    false
}

/// Share of images `indices` labelled right, by running statistics. 0…1.
fn accuracy(model: &Model, images: &Images, indices: &[usize], kind: Kind, device: Device) -> f64 {
    let right: i64 = no_grad(|| {
        let chunks = indices.chunks(250);
        chunks
            .map(|chunk| {
                let scores = model.forward(&batch::pixels(images, chunk, kind, device), false);
                count_right(&scores, &batch::labels(images, chunk, device)).int64_value(&[])
            })
            .sum()
    });
    right as f64 / indices.len() as f64
}

fn count_right(scores: &Tensor, labels: &Tensor) -> Tensor {
    scores.argmax(1, false).eq_tensor(labels).sum(Kind::Int64)
}

/// One epoch's pass over the training images.
struct Pass<'a> {
    recipe: &'a Recipe,
    images: &'a Images,
    learn: &'a [usize],
    epoch: usize,
    kind: Kind,
    device: Device,
}

impl Pass<'_> {
    /// Mean cross entropy and accuracy, or `None` where it was stopped.
    fn run(
        &self,
        model: &mut Model,
        momentum: &mut Tensors,
        stop: &AtomicBool,
        tell: &mut impl FnMut(Event),
    ) -> Result<Option<(f64, f64)>> {
        let Recipe { data, optimizer, dq, train, .. } = self.recipe;
        let steps = self.learn.len() / train.batch;
        let order = batch::order(self.learn.len(), train.seed, self.epoch);
        let (mut total, mut right) = (0.0, Tensor::zeros([], (Kind::Int64, self.device)));
        for (step, chunk) in order.chunks_exact(train.batch).enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let indices: Vec<usize> = chunk.iter().map(|&i| self.learn[i]).collect();
            let (images, device) = (self.images, self.device);
            let pixels =
                batch::augmented(images, &indices, &data.augment, train.seed, self.epoch, self.kind, device);
            let labels = batch::labels(images, &indices, device);
            let scores = model.forward(&pixels, true);
            let loss = scores.cross_entropy_for_logits(&labels);
            let ce = loss.double_value(&[]);
            if !ce.is_finite() {
                let node = model.first_not_finite(&pixels).unwrap_or_else(|| "the loss".to_owned());
                let (epoch, step) = (self.epoch + 1, step + 1);
                bail!(
                    "training diverged in epoch {epoch}, step {step}: `{node}` is not finite (loss {ce}); try a lower `optimizer.lr`"
                );
            }
            loss.backward();
            update(model, momentum, optimizer, dq, learning_rate(self.recipe, self.epoch, step, steps));
            total += ce;
            let _ = no_grad(|| right.g_add_(&count_right(&scores, &labels)));
            tell(Event::Step { epoch: self.epoch + 1, epochs: train.epochs, step: step + 1, steps, ce });
        }
        let seen = (steps * train.batch) as f64;
        Ok(Some((total / steps as f64, right.int64_value(&[]) as f64 / seen)))
    }
}

/// Parameters and statistics under their own names.
fn all_tensors(model: &Model) -> Tensors {
    model.parameters.iter().chain(&model.statistics).map(|(k, t)| (k.clone(), t.shallow_clone())).collect()
}

/// Makes or resumes the run folder. Returns the state and the metrics lines so far.
fn open(
    options: &Options,
    recipe: &Recipe,
    images: &Images,
    model: &mut Model,
    momentum: &mut Tensors,
) -> Result<(State, String)> {
    let run = options.run;
    let last = run.join(LAST);
    std::fs::create_dir_all(run).with_context(|| format!("cannot make the run folder {}", run.display()))?;
    let (image, classes) = (images.shape(), images.classes.len());
    let mut state = State { epochs: 0, best_accuracy: 0.0, best_epoch: 0, image, classes };
    let mut metrics = String::new();
    if options.resume && last.exists() {
        same_training(&Recipe::load(&run.join(RECIPE), &[])?, recipe, run)?;
        let (tensors, found): (Tensors, State) = load(&last)?;
        restore(&mut model.parameters, &tensors, "", &last)?;
        restore(&mut model.statistics, &tensors, "", &last)?;
        restore(momentum, &tensors, MOMENTUM, &last)?;
        ensure!(
            (found.image, found.classes) == (image, classes),
            "{}: trained on images of {:?} and {} classes, found {image:?} and {classes}",
            last.display(),
            found.image,
            found.classes
        );
        state = found;
        metrics = lines_up_to(&run.join(METRICS), state.epochs)?;
    } else {
        ensure!(
            options.resume || !(last.exists() || run.join(RECIPE).exists()),
            "{} already holds a run: resume it (--resume) or name another folder",
            run.display()
        );
    }
    write_atomically(&run.join(RECIPE), recipe.to_toml().as_bytes())?;
    Ok((state, metrics))
}

/// Refuses to resume with another recipe; name, length and precision may change.
fn same_training(old: &Recipe, new: &Recipe, run: &Path) -> Result<()> {
    let mut expected = new.clone();
    expected.name.clone_from(&old.name);
    expected.train.epochs = old.train.epochs;
    expected.train.precision = old.train.precision;
    if *old == expected {
        return Ok(());
    }
    let (old, new) = (old.to_toml(), expected.to_toml());
    let changed = old.lines().zip(new.lines()).find(|(a, b)| a != b);
    let (was, is) = changed.unwrap_or((&old, &new));
    bail!("{}: cannot resume with another recipe: the run has `{was}`, the recipe has `{is}`", run.display());
}

/// The metrics of epochs 1…`epochs`; later lines belong to an epoch that was never saved.
fn lines_up_to(path: &Path, epochs: usize) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().take(epochs).map(|line| format!("{line}\n")).collect())
}
