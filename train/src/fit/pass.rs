//! Runs one pass over the training images: from where the run's state stands to the end of the epoch, or to a
//! stop.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use crate::fit::adversary::{Goal, adversaries, divergence};
use crate::fit::batch;
use crate::fit::certified;
use crate::fit::learner::Learner;
use crate::fit::model::Model;
use crate::fit::optimizer::Rates;
use crate::recipe::{Attack, Recipe};
use crate::run::folder::Folder;
use crate::run::metrics::Event;
use crate::run::options::Options;

/// Holds what a pass needs.
pub struct Pass<'a> {
    pub recipe: &'a Recipe,
    pub source: &'a batch::Source<'a>,
    /// Indices of the training images.
    pub learn: &'a [usize],
    pub options: &'a Options<'a>,
    pub device: Device,
}

/// Holds what a complete pass tells.
pub struct Learned {
    /// Mean loss over the batches, without the penalty.
    pub loss: f64,
    /// Share of the images that were labelled right, 0…1.
    pub accuracy: f64,
    /// Training images per second, in the steps that this process made.
    pub images_per_second: f64,
}

impl Pass<'_> {
    /// Trains from the folder's state on; returns `None` where it was stopped, the state then says where.
    pub fn run(
        &self,
        learner: &mut Learner,
        folder: &mut Folder,
        tell: &mut impl FnMut(Event),
    ) -> Result<Option<Learned>> {
        let train = &self.recipe.train;
        let epoch = folder.state.epochs;
        let steps = self.learn.len() / train.batch;
        let order = batch::order(self.learn.len(), train.seed, epoch);
        let mut right = Tensor::from(folder.state.right).to_device(self.device);
        let (start, first) = (Instant::now(), folder.state.step);
        let mut saved = Instant::now();
        for (step, chunk) in order.chunks_exact(train.batch).enumerate().skip(first) {
            if self.options.stop.load(Ordering::Relaxed) {
                if let Some(node) = learner.model.first_broken() {
                    return Err(diverged(epoch, step, node, f64::NAN));
                }
                folder.state.right = right.int64_value(&[]);
                return Ok(None);
            }
            let indices: Vec<usize> = chunk.iter().map(|&i| self.learn[i]).collect();
            let images = self.source.augmented(&indices, &self.recipe.data, train.seed, epoch);
            let labels = self.source.labels(&indices);
            let number = (epoch * steps + step) as u64;
            let (loss, correct) = enough_memory(self.device, train.batch, || {
                let time = epoch as f64 + step as f64 / steps as f64;
                self.loss(&learner.model, images.shallow_clone(), &labels, (time, number))
            })?;
            let value = loss.double_value(&[]);
            if !value.is_finite() {
                let node = learner.model.first_not_finite(&images).unwrap_or_else(|| "the loss".to_owned());
                return Err(diverged(epoch, step, &node, value));
            }
            enough_memory(self.device, train.batch, || loss.backward())?;
            learner.update(self.recipe, Rates::of(self.recipe, epoch, step, steps));
            let _ = no_grad(|| right.g_add_(&correct));
            folder.state.step = step + 1;
            folder.state.loss += value;
            let is_last = step + 1 == steps;
            if is_last || saved.elapsed() >= self.options.save_every {
                // A broken node would show in the loss of the next step only: the network must not be saved.
                if let Some(node) = learner.model.first_broken() {
                    return Err(diverged(epoch, step, node, value));
                }
                folder.state.right = right.int64_value(&[]);
                // The last step is saved together with its epoch.
                if !is_last {
                    folder.save_last(&learner.checkpoint())?;
                    saved = Instant::now();
                }
            }
            tell(Event::Step { epoch: epoch + 1, epochs: train.epochs, step: step + 1, steps, ce: value });
        }
        let seen = (steps - first) * train.batch;
        Ok(Some(Learned {
            loss: folder.state.loss / steps as f64,
            accuracy: folder.state.right as f64 / (steps * train.batch) as f64,
            images_per_second: seen as f64 / start.elapsed().as_secs_f64(),
        }))
    }

    /// Returns the loss of step `number`, at `time` in epochs, without the penalty, and how many images it
    /// labels right.
    fn loss(
        &self,
        model: &Model,
        images: Tensor,
        labels: &Tensor,
        (time, number): (f64, u64),
    ) -> (Tensor, Tensor) {
        let (settings, train) = (&self.recipe.adversarial, &self.recipe.train);
        let draw = (train.seed, number);
        if self.recipe.certified.eps > 0.0 {
            let (loss, scores) = certified::loss(model, (&images, labels), self.recipe, (time, draw));
            return (loss, count_right(&scores, labels));
        }
        let cross_entropy = |scores: &Tensor| {
            scores.cross_entropy_loss(labels, None::<Tensor>, Reduction::Mean, -100, train.label_smoothing)
        };
        if settings.attack == Attack::None {
            let scores = model.forward(&images, true);
            return (cross_entropy(&scores), count_right(&scores, labels));
        }
        if settings.trades > 0.0 {
            let hostile = adversaries(model, &images, &Goal::Divergence, settings, draw);
            let clean = model.forward(&images, true);
            let scores = model.forward(&hostile, true);
            let apart = divergence(&clean.softmax(-1, Kind::Float), &scores);
            return (cross_entropy(&clean) + apart * settings.trades, count_right(&scores, labels));
        }
        let n = images.size()[0];
        let share = ((settings.share * n as f64).round() as i64).clamp(1, n);
        let goal = labels.narrow(0, 0, share);
        let hostile = adversaries(model, &images.narrow(0, 0, share), &Goal::Labels(&goal), settings, draw);
        let images =
            if share < n { Tensor::cat(&[hostile, images.narrow(0, share, n - share)], 0) } else { hostile };
        let scores = model.forward(&images, true);
        let right = count_right(&scores, labels);
        if settings.weight == 1.0 {
            return (cross_entropy(&scores), right);
        }
        let each =
            scores.cross_entropy_loss(labels, None::<Tensor>, Reduction::None, -100, train.label_smoothing);
        let sum = |first: i64, count: i64| each.narrow(0, first, count).sum(Kind::Float);
        let whole = settings.weight * share as f64 + (n - share) as f64;
        ((sum(0, share) * settings.weight + sum(share, n - share)) / whole, right)
    }
}

fn diverged(epoch: usize, step: usize, node: &str, loss: f64) -> anyhow::Error {
    anyhow!(
        "training diverged in epoch {}, step {}: `{node}` is not finite (loss {loss}); \
         try a lower `optimizer.lr`",
        epoch + 1,
        step + 1
    )
}

/// Returns how many labels have the highest score.
pub fn count_right(scores: &Tensor, labels: &Tensor) -> Tensor {
    scores.argmax(1, false).eq_tensor(labels).sum(Kind::Int64)
}

/// Runs `work`; on a GPU, libtorch's panic for want of memory becomes an error that says what to change.
fn enough_memory<T>(device: Device, batch: usize, work: impl FnOnce() -> T) -> Result<T> {
    if !device.is_cuda() {
        return Ok(work());
    }
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
        if text.contains("out of memory") {
            bail!(
                "the GPU's memory does not hold a step of {batch} images: try `train.batch` = {}",
                batch / 2
            );
        }
        std::panic::resume_unwind(panic)
    })
}
