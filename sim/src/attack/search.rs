//! Holds what the searching attacks have in common: which images survive so far, the best adversary of each,
//! and how often it was evaluated. Never decides where to look.
//!
//! Real-valued iterates (APGD, FAB) are evaluated at lattice points alone. An image is done
//! when the network under attack is wrong about it; with a substitute's gradients the largest loss is
//! kept instead.

use super::task::{Candidates, Task};
use crate::gradient::{Loss, LossGradient, Near, arg_max};
use crate::lattice::{add_uniform, is_zero};
use crate::random::Random;
use ndarray::{Array2, Array4, ArrayView1, ArrayView3, ArrayView4, Axis};
use rayon::prelude::*;

/// Holds the state of a search over the images of a task.
pub(super) struct Search<'s, 't> {
    pub task: &'s Task<'t>,
    /// Indices of the task's images that are not broken yet, ascending.
    pub surviving: Vec<usize>,
    found: Candidates,
    /// Loss of each image's kept adversary.
    best: Vec<f64>,
    told: Option<Told>,
}

/// Holds, for each surviving image, what the network under attack remembers of the best image found so far;
/// nothing where the network cannot.
pub(super) struct Nearby<'t>(Option<Vec<Box<dyn Near + 't>>>);

impl<'t> Nearby<'t> {
    /// Begins with `images`, one per image of the task.
    pub fn new<'i>(task: &Task<'t>, images: impl Iterator<Item = ArrayView3<'i, u8>>) -> Self {
        let target = task.target;
        Self(images.map(|image| target.near(image)).collect())
    }

    /// Remembers what was evaluated last of the surviving image number `at`.
    pub fn move_on(&mut self, at: usize) {
        if let Some(near) = &mut self.0 {
            near[at].move_on();
        }
    }

    /// Forgets the broken images.
    pub fn drop_broken(&mut self, broken: &[bool]) {
        if let Some(near) = &mut self.0 {
            drop_broken(near, broken);
        }
    }
}

/// Holds losses and gradients as they were computed last.
struct Told {
    /// The images of the task, ascending, and what was evaluated for each.
    of: Vec<usize>,
    images: Array4<u8>,
    targets: Vec<usize>,
    slopes: LossGradient,
}

impl<'s, 't> Search<'s, 't> {
    pub fn new(task: &'s Task<'t>) -> Self {
        let count = task.labels.len();
        let surviving = (0..count).collect();
        Search { task, surviving, found: task.start(), best: vec![f64::NEG_INFINITY; count], told: None }
    }

    /// Computes loss and gradient at `images`, one per surviving image; `loss` knows those alone. Keeps an
    /// image that raised the loss and, where gradients are the target's own, one that is misclassified: its
    /// original survives no more. Says which of `images` those are.
    pub fn ascend(&mut self, images: &Array4<u8>, loss: Loss) -> (LossGradient, Vec<bool>) {
        let slopes = self.task.source.loss_gradient(images.view(), &self.labels(), loss);
        let broken = self.take(images, &slopes, &vec![false; images.dim().0]);
        (slopes, broken)
    }

    /// Computes the margin of each of `images`, one per surviving image, by the network under attack. Keeps
    /// and says the same as [`Search::ascend`].
    pub fn margins(&mut self, images: &Array4<u8>) -> (Vec<f64>, Vec<bool>) {
        let logits = self.task.target.judged_logits(images.view(), &self.labels());
        self.take_margins(images, &logits)
    }

    /// Does what [`Search::margins`] does, from what is known `near` the images where that helps.
    pub fn margins_near(&mut self, images: &Array4<u8>, near: &mut Nearby) -> (Vec<f64>, Vec<bool>) {
        let Some(all) = &mut near.0 else { return self.margins(images) };
        let mut logits = Array2::zeros((all.len(), self.task.target.classes()));
        let pairs = all.par_iter_mut().zip(images.axis_iter(Axis(0)).into_par_iter());
        pairs.zip(logits.axis_iter_mut(Axis(0)).into_par_iter()).for_each(|((near, image), mut row)| {
            row.iter_mut().zip(near.logits(image)).for_each(|(to, logit)| *to = logit);
        });
        self.take_margins(images, &logits)
    }

    /// Does what [`Search::ascend`] does for the differences between the `targets`' logits and the labels',
    /// for an attack that leaves the ball: images `outside` are evaluated and not kept. It may ask about the
    /// same image twice in a row, and is told what is known then.
    pub fn ascend_beyond(
        &mut self,
        images: &Array4<u8>,
        targets: &[usize],
        outside: &[bool],
    ) -> LossGradient {
        let slopes = match self.told.take() {
            Some(told) => self.slopes_beside(&told, images, targets),
            None => self.slopes(images.view(), targets, &self.labels()),
        };
        let of = self.surviving.clone();
        self.take(images, &slopes, outside);
        let (images, targets) = (images.clone(), targets.to_vec());
        self.told = Some(Told { of, images, targets, slopes: slopes.clone() });
        slopes
    }

    fn slopes(&self, images: ArrayView4<u8>, targets: &[usize], labels: &[u8]) -> LossGradient {
        self.task.source.loss_gradient(images, labels, Loss::Difference(targets))
    }

    /// Computes the slopes that are not `told` already.
    fn slopes_beside(&self, told: &Told, images: &Array4<u8>, targets: &[usize]) -> LossGradient {
        let place = |at: usize| {
            let before = told.of.binary_search(&self.surviving[at]).ok()?;
            let is_same = told.targets[before] == targets[at]
                && told.images.index_axis(Axis(0), before) == images.index_axis(Axis(0), at);
            is_same.then_some(before)
        };
        let places: Vec<Option<usize>> = (0..targets.len()).map(place).collect();
        let new: Vec<usize> = (0..targets.len()).filter(|&at| places[at].is_none()).collect();
        let labels = self.labels();
        let (new_targets, new_labels): (Vec<usize>, Vec<u8>) =
            new.iter().map(|&at| (targets[at], labels[at])).unzip();
        let found = self.slopes(images.select(Axis(0), &new).view(), &new_targets, &new_labels);
        if new.len() == targets.len() {
            return found;
        }
        let mut all = LossGradient {
            losses: vec![0.0; targets.len()],
            gradient: Array4::zeros(images.raw_dim()),
            logits: Array2::zeros((targets.len(), found.logits.dim().1)),
        };
        let mut next = 0..;
        for (at, place) in places.into_iter().enumerate() {
            let (from, slopes) = match place {
                Some(before) => (before, &told.slopes),
                None => (next.next().expect("endless"), &found),
            };
            all.losses[at] = slopes.losses[from];
            all.gradient.index_axis_mut(Axis(0), at).assign(&slopes.gradient.index_axis(Axis(0), from));
            all.logits.row_mut(at).assign(&slopes.logits.row(from));
        }
        all
    }

    /// Takes in slopes at `images`.
    fn take(&mut self, images: &Array4<u8>, slopes: &LossGradient, outside: &[bool]) -> Vec<bool> {
        for (&i, gradient) in self.surviving.iter().zip(slopes.gradient.outer_iter()) {
            self.found.zero_gradient[i] |= is_zero(gradient.iter());
        }
        self.keep(images, &slopes.logits, &slopes.losses, outside)
    }

    /// Takes in judged logits at `images`.
    fn take_margins(&mut self, images: &Array4<u8>, logits: &Array2<f64>) -> (Vec<f64>, Vec<bool>) {
        let labels = self.labels();
        let margin =
            |(row, &label): (ArrayView1<f64>, &u8)| Loss::Margin.of(0, &row.to_vec(), label.into()).0;
        let margins: Vec<f64> = logits.rows().into_iter().zip(&labels).map(margin).collect();
        let broken = self.keep(images, logits, &margins, &vec![false; images.dim().0]);
        (margins, broken)
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
