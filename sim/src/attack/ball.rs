//! Balls around an image, on the uint8 lattice: what an adversary may be. Every distance is in units of a uint8 pixel.

use ndarray::{Array3, Array4, ArrayView3, ArrayView4, ArrayViewMut3};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How far two images are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// The largest difference of an element.
    Linf,
    /// The Euclidean distance over all elements. A radius of 128 is about 0.5 where pixels are 0…1.
    L2,
}

impl Norm {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Norm::Linf => "linf",
            Norm::L2 => "l2",
        }
    }

    /// Whether `image` lies within `eps` of `original`.
    pub fn holds(self, image: ArrayView3<u8>, original: ArrayView3<u8>, eps: u8) -> bool {
        let apart = image.iter().zip(original).map(|(a, b)| u64::from(a.abs_diff(*b)));
        match self {
            Norm::Linf => apart.max().unwrap_or(0) <= eps.into(),
            Norm::L2 => apart.map(|d| d * d).sum::<u64>() <= u64::from(eps) * u64::from(eps),
        }
    }

    /// Length of a step.
    pub(super) fn length<'a>(self, step: impl IntoIterator<Item = &'a f32>) -> f32 {
        let step = step.into_iter();
        match self {
            Norm::Linf => step.fold(0.0, |most, v| most.max(v.abs())),
            Norm::L2 => step.map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt() as f32,
        }
    }

    /// The lattice point of the ball next to the real point `at`, which lies within 0..=255.
    pub(super) fn nearest(
        self,
        at: &Array3<f32>,
        original: ArrayView3<u8>,
        eps: u8,
        mut to: ArrayViewMut3<u8>,
    ) {
        to.zip_mut_with(at, |to, from| *to = from.round() as u8);
        match self {
            Norm::Linf => clip_linf(to, original, eps),
            Norm::L2 => shorten(to, at, original, eps),
        }
    }
}

/// Brings `images` into the ball; the uint8 range holds by type.
pub fn clip(norm: Norm, images: &mut Array4<u8>, originals: ArrayView4<u8>, eps: u8) {
    for (mut image, original) in images.outer_iter_mut().zip(originals.outer_iter()) {
        match norm {
            Norm::Linf => clip_linf(image, original, eps),
            Norm::L2 => {
                let mut at = image.mapv(f32::from);
                project(&mut at, original, eps.into());
                norm.nearest(&at, original, eps, image.view_mut());
            }
        }
    }
}

/// Brings a real point into the Euclidean ball and the pixels' box.
pub(super) fn project(point: &mut Array3<f32>, original: ArrayView3<u8>, eps: f32) {
    point.zip_mut_with(&original, |to, &pixel| *to -= f32::from(pixel));
    let share = (eps / Norm::L2.length(&*point)).min(1.0);
    point.zip_mut_with(&original, |to, &pixel| *to = (*to * share + f32::from(pixel)).clamp(0.0, 255.0));
}

fn clip_linf(mut image: ArrayViewMut3<u8>, original: ArrayView3<u8>, eps: u8) {
    image.zip_mut_with(&original, |to, &from| {
        *to = (*to).clamp(from.saturating_sub(eps), from.saturating_add(eps));
    });
}

/// Brings `image`, the rounded real point `place`, into the Euclidean ball: elements that rounding moved outward go back by
/// one, those first that it moved most; where that is not enough, the farthest do.
fn shorten(mut image: ArrayViewMut3<u8>, place: &Array3<f32>, original: ArrayView3<u8>, eps: u8) {
    let most = i64::from(eps) * i64::from(eps);
    let apart = |to: u8, from: u8| i64::from(to) - i64::from(from);
    let mut sum: i64 = image.iter().zip(original).map(|(&to, &from)| apart(to, from).pow(2)).sum();
    if sum <= most {
        return;
    }
    let outward = image.indexed_iter().enumerate().filter_map(|(n, (at, &to))| {
        let from = f32::from(original[at]);
        let beyond = (f32::from(to) - from).abs() - (place[at] - from).abs();
        // Bits of floats above zero are ordered as they are; of equal ones the first goes first.
        (beyond > 0.0 && to != original[at]).then(|| (beyond.to_bits(), Reverse(n), at))
    });
    let mut outward: BinaryHeap<_> = outward.collect();
    while let Some((_, _, at)) = outward.pop().filter(|_| sum > most) {
        sum -= inward(&mut image[at], original[at]);
    }
    // The real point itself lies outside: shares of its length do.
    while sum > most {
        let farthest = image.indexed_iter().max_by_key(|(at, to)| apart(**to, original[*at]).abs());
        let at = farthest.expect("an image has elements").0;
        sum -= inward(&mut image[at], original[at]);
    }
}

/// Moves a pixel by one towards what it was; how much less its square is.
fn inward(pixel: &mut u8, original: u8) -> i64 {
    let by = i64::from(*pixel) - i64::from(original);
    *pixel = (i64::from(*pixel) - by.signum()) as u8;
    2 * by.abs() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn clipping_holds_the_ball_and_the_byte() {
        let originals = Array4::from_shape_vec((1, 1, 4, 1), vec![0, 3, 250, 128]).unwrap();
        let mut images = Array4::from_shape_vec((1, 1, 4, 1), vec![255, 0, 255, 100]).unwrap();
        clip(Norm::Linf, &mut images, originals.view(), 8);
        assert_eq!(images.into_raw_vec_and_offset().0, [8, 0, 255, 120]);
    }

    /// Never outside, hardly inside, and what is inside stays as it is.
    #[test]
    fn the_euclidean_ball_is_used_up() {
        for (seed, eps) in [1u8, 2, 7, 40, 128, 255].into_iter().enumerate() {
            let mut random = Random::keyed(seed as u64, "ball", eps, 0);
            let originals = Array4::from_shape_simple_fn((3, 9, 8, 3), || random.within(0, 255) as u8);
            let mut images = Array4::from_shape_simple_fn((3, 9, 8, 3), || random.within(0, 255) as u8);
            clip(Norm::L2, &mut images, originals.view(), eps);
            let clipped = images.clone();
            clip(Norm::L2, &mut images, originals.view(), eps);
            assert_eq!(images, clipped);
            for (image, original) in images.outer_iter().zip(originals.outer_iter()) {
                assert!(Norm::L2.holds(image, original, eps), "outside {eps}");
                // A small radius is spread over so many elements that most round to 0.
                let length = Norm::L2.length(&(image.mapv(f32::from) - original.mapv(f32::from)));
                assert!(eps < 40 || length > f32::from(eps) * 0.9, "{length} of {eps}");
                let real = image.mapv(f32::from);
                let mut near = Array3::zeros(real.raw_dim());
                Norm::L2.nearest(&real, original, eps, near.view_mut());
                assert_eq!(near, image);
            }
        }
    }
}
