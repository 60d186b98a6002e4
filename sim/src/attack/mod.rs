//! Attacks on the uint8 lattice: one file and one row of [`ALL`] an attack. An attack only proposes images; the driver
//! ([`suite`]) clips them to the ball and asks the network itself, so no attack judges its own success.

mod apgd;
mod ball;
mod bim;
mod checks;
mod draws;
mod fab;
mod fgsm;
mod momentum;
mod multi_target;
mod pgd;
mod r_fgsm;
mod random;
mod rays;
mod restarts;
mod scaled;
mod search;
mod sign_hunter;
mod square;
mod square_l2;
pub mod suite;

pub use ball::{Norm, clip};

use crate::gradient::{GradientSource, Loss};
use crate::random::Random;
use ndarray::{Array4, ArrayView3, ArrayView4, ArrayViewMut3, Zip};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};

/// Every attack there is, by name, in the order in which a suite runs them.
pub const ALL: &[(&str, Attack)] = &[
    ("random", random::ATTACK),
    ("fgsm", fgsm::ATTACK),
    ("r-fgsm", r_fgsm::ATTACK),
    ("bim", bim::ATTACK),
    ("pgd", pgd::ATTACK),
    ("mi", momentum::ATTACK),
    ("pgd-r", restarts::ATTACK),
    ("pgd-pp", scaled::ATTACK),
    ("pgd-t", multi_target::ATTACK),
    ("apgd-ce", apgd::CROSS_ENTROPY),
    ("apgd-t", apgd::TARGETED),
    ("fab-t", fab::ATTACK),
    ("square", square::ATTACK),
    ("square-20k", square::LONG),
    ("sign-hunter", sign_hunter::ATTACK),
    ("rays", rays::ATTACK),
    ("draws", draws::ATTACK),
    ("apgd-ce-l2", apgd::CROSS_ENTROPY_L2),
    ("apgd-t-l2", apgd::TARGETED_L2),
    ("fab-t-l2", fab::L2),
    ("square-l2", square_l2::ATTACK),
];

/// The attacks of the paper's tables.
pub const PAPER: &[&str] = &["random", "fgsm", "r-fgsm", "pgd"];

/// The standard set of AutoAttack (Croce, Hein, ICML 2020), in its order.
pub const AUTO: &[&str] = &["apgd-ce", "apgd-t", "fab-t", "square"];

/// The same in the Euclidean ball.
pub const AUTO_L2: &[&str] = &["apgd-ce-l2", "apgd-t-l2", "fab-t-l2", "square-l2"];

/// The attack called `name`.
pub fn find(name: &str) -> Option<Attack> {
    ALL.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// One attack.
#[derive(Clone, Copy)]
pub struct Attack {
    /// One line for people.
    pub about: &'static str,
    /// The ball it looks in.
    pub norm: Norm,
    /// Whether it asks for gradients.
    pub gradient: bool,
    /// Gradients it asks for at radius ε.
    pub steps: fn(u8) -> usize,
    /// Proposes an adversary for each image of the task.
    pub run: fn(&Task) -> Candidates,
    /// Its hyper-parameters at radius ε, for the report.
    pub settings: fn(u8, Start) -> Vec<(String, Value)>,
}

/// Where PGD starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// `X + ⌊ε/2⌋·sign(N)`: the paper's text read literally.
    #[default]
    Signs,
    /// Uniform in the ball.
    Uniform,
}

/// What an attack is given: a few images, their labels, the radius and where gradients come from.
pub struct Task<'a> {
    /// Batch × height × width × channels.
    pub images: ArrayView4<'a, u8>,
    /// True labels.
    pub labels: &'a [u8],
    /// Position of each image in the data set: with the seed, its source of random numbers.
    pub indices: &'a [usize],
    /// The ball.
    pub norm: Norm,
    /// Its radius, in units of a uint8 pixel.
    pub eps: u8,
    /// The network under attack, for attacks that only look at its scores.
    pub target: &'a dyn GradientSource,
    /// The white-box network, or a substitute.
    pub source: &'a dyn GradientSource,
    /// Whether gradients are the target's own: then an image is done when the source is wrong of it.
    pub white: bool,
    /// Where PGD starts.
    pub start: Start,
    /// Seed of the suite.
    pub seed: u64,
    /// The attack's name.
    pub name: &'a str,
    /// Set to stop. An attack that looks ends soon, and what it proposes then is thrown away.
    pub stop: &'a AtomicBool,
}

/// The flag of attacks that nobody stops.
pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);

/// What an attack proposes.
pub struct Candidates {
    /// An image for each of the task's.
    pub images: Array4<u8>,
    /// Whether an image's gradient was zero, or not a number, in every element at some step.
    pub zero_gradient: Vec<bool>,
    /// How often the attack had each image, or a change of it, evaluated.
    pub queries: Vec<u32>,
}

impl Task<'_> {
    /// The images themselves.
    fn start(&self) -> Candidates {
        let count = self.labels.len();
        Candidates {
            images: self.images.to_owned(),
            zero_gradient: vec![false; count],
            queries: vec![0; count],
        }
    }

    /// Whether the attack is to end.
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Random numbers of image `i` of the task: a function of seed, attack, ε and the image's index alone.
    fn random(&self, i: usize) -> Random {
        Random::keyed(self.seed, self.name, self.eps, self.indices[i] as u64)
    }

    /// Adds `step` times a random sign to every element.
    fn random_signs(&self, found: &mut Candidates, step: u8) {
        for (i, mut image) in found.images.outer_iter_mut().enumerate() {
            let mut random = self.random(i);
            image.mapv_inplace(|v| {
                shifted(v, if random.word() >> 63 == 0 { step.into() } else { -i32::from(step) })
            });
        }
    }

    /// Adds integers uniform in the ball.
    fn random_uniform(&self, found: &mut Candidates) {
        for (i, image) in found.images.outer_iter_mut().enumerate() {
            add_uniform(image, self.eps, &mut self.random(i));
        }
    }

    /// Adds `step` times the sign of the loss's gradient, and clips to the ball.
    fn ascend(&self, found: &mut Candidates, step: u8) {
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
            *pixel = shifted(*pixel, sign(slope) * i32::from(step));
        });
        clip(Norm::Linf, &mut found.images, self.images, self.eps);
    }
}

/// Adds integers uniform in −ε..=ε.
pub(crate) fn add_uniform(mut image: ArrayViewMut3<u8>, eps: u8, random: &mut Random) {
    let eps = i32::from(eps);
    image.mapv_inplace(|pixel| shifted(pixel, random.within(-eps, eps)));
}

/// The largest difference of two images, in units of a uint8 pixel.
pub fn distance(a: ArrayView3<u8>, b: ArrayView3<u8>) -> u8 {
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// Whether a gradient tells nothing.
pub(crate) fn is_zero<'a>(mut gradient: impl Iterator<Item = &'a f32>) -> bool {
    gradient.all(|g| *g == 0.0 || g.is_nan())
}

/// Square with as many queries as are asked for, on images that are numbered from 0; see [`ALL`] for the usual numbers.
///
/// # Panics
/// If the shapes do not fit, or a label is not a class.
pub fn square(
    target: &dyn GradientSource,
    images: ArrayView4<u8>,
    labels: &[u8],
    eps: u8,
    seed: u64,
    queries: usize,
) -> Candidates {
    let indices: Vec<usize> = (0..labels.len()).collect();
    let (start, name) = (Start::default(), "square");
    let task = Task {
        images,
        labels,
        indices: &indices,
        norm: Norm::Linf,
        eps,
        target,
        source: target,
        white: true,
        start,
        seed,
        name,
        stop: &NEVER,
    };
    square::run(&task, queries)
}

/// The paper's number of iterations, ⌊min(ε + 4, 1.25·ε)⌋: 2 at ε = 2, 10 at 8, 20 at 16.
fn iterations(eps: u8) -> usize {
    (usize::from(eps) + 4).min(usize::from(eps) * 5 / 4)
}

/// −1, 0 or 1; 0 where it is not a number.
pub(crate) fn sign(slope: f32) -> i32 {
    i32::from(slope > 0.0) - i32::from(slope < 0.0)
}

/// A pixel moved by `by`, within 0..=255.
pub(crate) fn shifted(pixel: u8, by: i32) -> u8 {
    (i32::from(pixel) + by).clamp(0, 255) as u8
}

/// One hyper-parameter of a report.
fn rule(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
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
