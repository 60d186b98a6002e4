//! Moves images on the lattice of their levels. Never leaves 0..=top, where `top` is the largest level (255
//! of pixels).

use crate::random::Random;
use ndarray::{ArrayView3, ArrayViewMut3};

/// Adds integers uniform in −ε..=ε.
pub(crate) fn add_uniform(mut image: ArrayViewMut3<u8>, eps: u8, top: u8, random: &mut Random) {
    let eps = i32::from(eps);
    image.mapv_inplace(|pixel| shifted(pixel, random.within(-eps, eps), top));
}

/// Returns the largest difference of two images, in units of a uint8 pixel.
pub fn distance(a: ArrayView3<u8>, b: ArrayView3<u8>) -> u8 {
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// Returns whether a gradient says nothing: every element is zero or not a number.
pub(crate) fn is_zero<'a>(mut gradient: impl Iterator<Item = &'a f32>) -> bool {
    gradient.all(|g| *g == 0.0 || g.is_nan())
}

/// Returns −1, 0 or 1: the sign of `slope`, 0 where it is not a number.
pub(crate) fn sign(slope: f32) -> i32 {
    i32::from(slope > 0.0) - i32::from(slope < 0.0)
}

/// Returns a pixel moved by `by`, within 0..=top.
pub(crate) fn shifted(pixel: u8, by: i32, top: u8) -> u8 {
    (i32::from(pixel) + by).clamp(0, top.into()) as u8
}

/// Returns the end of the range of `eps` around a pixel, within 0..=top: the upper or the lower one.
pub(crate) fn edge(pixel: u8, eps: u8, up: bool, top: u8) -> u8 {
    if up { pixel.saturating_add(eps).min(top) } else { pixel.saturating_sub(eps) }
}
