//! Blurs images: out of focus, through glass, by motion, by zoom.

use super::plane::{between, filtered, gaussian, gaussian_kernel, zoomed};
use crate::random::Random;
use ndarray::Array3;

/// Filters the image with a smoothed disc.
pub fn defocus(image: Array3<f32>, severity: usize, _: &mut Random) -> Array3<f32> {
    let (radius, smooth) = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)][severity];
    const REACH: usize = 8;
    let side = 2 * REACH + 1;
    let inside = |at: usize| {
        let (y, x) = ((at / side) as f32 - REACH as f32, (at % side) as f32 - REACH as f32);
        f32::from(u8::from(y * y + x * x <= radius * radius))
    };
    let disc = Array3::from_shape_fn((side, side, 1), |(y, x, _)| inside(y * side + x));
    let kernel = filtered(&disc, &gaussian_kernel(smooth, 1));
    let sum: f32 = kernel.sum();
    let kernel: Vec<f32> = kernel.iter().map(|weight| weight / sum).collect();
    filtered(&image, &kernel)
}

/// Moves pixels to the places of their neighbours: copied, not exchanged, as the published code does.
pub fn glass(image: Array3<f32>, severity: usize, random: &mut Random) -> Array3<f32> {
    let (sigma, rounds) = [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)][severity];
    let reach = (4.0f32 * sigma).ceil() as usize;
    let mut image = gaussian(&image, sigma, reach);
    let (height, width, channels) = image.dim();
    for _ in 0..rounds {
        for (y, x) in (1..height).rev().flat_map(|y| (1..width).rev().map(move |x| (y, x))) {
            let (up, left) = (random.within(0, 1) as usize, random.within(0, 1) as usize);
            for c in 0..channels {
                image[[y, x, c]] = image[[y - up, x - left, c]];
            }
        }
    }
    gaussian(&image, sigma, reach)
}

/// Blurs the image along a line up to 45° off the horizontal.
pub fn motion(image: Array3<f32>, severity: usize, random: &mut Random) -> Array3<f32> {
    let (radius, sigma) = [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)][severity];
    let degrees = 90.0 * random.unit() as f32 - 45.0;
    moved(&image, radius, sigma, degrees)
}

/// Filters the image with a half Gaussian of `sigma` pixels, over twice `radius`, in the direction of
/// `degrees`.
pub fn moved(image: &Array3<f32>, radius: usize, sigma: f32, degrees: f32) -> Array3<f32> {
    let weights: Vec<f32> =
        (0..=2 * radius).map(|at| (-(at as f32).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let (dy, dx) = degrees.to_radians().sin_cos();
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        let tap = |(n, weight): (usize, &f32)| {
            let n = n as f32;
            weight * between(image, y as f32 + n * dy, x as f32 + n * dx, c)
        };
        weights.iter().enumerate().map(tap).sum::<f32>() / sum
    })
}

/// Returns the mean of the image and of itself zoomed, in steps of 1 %.
pub fn zoom(image: Array3<f32>, severity: usize, _: &mut Random) -> Array3<f32> {
    let steps = [6, 11, 16, 21, 26][severity];
    let mut sum = image.clone();
    (0..steps).for_each(|n| sum += &zoomed(&image, 1.0 + 0.01 * n as f32));
    sum / (steps + 1) as f32
}
