//! Adds noise of the sensor, of few photons, and of broken pixels.

use crate::random::Random;
use ndarray::Array3;

/// Adds Gaussian noise to every element.
pub fn gaussian(mut image: Array3<f32>, severity: usize, random: &mut Random) -> Array3<f32> {
    let sigma = [0.04, 0.06, 0.08, 0.09, 0.10][severity];
    image.mapv_inplace(|v| v + sigma * random.normal() as f32);
    image
}

/// Draws each element as a count of photons.
pub fn shot(mut image: Array3<f32>, severity: usize, random: &mut Random) -> Array3<f32> {
    let photons = [500.0, 250.0, 100.0, 75.0, 50.0][severity];
    image.mapv_inplace(|v| random.poisson(f64::from(v) * photons) as f32 / photons as f32);
    image
}

/// Makes elements black or white.
pub fn impulse(mut image: Array3<f32>, severity: usize, random: &mut Random) -> Array3<f32> {
    let share = [0.01, 0.02, 0.03, 0.05, 0.07][severity];
    image.mapv_inplace(|v| match random.unit() {
        drawn if drawn < share / 2.0 => 0.0,
        drawn if drawn < share => 1.0,
        _ => v,
    });
    image
}
