//! Maps how the loss looks around an image: along the steps of a long attack, and over a square of the ball.
//! A surface that is flat or rugged, or a curve that still rises at its end, says that gradients tell little.
//! Never an attack of its own.

use super::{Stopped, Watch};
use crate::ball::{Norm, clip};
use crate::gradient::{GradientSource, Loss, arg_max};
use crate::lattice::{add_uniform, distance, is_zero, shifted, sign};
use crate::random::Random;
use dq_data::Images;
use ndarray::{Array4, ArrayView1, ArrayView3, ArrayView4, Axis, Zip};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Number of steps of the attack whose losses are the curve.
pub const STEPS: usize = 100;
/// Number of points of the surface along each of its two directions; it is odd.
pub const POINTS: usize = 21;

/// Holds the loss around one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Landscape {
    /// Cross entropy before each step of one unit along the gradient's sign from a start uniform in the ball,
    /// and after the last.
    pub curve: Vec<f64>,
    /// Whether the label was another at any step.
    pub broken: bool,
    /// Number of steps at which the gradient was zero in every element.
    pub zero_gradients: usize,
    /// Cross entropy at `x + a·u + b·v`, rounded to the lattice and clipped to the ball: row a, column b,
    /// both from −ε to ε; u the signs of the gradient at the image, v random signs.
    pub surface: Vec<Vec<f64>>,
    /// Distance of the curve's last image, in units of a uint8 pixel.
    pub distance: u8,
}

impl Landscape {
    /// Returns whether the image survived although the curve's best value is new in its last tenth, by more
    /// than a hundredth of what it had gained: more steps might break it.
    pub fn still_rising(&self) -> bool {
        if self.broken {
            return false;
        }
        let most = |losses: &[f64]| losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (before, all) = (most(&self.curve[..self.curve.len() * 9 / 10]), most(&self.curve));
        all > before + 0.01 * (before - self.curve[0]).abs()
    }
}

/// Describes one image of a data set, and the loss around it.
#[derive(Clone, Debug, Serialize)]
pub struct Surroundings {
    /// Position in the data set.
    pub index: usize,
    /// True label.
    pub label: u8,
    /// The loss around it.
    #[serde(flatten)]
    pub landscape: Landscape,
}

/// Looks around every image, with noise that is a function of `seed` and the image's index. Ticks once per
/// image.
pub fn measure(
    source: &dyn GradientSource,
    images: &Images,
    eps: u8,
    seed: u64,
    watch: Watch,
) -> Result<Vec<Surroundings>, Stopped> {
    let look = |index: usize| {
        watch.check()?;
        let (image, label) = (images.pixels.index_axis(Axis(0), index), images.labels[index]);
        let random = Random::keyed(seed, "landscape", eps, index as u64);
        let landscape = around(source, image, label, eps, random);
        (watch.tick)(1);
        Ok(Surroundings { index, label, landscape })
    };
    (0..images.len()).into_par_iter().map(look).collect()
}

/// Looks at the loss of `source` around `image` (height × width × channels).
///
/// # Panics
/// If the image is not of the network's shape, or the label is not a class.
fn around(
    source: &dyn GradientSource,
    image: ArrayView3<u8>,
    label: u8,
    eps: u8,
    mut random: Random,
) -> Landscape {
    let (original, top) = (image.insert_axis(Axis(0)), source.input().top());
    let mut at = original.to_owned();
    add_uniform(at.index_axis_mut(Axis(0), 0), eps, top, &mut random);
    let (mut curve, mut broken, mut zero_gradients) = (vec![], false, 0);
    for step in 0..=STEPS {
        let found = source.loss_gradient(at.view(), &[label], Loss::CrossEntropy);
        curve.push(found.losses[0]);
        broken |= arg_max(found.logits.row(0)) != usize::from(label);
        if step < STEPS {
            zero_gradients += usize::from(is_zero(found.gradient.iter()));
            Zip::from(&mut at)
                .and(&found.gradient)
                .for_each(|pixel, &slope| *pixel = shifted(*pixel, sign(slope), top));
            clip(Norm::Linf, &mut at, original, eps, top);
        }
    }
    let surface = surface(source, original, label, eps, &mut random);
    Landscape { curve, broken, zero_gradients, surface, distance: distance(at.index_axis(Axis(0), 0), image) }
}

/// Computes the loss over a square of the ball around `original`, a batch of one image.
fn surface(
    source: &dyn GradientSource,
    original: ArrayView4<u8>,
    label: u8,
    eps: u8,
    random: &mut Random,
) -> Vec<Vec<f64>> {
    let slopes = source.loss_gradient(original, &[label], Loss::CrossEntropy).gradient;
    let up = slopes.mapv(|slope| sign(slope) as f64);
    let across = up.mapv(|_| if random.word() >> 63 == 0 { 1.0 } else { -1.0 });
    let half = (POINTS / 2) as f64;
    let along = |n: usize| (n as f64 - half) / half * f64::from(eps);
    let (_, height, width, channels) = original.dim();
    let top = source.input().top();
    let row = |a: usize| {
        let mut images = Array4::zeros((POINTS, height, width, channels));
        for (b, mut point) in images.outer_iter_mut().enumerate() {
            let directions = Zip::from(up.index_axis(Axis(0), 0)).and(across.index_axis(Axis(0), 0));
            let moved = directions.map_collect(|&u, &v| (along(a) * u + along(b) * v).round() as i32);
            Zip::from(&mut point).and(original.index_axis(Axis(0), 0)).and(&moved).for_each(
                |to, &pixel, &by| {
                    *to = shifted(pixel, by.clamp(-i32::from(eps), i32::from(eps)), top);
                },
            );
        }
        let logits = source.real_logits(images.view());
        let loss = |row: ArrayView1<f64>| Loss::CrossEntropy.of(0, &row.to_vec(), label.into()).0;
        logits.rows().into_iter().map(loss).collect()
    };
    (0..POINTS).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WhiteBox;
    use dq_net::random::{self, Options};

    #[test]
    fn the_surface_is_of_the_network_and_its_middle_is_the_image() {
        for seed in 0..30 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let white_box = WhiteBox::new(&network);
            let image = random::image(seed, network.input());
            let random = || Random::keyed(1, "landscape", 6, seed);
            let found = around(&white_box, image.view(), 0, 6, random());
            assert_eq!((found.curve.len(), found.surface.len()), (STEPS + 1, POINTS));
            assert!(found.distance <= 6);
            let scores = network.eval(image.view());
            let logits: Vec<f64> =
                scores.iter().map(|&score| f64::from(score) * network.logits().scale).collect();
            assert_eq!(found.surface[POINTS / 2][POINTS / 2], Loss::CrossEntropy.of(0, &logits, 0).0);
            assert_eq!(found, around(&white_box, image.view(), 0, 6, random()));
        }
    }

    #[test]
    fn a_curve_that_gains_at_its_end_still_rises() {
        let whole = |curve: Vec<f64>| Landscape {
            curve,
            broken: false,
            zero_gradients: 0,
            surface: vec![],
            distance: 0,
        };
        let broken = Landscape { broken: true, ..whole((0..=STEPS).map(|n| n as f64).collect()) };
        assert!(!broken.still_rising());
        assert!(whole((0..=STEPS).map(|n| n as f64).collect()).still_rising());
        assert!(!whole((0..=STEPS).map(|n| n.min(50) as f64).collect()).still_rising());
    }
}
