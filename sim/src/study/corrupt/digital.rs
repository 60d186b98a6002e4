//! Changes images as lenses and codecs do: contrast, elastic distortion, coarse pixels, JPEG.

use super::plane::{gaussian, warp};
use crate::random::Random;
use ndarray::{Array3, Axis, s};
use std::f32::consts::PI;

/// Lowers the contrast about each channel's mean.
pub fn contrast(mut image: Array3<f32>, severity: usize, _: &mut Random) -> Array3<f32> {
    let factor = [0.75, 0.5, 0.4, 0.3, 0.15][severity];
    for mut channel in image.axis_iter_mut(Axis(2)) {
        let mean = channel.mean().unwrap_or(0.0);
        channel.mapv_inplace(|v| (v - mean) * factor + mean);
    }
    image
}

/// Distorts the image by an affine map, then by a smooth random one.
pub fn elastic(image: Array3<f32>, severity: usize, random: &mut Random) -> Array3<f32> {
    let (strength, smooth, affine) =
        [(0.0, 0.0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)]
            [severity];
    let (height, width, _) = image.dim();
    let side = height.min(width) as f32;
    let mut draw = |limit: f32| limit * (2.0 * random.unit() as f32 - 1.0);
    // Three points about the middle move. The value at a moved point is that of the place from which it came.
    let (middle, third) = ([(height / 2) as f32, (width / 2) as f32], side / 3.0);
    let from = [
        [middle[0] + third, middle[1] + third],
        [middle[0] + third, middle[1] - third],
        [middle[0] - third, middle[1] - third],
    ];
    let to = from.map(|point| point.map(|v| v + draw(affine * side)));
    let [a, b] = [0, 1].map(|k| [to[1][k] - to[0][k], to[2][k] - to[0][k]]);
    let determinant = a[0] * b[1] - a[1] * b[0];
    let back = |y: f32, x: f32| {
        let (dy, dx) = (y - to[0][0], x - to[0][1]);
        let (u, v) = ((dy * b[1] - dx * a[1]) / determinant, (dx * a[0] - dy * b[0]) / determinant);
        let place = |k: usize| from[0][k] + u * (from[1][k] - from[0][k]) + v * (from[2][k] - from[0][k]);
        (place(0), place(1))
    };
    let image = warp(&image, |y, x| back(y as f32, x as f32));
    if strength == 0.0 {
        return image;
    }
    let field = Array3::from_shape_simple_fn((height, width, 2), || draw(1.0));
    let sigma = smooth * side;
    let field = gaussian(&field, sigma, (3.0 * sigma).ceil() as usize) * (strength * side);
    warp(&image, |y, x| (y as f32 + field[[y, x, 0]], x as f32 + field[[y, x, 1]]))
}

/// Reduces the image to fewer pixels, each the mean of its area.
pub fn pixelate(image: Array3<f32>, severity: usize, _: &mut Random) -> Array3<f32> {
    let share = [0.95, 0.9, 0.85, 0.75, 0.65][severity];
    let (height, width, channels) = image.dim();
    let [rows, columns] = [height, width].map(|size| ((size as f32 * share) as usize).max(1));
    // Returns the share of pixel `at` that lies in coarse pixel `n` of `count`.
    let cover = |n: usize, count: usize, at: usize, size: usize| {
        let edge = |n: usize| n as f32 * size as f32 / count as f32;
        (edge(n + 1).min(at as f32 + 1.0) - edge(n).max(at as f32)).max(0.0)
    };
    let mut half = Array3::<f32>::zeros((rows, width, channels));
    for (n, y) in (0..rows).flat_map(|n| (0..height).map(move |y| (n, y))) {
        let weight = cover(n, rows, y, height) * rows as f32 / height as f32;
        half.slice_mut(s![n, .., ..]).scaled_add(weight, &image.slice(s![y, .., ..]));
    }
    let mut coarse = Array3::<f32>::zeros((rows, columns, channels));
    for (n, x) in (0..columns).flat_map(|n| (0..width).map(move |x| (n, x))) {
        let weight = cover(n, columns, x, width) * columns as f32 / width as f32;
        coarse.slice_mut(s![.., n, ..]).scaled_add(weight, &half.slice(s![.., x, ..]));
    }
    let from = |at: usize, size: usize, count: usize| (2 * at + 1) * count / (2 * size);
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        coarse[[from(y, height, rows), from(x, width, columns), c]]
    })
}

/// Quantization of luminance and chrominance at quality 50, from Annex K of the JPEG standard.
const LUMINANCE: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE: [u16; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// Does to the image what baseline JPEG does, with chrominance at half the resolution.
pub fn jpeg(image: Array3<f32>, severity: usize, _: &mut Random) -> Array3<f32> {
    let quality = [80, 65, 58, 50, 40][severity];
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    let table = |base: [u16; 64]| base.map(|v| ((v * scale + 50) / 100).clamp(1, 255));
    let image = image.mapv(|v| (v.clamp(0.0, 1.0) * 255.0).round());
    let (height, width, channels) = image.dim();
    if channels != 3 {
        let mut image = image;
        for c in 0..channels {
            let plane = coded(&image.slice(s![.., .., c..=c]).to_owned(), table(LUMINANCE));
            image.slice_mut(s![.., .., c..=c]).assign(&plane);
        }
        return image / 255.0;
    }
    let plane = |shares: [f32; 3], offset: f32| {
        Array3::from_shape_fn((height, width, 1), |(y, x, _)| {
            offset + shares.iter().enumerate().map(|(c, share)| share * image[[y, x, c]]).sum::<f32>()
        })
    };
    let luma = coded(&plane([0.299, 0.587, 0.114], 0.0), table(LUMINANCE));
    let [blue, red] = [[-0.168_736, -0.331_264, 0.5], [0.5, -0.418_688, -0.081_312]].map(|shares| {
        let full = plane(shares, 128.0);
        let half = Array3::from_shape_fn((height.div_ceil(2), width.div_ceil(2), 1), |(y, x, _)| {
            let at =
                |dy: usize, dx: usize| full[[(2 * y + dy).min(height - 1), (2 * x + dx).min(width - 1), 0]];
            (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0
        });
        coded(&half, table(CHROMINANCE))
    });
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        let (b, r) = (blue[[y / 2, x / 2, 0]] - 128.0, red[[y / 2, x / 2, 0]] - 128.0);
        let value = luma[[y, x, 0]] + [1.402 * r, -0.344_136 * b - 0.714_136 * r, 1.772 * b][c];
        value.round().clamp(0.0, 255.0) / 255.0
    })
}

/// Passes a plane of 0 to 255 through the quantized cosine transform of its 8 × 8 blocks.
fn coded(plane: &Array3<f32>, table: [u16; 64]) -> Array3<f32> {
    let (height, width, _) = plane.dim();
    let mut out = plane.clone();
    let basis: [[f32; 8]; 8] = std::array::from_fn(|u| {
        let norm = if u == 0 { (1.0f32 / 8.0).sqrt() } else { 0.5 };
        std::array::from_fn(|x| norm * ((2 * x + 1) as f32 * u as f32 * PI / 16.0).cos())
    });
    for (top, left) in (0..height).step_by(8).flat_map(|y| (0..width).step_by(8).map(move |x| (y, x))) {
        let pixel =
            |y: usize, x: usize| plane[[(top + y).min(height - 1), (left + x).min(width - 1), 0]] - 128.0;
        let taps = |u: usize, v: usize| {
            (0..64).map(|at| basis[u][at / 8] * basis[v][at % 8] * pixel(at / 8, at % 8)).sum::<f32>()
        };
        let kept: [f32; 64] = std::array::from_fn(|at| {
            let step = f32::from(table[at]);
            (taps(at / 8, at % 8) / step).round() * step
        });
        for (y, x) in (0..8.min(height - top)).flat_map(|y| (0..8.min(width - left)).map(move |x| (y, x))) {
            let value = (0..64).map(|at| basis[at / 8][y] * basis[at % 8][x] * kept[at]).sum::<f32>();
            out[[top + y, left + x, 0]] = (value + 128.0).round().clamp(0.0, 255.0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_image_survives_jpeg_and_steps_ring() {
        let flat = Array3::from_elem((20, 12, 3), 120.0 / 255.0);
        let found = jpeg(flat.clone(), 4, &mut Random::keyed(1, "", 0, 0));
        assert!(found.iter().zip(&flat).all(|(a, b)| (a - b).abs() <= 3.0 / 255.0), "{found}");
        let edge = Array3::from_shape_fn((16, 16, 1), |(_, x, _)| if x < 5 { 0.0 } else { 1.0 });
        let found = jpeg(edge.clone(), 4, &mut Random::keyed(1, "", 0, 0));
        assert!(found.iter().zip(&edge).any(|(a, b)| (a - b).abs() > 0.01));
    }

    #[test]
    fn coarse_pixels_keep_the_mean() {
        let image = Array3::from_shape_fn((32, 32, 2), |(y, x, c)| ((y * 7 + x * 3 + c) % 17) as f32 / 17.0);
        let found = pixelate(image.clone(), 4, &mut Random::keyed(1, "", 0, 0));
        assert!((found.mean().unwrap() - image.mean().unwrap()).abs() < 0.02);
    }
}
