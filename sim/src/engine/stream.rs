//! Mix, Rescale, BitDepth and Median over blocks of images.

use super::Tensor;
use dq_net::Shape;
use dq_net::layer::{BitDepth, Median, Mix, Rescale};

/// Each pair of values, combined.
pub(super) fn mix(mix: &Mix, x: &Tensor, y: &Tensor, len: usize) -> Vec<i32> {
    match (x, y) {
        (Tensor::Words(x), Tensor::Words(y)) => x.iter().zip(y).map(|(&x, &y)| mix.value(x, y)).collect(),
        _ => (0..len).map(|at| mix.value(x.get(at), y.get(at))).collect(),
    }
}

/// Each value through its channel's affine.
pub(super) fn rescale(rescale: &Rescale, x: &Tensor, len: usize) -> Vec<i32> {
    let channels = rescale.mul.len();
    let mut out = Vec::with_capacity(len);
    for pixel in 0..len / channels {
        out.extend((0..channels).map(|c| rescale.value(c, x.get(pixel * channels + c))));
    }
    out
}

/// Each pixel through the table of its levels.
pub(super) fn bit_depth(depth: BitDepth, x: &Tensor, len: usize) -> Vec<u8> {
    let table: Vec<u8> = (0..256).map(|pixel| depth.level(pixel) as u8).collect();
    (0..len).map(|at| table[x.get(at) as usize]).collect()
}

/// The median of each pixel's neighbours.
pub(super) fn median(x: &Tensor, shape: Shape, len: usize) -> Vec<i32> {
    let mut out = Vec::with_capacity(len);
    for at in 0..len {
        let taps = median_taps(at, shape);
        let values = taps.map(|tap| x.get(tap));
        out.push(values[Median::choose(values)]);
    }
    out
}

/// Where the values lie that element `at` of a block of maps is the median of.
pub(crate) fn median_taps(at: usize, shape: Shape) -> [usize; 4] {
    let (image, c) = (at / shape.len(), at % shape.channels);
    let pixel = at % shape.len() / shape.channels;
    let taps = Median::taps(pixel / shape.width, pixel % shape.width);
    taps.map(|(y, x)| image * shape.len() + (y * shape.width + x) * shape.channels + c)
}
