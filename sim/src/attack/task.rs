//! Defines what an attack is, what it is given and what it proposes.

use crate::ball::{Norm, clip};
use crate::gradient::{GradientSource, Loss};
use crate::lattice::{add_uniform, is_zero, shifted, sign};
use crate::random::Random;
use crate::report::Start;
use ndarray::{Array4, ArrayView4, Zip};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// Describes one attack.
#[derive(Clone, Copy)]
pub struct Attack {
    /// What it does, in one line.
    pub about: &'static str,
    /// The ball in which it looks.
    pub norm: Norm,
    /// Whether it asks for gradients.
    pub gradient: bool,
    /// How many gradients it asks for at radius ε.
    pub steps: fn(u8) -> usize,
    /// Proposes an adversary for each image of the task.
    pub run: fn(&Task) -> Candidates,
    /// Lists its hyper-parameters at radius ε, for the report.
    pub settings: fn(u8, Start) -> Vec<(String, Value)>,
}

/// Holds what an attack is given: a few images, their labels, the radius and where gradients come from.
pub struct Task<'a> {
    /// The images to attack, batch × height × width × channels.
    pub images: ArrayView4<'a, u8>,
    /// True label per image.
    pub labels: &'a [u8],
    /// Position of each image in the data set. With the seed it fixes the image's random numbers.
    pub indices: &'a [usize],
    /// The ball in which adversaries must lie.
    pub norm: Norm,
    /// Radius of the ball, in levels.
    pub eps: u8,
    /// Largest level that an adversary may have.
    pub top: u8,
    /// The network under attack, for attacks that only look at its scores.
    pub target: &'a dyn GradientSource,
    /// Where gradients come from: the network under attack as a white box, or a substitute.
    pub source: &'a dyn GradientSource,
    /// Whether gradients are the target's own. An image is then done when the source mislabels it.
    pub is_white_box: bool,
    /// Where PGD starts.
    pub start: Start,
    /// Seed of the suite.
    pub seed: u64,
    /// The attack's name.
    pub name: &'a str,
    /// A flag that stops the attack when it is set. An attack that looks at it ends soon, and what it
    /// proposes then is thrown away.
    pub stop: &'a AtomicBool,
}

/// Serves as the stop flag of attacks that nobody stops.
pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);

/// Holds what an attack proposes.
pub struct Candidates {
    /// One proposed adversary per image of the task.
    pub images: Array4<u8>,
    /// Whether an image's gradient was zero, or not a number, in every element at some step.
    pub zero_gradient: Vec<bool>,
    /// How often each image, or a change of it, was evaluated for the attack.
    pub queries: Vec<u32>,
}

impl Task<'_> {
    /// Proposes the images themselves.
    pub(super) fn start(&self) -> Candidates {
        let count = self.labels.len();
        Candidates {
            images: self.images.to_owned(),
            zero_gradient: vec![false; count],
            queries: vec![0; count],
        }
    }

    /// Returns whether the attack is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Starts the random numbers of image `i` of the task: a function of seed, attack, ε and the image's
    /// index alone.
    pub(super) fn random(&self, i: usize) -> Random {
        Random::keyed(self.seed, self.name, self.eps, self.indices[i] as u64)
    }

    /// Adds `step` times a random sign to every element.
    pub(super) fn random_signs(&self, found: &mut Candidates, step: u8) {
        for (i, mut image) in found.images.outer_iter_mut().enumerate() {
            let mut random = self.random(i);
            image.mapv_inplace(|v| {
                let by = if random.word() >> 63 == 0 { step.into() } else { -i32::from(step) };
                shifted(v, by, self.top)
            });
        }
    }

    /// Adds integers uniform in the ball.
    pub(super) fn random_uniform(&self, found: &mut Candidates) {
        for (i, image) in found.images.outer_iter_mut().enumerate() {
            add_uniform(image, self.eps, self.top, &mut self.random(i));
        }
    }

    /// Adds `step` times the sign of the loss's gradient, and clips to the ball.
    pub(super) fn ascend(&self, found: &mut Candidates, step: u8) {
        if self.is_stopped() {
            return;
        }
        let gradient =
            self.source.loss_gradient(found.images.view(), self.labels, Loss::CrossEntropy).gradient;
        for (flag, gradient) in found.zero_gradient.iter_mut().zip(gradient.outer_iter()) {
            *flag |= is_zero(gradient.iter());
        }
        found.queries.iter_mut().for_each(|queries| *queries += 1);
        Zip::from(&mut found.images).and(&gradient).for_each(|pixel, &slope| {
            *pixel = shifted(*pixel, sign(slope) * i32::from(step), self.top);
        });
        clip(Norm::Linf, &mut found.images, self.images, self.eps, self.top);
    }
}

/// Returns the paper's number of iterations, ⌊min(ε + 4, 1.25·ε)⌋: 2 at ε = 2, 10 at 8, 20 at 16.
pub(super) fn iterations(eps: u8) -> usize {
    (usize::from(eps) + 4).min(usize::from(eps) * 5 / 4)
}

/// Names one hyper-parameter of a report.
pub(super) fn rule(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

/// Adds to `rules` that the attack does at this radius what FGSM does, where it is so: one step of the whole
/// radius from the image itself.
pub(super) fn same_as_fgsm(mut rules: Vec<(String, Value)>, is_so: bool) -> Vec<(String, Value)> {
    if is_so {
        rules.push(rule(crate::report::SAME_AS, "fgsm"));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_papers() {
        let found: Vec<usize> = [0, 1, 2, 4, 8, 16, 255].into_iter().map(iterations).collect();
        assert_eq!(found, [0, 1, 2, 5, 10, 20, 259]);
    }
}
