//! Changes weather and light: snow, fog, brightness.

use super::blur::moved;
use super::plane::zoomed;
use crate::random::Random;
use ndarray::{Array2, Array3};

/// Lets flakes fall, and makes the scene paler.
pub fn snow(image: Array3<f32>, severity: usize, random: &mut Random) -> Array3<f32> {
    let (mean, spread, size, floor, radius, sigma, keep) = [
        (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
    ][severity];
    let (height, width, channels) = image.dim();
    let flakes = Array3::from_shape_simple_fn((height, width, 1), || mean + spread * random.normal() as f32);
    let flakes = zoomed(&flakes, size).mapv(|v| if v < floor { 0.0 } else { v.clamp(0.0, 1.0) });
    let degrees = -135.0 + 90.0 * random.unit() as f32;
    let flakes = moved(&flakes, radius, sigma, degrees);
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        let value = image[[y, x, c]];
        let grey = grey(&image, y, x, channels);
        let pale = keep * value + (1.0 - keep) * value.max(1.5 * grey + 0.5);
        pale + flakes[[y, x, 0]] + flakes[[height - 1 - y, width - 1 - x, 0]]
    })
}

fn grey(image: &Array3<f32>, y: usize, x: usize, channels: usize) -> f32 {
    match channels {
        3 => [0.299, 0.587, 0.114].iter().enumerate().map(|(c, share)| share * image[[y, x, c]]).sum(),
        _ => image[[y, x, 0]],
    }
}

/// Puts a haze of fractal noise before the image.
pub fn fog(image: Array3<f32>, severity: usize, random: &mut Random) -> Array3<f32> {
    let (thickness, decay) = [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)][severity];
    let (height, width, _) = image.dim();
    let haze = plasma(height.max(width).next_power_of_two(), decay, random);
    let most = image.iter().copied().fold(0.0, f32::max);
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        (image[[y, x, c]] + thickness * haze[[y, x]]) * most / (most + thickness)
    })
}

/// Returns diamond-square noise on a torus of `side` (a power of two), from 0 to 1.
fn plasma(side: usize, decay: f32, random: &mut Random) -> Array2<f32> {
    let mut map = Array2::<f32>::zeros((side, side));
    let (mut step, mut wobble) = (side, 100.0f32);
    while step >= 2 {
        let half = step / 2;
        let places = |first: usize| (first..side).step_by(step);
        let mut set = |map: &mut Array2<f32>, y: usize, x: usize, around: [(usize, usize); 4]| {
            let mean =
                around.iter().map(|&(dy, dx)| map[[(y + dy) % side, (x + dx) % side]]).sum::<f32>() / 4.0;
            map[[y, x]] = mean + wobble * wobble * (2.0 * random.unit() as f32 - 1.0);
        };
        let back = side - half;
        for (y, x) in places(half).flat_map(|y| places(half).map(move |x| (y, x))) {
            set(&mut map, y, x, [(back, back), (back, half), (half, back), (half, half)]);
        }
        for (first_y, first_x) in [(0, half), (half, 0)] {
            for (y, x) in places(first_y).flat_map(|y| places(first_x).map(move |x| (y, x))) {
                set(&mut map, y, x, [(back, 0), (half, 0), (0, back), (0, half)]);
            }
        }
        step = half;
        wobble /= decay;
    }
    let (least, most) = map.iter().fold((f32::MAX, f32::MIN), |(a, b), &v| (a.min(v), b.max(v)));
    map.mapv(|v| if most > least { (v - least) / (most - least) } else { 0.0 })
}

/// Adds light: a larger value in hue, saturation, value.
pub fn brightness(image: Array3<f32>, severity: usize, _: &mut Random) -> Array3<f32> {
    let more = [0.05, 0.1, 0.15, 0.2, 0.3][severity];
    let mut image = image;
    for mut pixel in image.rows_mut() {
        // Hue and saturation stay: every channel grows by the same factor.
        let value = pixel.iter().copied().fold(0.0, f32::max);
        let brighter = (value + more).min(1.0);
        pixel.mapv_inplace(|v| if value > 0.0 { v * brighter / value } else { brighter });
    }
    image
}
