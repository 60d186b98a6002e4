//! Holds what the corruptions share: sampling between pixels, borders, filters. Images are height × width ×
//! channels.

use ndarray::Array3;

/// Mirrors `at` into `0..size`, without repeating the border pixel.
pub fn mirror(at: i64, size: usize) -> usize {
    let last = size as i64 - 1;
    if last == 0 {
        return 0;
    }
    let at = at.rem_euclid(2 * last);
    at.min(2 * last - at) as usize
}

/// Returns the value at row `y` and column `x` between the four pixels around it.
pub fn bilinear(y: f32, x: f32, pixel: impl Fn(i64, i64) -> f32) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let (dy, dx) = (y - top, x - left);
    let (y, x) = (top as i64, left as i64);
    let row = |y: i64| (1.0 - dx) * pixel(y, x) + dx * pixel(y, x + 1);
    (1.0 - dy) * row(y) + dy * row(y + 1)
}

/// Returns the value between pixels at row `y` and column `x`, mirrored at the borders.
pub fn between(image: &Array3<f32>, y: f32, x: f32, c: usize) -> f32 {
    let (height, width, _) = image.dim();
    bilinear(y, x, |y, x| image[[mirror(y, height), mirror(x, width), c]])
}

/// Samples the image at `place(y, x)` for each pixel.
pub fn warp(image: &Array3<f32>, place: impl Fn(usize, usize) -> (f32, f32)) -> Array3<f32> {
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        let (from_y, from_x) = place(y, x);
        between(image, from_y, from_x, c)
    })
}

/// Zooms in about the centre, by a `factor` of at least 1.
pub fn zoomed(image: &Array3<f32>, factor: f32) -> Array3<f32> {
    let (height, width, _) = image.dim();
    let from = |at: usize, size: usize| {
        let middle = (size as f32 - 1.0) / 2.0;
        middle + (at as f32 - middle) / factor
    };
    warp(image, |y, x| (from(y, height), from(x, width)))
}

/// Filters the image with a square kernel of odd side, row-major, mirrored at the borders.
pub fn filtered(image: &Array3<f32>, kernel: &[f32]) -> Array3<f32> {
    let (height, width, _) = image.dim();
    let side = kernel.len().isqrt();
    let reach = (side / 2) as i64;
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        let tap = |(at, weight): (usize, &f32)| {
            let (dy, dx) = ((at / side) as i64 - reach, (at % side) as i64 - reach);
            weight * image[[mirror(y as i64 + dy, height), mirror(x as i64 + dx, width), c]]
        };
        kernel.iter().enumerate().map(tap).sum()
    })
}

/// Blurs the image by a Gaussian of `sigma` pixels, cut at `reach` pixels.
pub fn gaussian(image: &Array3<f32>, sigma: f32, reach: usize) -> Array3<f32> {
    filtered(image, &gaussian_kernel(sigma, reach))
}

/// Returns a Gaussian's weights, row-major, of sum 1.
pub fn gaussian_kernel(sigma: f32, reach: usize) -> Vec<f32> {
    let line: Vec<f32> = (0..=2 * reach)
        .map(|at| (-(at as f32 - reach as f32).powi(2) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum: f32 = line.iter().sum();
    line.iter().flat_map(|a| line.iter().map(move |b| a * b / (sum * sum))).collect()
}
