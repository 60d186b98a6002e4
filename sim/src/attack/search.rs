//! Holds what the searching attacks have in common: which images survive so far, the best adversary of each,
//! and how often it was evaluated. Never decides where to look.
//!
//! Real-valued iterates (APGD, FAB) are evaluated at lattice points alone. An image is done
//! when the network under attack is wrong about it; with a substitute's gradients the largest loss is
//! kept instead.

use super::task::{Candidates, Task};
use crate::gradient::{Loss, LossGradient, arg_max};
use crate::lattice::{add_uniform, is_zero};
use crate::random::Random;
use ndarray::{Array2, Array4, ArrayView1, Axis};

/// Holds the state of a search over the images of a task.
pub(super) struct Search<'s, 't> {
    pub task: &'s Task<'t>,
    /// Indices of the task's images that are not broken yet, ascending.
    pub surviving: Vec<usize>,
    found: Candidates,
    /// Loss of each image's kept adversary.
    best: Vec<f64>,
}

impl<'s, 't> Search<'s, 't> {
    pub fn new(task: &'s Task<'t>) -> Self {
        let count = task.labels.len();
        let surviving = (0..count).collect();
        Search { task, surviving, found: task.start(), best: vec![f64::NEG_INFINITY; count] }
    }

    /// Computes loss and gradient at `images`, one per surviving image; `loss` knows those alone. Keeps an
    /// image that raised the loss and, where gradients are the target's own, one that is misclassified: its
    /// original survives no more. Says which of `images` those are.
    pub fn ascend(&mut self, images: &Array4<u8>, loss: Loss) -> (LossGradient, Vec<bool>) {
        self.ascend_beyond(images, loss, &vec![false; images.dim().0])
    }

    /// Computes the margin of each of `images`, one per surviving image, by the network under attack. Keeps
    /// and says the same as [`Search::ascend`].
    pub fn margins(&mut self, images: &Array4<u8>) -> (Vec<f64>, Vec<bool>) {
        let labels = self.labels();
        let logits = self.task.target.judged_logits(images.view(), &labels);
        let margin =
            |(row, &label): (ArrayView1<f64>, &u8)| Loss::Margin.of(0, &row.to_vec(), label.into()).0;
        let margins: Vec<f64> = logits.rows().into_iter().zip(&labels).map(margin).collect();
        let broken = self.keep(images, &logits, &margins, &vec![false; images.dim().0]);
        (margins, broken)
    }

    /// Does what [`Search::ascend`] does for an attack that leaves the ball: images `outside` are evaluated
    /// and not kept.
    pub fn ascend_beyond(
        &mut self,
        images: &Array4<u8>,
        loss: Loss,
        outside: &[bool],
    ) -> (LossGradient, Vec<bool>) {
        let labels = self.labels();
        let slopes = self.task.source.loss_gradient(images.view(), &labels, loss);
        for (&i, gradient) in self.surviving.iter().zip(slopes.gradient.outer_iter()) {
            self.found.zero_gradient[i] |= is_zero(gradient.iter());
        }
        let broken = self.keep(images, &slopes.logits, &slopes.losses, outside);
        (slopes, broken)
    }

    /// Returns the true labels of the surviving images.
    pub fn labels(&self) -> Vec<u8> {
        self.surviving.iter().map(|&i| self.task.labels[i]).collect()
    }

    /// Returns the originals of the surviving images.
    pub fn originals(&self) -> Array4<u8> {
        self.task.images.select(Axis(0), &self.surviving)
    }

    /// Returns the originals of the surviving images with noise uniform in the ball, each from its own of the
    /// task's `random`.
    pub fn noisy(&self, random: &mut [Random]) -> Array4<u8> {
        let mut images = self.originals();
        for (image, &i) in images.outer_iter_mut().zip(&self.surviving) {
            add_uniform(image, self.task.eps, self.task.top, &mut random[i]);
        }
        images
    }

    /// Forgets the losses of the kept images, which do not compare with those of another loss.
    pub fn forget_losses(&mut self) {
        self.best.fill(f64::NEG_INFINITY);
    }

    /// Returns what was found.
    pub fn finish(self) -> Candidates {
        self.found
    }

    /// Keeps the better of `images`, except those that lie `outside` the ball.
    fn keep(
        &mut self,
        images: &Array4<u8>,
        logits: &Array2<f64>,
        losses: &[f64],
        outside: &[bool],
    ) -> Vec<bool> {
        let mut all = vec![];
        for (at, &i) in self.surviving.iter().enumerate() {
            self.found.queries[i] += 1;
            if outside[at] {
                all.push(false);
                continue;
            }
            let label = arg_max(logits.row(at));
            // A substitute's wrong label says nothing of the target: with a substitute the largest loss is
            // kept.
            let broken = self.task.is_white_box && label != usize::from(self.task.labels[i]);
            if broken || losses[at] > self.best[i] {
                self.best[i] = losses[at];
                self.found.images.index_axis_mut(Axis(0), i).assign(&images.index_axis(Axis(0), at));
            }
            all.push(broken);
        }
        if self.task.is_stopped() {
            // All images then count as done, so that every loop over the surviving ones ends.
            all.fill(true);
        }
        drop_broken(&mut self.surviving, &all);
        all
    }
}

/// Most classes that a targeted attack aims at.
pub(super) const TARGETS: usize = 9;

/// Ranks the classes of each image of `task` except its label, the largest logit first.
pub(super) fn ranked_targets(task: &Task) -> Vec<Vec<usize>> {
    let ranked = |(logits, &label): (ArrayView1<f64>, &u8)| {
        let mut classes: Vec<usize> =
            (0..logits.len()).filter(|&class| class != usize::from(label)).collect();
        classes.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        classes
    };
    let logits = task.source.real_logits(task.images);
    logits.rows().into_iter().zip(task.labels).map(ranked).collect()
}

/// Removes from `states` those of broken images.
pub(super) fn drop_broken<T>(states: &mut Vec<T>, broken: &[bool]) {
    let mut broken = broken.iter();
    states.retain(|_| !broken.next().expect("one for each"));
}
