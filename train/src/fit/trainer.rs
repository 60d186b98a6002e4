//! Runs the training loop: epoch after epoch, saved in between and after each. Never looks at the test split.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dq_data::Images;
use tch::{Device, Kind, Tensor, no_grad};

use crate::fit::adversary::{Goal, adversaries, watching};
use crate::fit::batch;
use crate::fit::certified::certified_accuracy;
use crate::fit::learner::Learner;
use crate::fit::model::Model;
use crate::fit::norms::norms;
use crate::fit::optimizer::{learning_rate, penalties};
use crate::fit::pass::{Pass, count_right};
use crate::graph;
use crate::recipe::{Attack, Choose, Precision, Recipe};
use crate::run::checkpoint::{State, load_tensors};
use crate::run::files::LAST;
use crate::run::folder::Folder;
use crate::run::metrics::{EpochMetrics, Event};
use crate::run::options::Options;
use crate::run::tensorboard::TensorBoard;

/// Says how a training ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Number of completed epochs, those of earlier calls included.
    pub epochs: usize,
    /// Highest held-out accuracy (attacked or certified, where the recipe chooses by that), 0…1, and the epoch
    /// that reached it.
    pub best: (f64, usize),
    /// Whether `stop` ended it early.
    pub stopped: bool,
}

/// Trains `recipe` on `images` (the training split), epoch by epoch, and saves after each.
///
/// # Errors
/// A folder that does not fit, a full disk, data that does not fit the recipe, a loss that is not finite
/// (naming epoch, step and node), a device without enough memory. The last good checkpoint stays in every
/// case.
pub fn train(
    recipe: &Recipe,
    images: &Images,
    options: &Options,
    mut tell: impl FnMut(Event),
) -> Result<Outcome> {
    ensure!(
        images.len() >= recipe.data.holdout + recipe.train.batch && recipe.data.holdout > 0,
        "`data.holdout` = {} and `train.batch` = {} do not fit {} training images \
         (both must, and a holdout is needed)",
        recipe.data.holdout,
        recipe.train.batch,
        images.len()
    );
    let device = options.compute.begin();
    if device.is_cuda() {
        // With `deterministic`, libtorch's own deterministic kernels run instead of the fastest of cuDNN's.
        tch::Cuda::cudnn_set_benchmark(!recipe.train.deterministic);
        tch::Cuda::set_user_enabled_cudnn(!recipe.train.deterministic);
    }
    let kind = convolution_kind(recipe.train.precision, device);
    let (squeeze, bits) = (recipe.squeeze, &recipe.bits);
    let nodes = graph::build(&recipe.model, squeeze, bits, images.shape(), images.classes.len())?;
    let mut learner = Learner::new(recipe, nodes, device);
    let (learn, held) = batch::split(images.len(), recipe.data.holdout, recipe.train.seed);
    let source = batch::Source::new(images, kind, device);
    if !options.goes_on() {
        match options.init {
            Some(path) => learner.start_from(&load_tensors(path)?, path).context("weights to start from")?,
            None => learner.fit(&source.pixels(&learn[..recipe.train.batch])),
        }
    }
    let (mut folder, checkpoint) = Folder::open(options, recipe, images)?;
    if let Some(tensors) = checkpoint {
        learner.restore(&tensors, &options.run.join(LAST))?;
    }
    let steps = learn.len() / recipe.train.batch;
    let changed = folder.earlier.as_ref().map(|earlier| changed(earlier, recipe, &folder.state, steps));
    if let Some(note) = changed.and_then(|settings| folder.note(&settings)) {
        tell(Event::Changed(&note));
    }
    folder.save_recipe(recipe)?;
    let mut board = TensorBoard::default();
    while folder.state.epochs < recipe.train.epochs {
        let start = Instant::now();
        let pass = Pass { recipe, source: &source, learn: &learn, options, device };
        let Some(learned) = pass.run(&mut learner, &mut folder, &mut tell)? else {
            folder.save_last(&learner.checkpoint())?;
            return Ok(outcome(&folder, true));
        };
        let epoch = folder.state.epochs;
        let model = learner.evaluated();
        let eps = recipe.certified.eps;
        let penalty = penalties(model, recipe.dq.on);
        let line = EpochMetrics {
            epoch: epoch + 1,
            loss: learned.loss + recipe.dq.beta / 2.0 * penalty.iter().map(|(_, value)| value).sum::<f64>(),
            ce: learned.loss,
            penalty,
            norm: norms(model),
            train_accuracy: learned.accuracy,
            holdout_accuracy: accuracy(model, &source, &held),
            holdout_attacked: attacked_accuracy(recipe, model, &source, &held),
            holdout_certified: (eps > 0.0).then(|| certified_accuracy(model, &source, &held, eps)),
            lr: learning_rate(recipe, epoch, steps - 1, steps),
            images_per_second: learned.images_per_second,
            seconds: start.elapsed().as_secs_f64(),
        };
        let score = match recipe.attacked.choose {
            Choose::Clean => line.holdout_accuracy,
            Choose::Attacked => line.holdout_attacked.unwrap_or(line.holdout_accuracy),
            Choose::Certified => line.holdout_certified.unwrap_or(line.holdout_accuracy),
        };
        if folder.state.finish_epoch(score) {
            folder.save_best(&learner.exported())?;
        }
        folder.save_metrics(&line)?;
        folder.save_last(&learner.checkpoint())?;
        board.write(options.run, &line)?;
        tell(Event::Epoch(&line));
    }
    Ok(outcome(&folder, false))
}

/// Returns the settings of the `earlier` recipe that the steps so far were made with and that differ from the
/// recipe's. A run may go on with another length, which changes the learning rate of each step, and with
/// another number format.
fn changed(earlier: &Recipe, recipe: &Recipe, state: &State, steps: usize) -> Vec<String> {
    let mut settings = Vec::new();
    let rates = |recipe: &Recipe, n: usize| learning_rate(recipe, n / steps, n % steps, steps);
    if (0..state.epochs * steps + state.step).any(|n| rates(earlier, n) != rates(recipe, n)) {
        settings.push(format!("`train.epochs = {}`", earlier.train.epochs));
    }
    if earlier.train.precision != recipe.train.precision {
        let precision = toml::Value::try_from(earlier.train.precision).expect("a word");
        settings.push(format!("`train.precision = {precision}`"));
    }
    settings
}

fn outcome(folder: &Folder, stopped: bool) -> Outcome {
    let state = folder.state;
    Outcome { epochs: state.epochs, best: (state.best_accuracy, state.best_epoch), stopped }
}

/// Returns the number format that `precision` means on this machine.
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

/// Number of held-out images that are evaluated at once.
const CHUNK: usize = 250;

/// Returns the share of images `indices` that are labelled right, by running statistics: 0…1.
fn accuracy(model: &Model, source: &batch::Source, indices: &[usize]) -> f64 {
    share_right(model, source, indices, |images, _, _| images)
}

/// Returns the same for the first of `held` under the recipe's attack, if it has one.
fn attacked_accuracy(recipe: &Recipe, model: &Model, source: &batch::Source, held: &[usize]) -> Option<f64> {
    let attacked = &recipe.attacked;
    if attacked.attack == Attack::None {
        return None;
    }
    let settings = watching(attacked);
    let few = &held[..attacked.images.min(held.len())];
    Some(share_right(model, source, few, |images, labels, chunk| {
        // No training step has such a number, so no random numbers are shared.
        let draw = (recipe.train.seed, u64::MAX - chunk as u64);
        adversaries(model, &images, &Goal::Labels(labels), &settings, draw)
    }))
}

fn share_right(
    model: &Model,
    source: &batch::Source,
    indices: &[usize],
    change: impl Fn(Tensor, &Tensor, usize) -> Tensor,
) -> f64 {
    let right = indices.chunks(CHUNK).enumerate().map(|(c, chunk)| {
        let labels = source.labels(chunk);
        let images = change(source.pixels(chunk), &labels, c);
        no_grad(|| count_right(&model.forward(&images, false), &labels)).int64_value(&[])
    });
    right.sum::<i64>() as f64 / indices.len() as f64
}
