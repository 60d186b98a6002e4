//! Runs the transposed Conv and Dense in fixed point: an image's slopes are scaled to whole numbers of 16
//! bits, multiplied by the integer weights, and summed exactly. That is about twice as fast as floats; each
//! slope is off by at most half of one part in 32,767 of the image's largest, or in 8,191 where a convolution
//! goes by points of tiles, whose transform adds four slopes up. Results are the same in every kernel, batch
//! and thread.
//!
//! In 16-bit fixed point gradients are scaled anew for each image and layer, and are exact from there
//! on.

use super::real::{Factor, LinearMap, RealLinear};
use super::way::{Way, way};
use super::windows::{Frame, Windows};
use crate::buffers;
use crate::kernel::real::Element as _;
use crate::kernel::tile::{self, Planes, TiledWeights};
use crate::kernel::{Kernel, Rows, Runs, Session, multiversion};
use dq_net::Shape;
use dq_net::layer::{Conv, Dense};

/// Holds a transposed layer with integer weights.
pub(crate) struct FixedLinear {
    map: Map,
    /// Largest whole number for which no sum leaves an i32.
    most: f32,
}

enum Map {
    Words(RealLinear<i16>),
    /// The product goes by tiles of bytes, on AMX.
    Bytes(LinearMap<TiledWeights>),
}

/// Slopes are read as two planes of bytes.
impl Factor for TiledWeights {
    type Weight = i8;
    type Value = i16;
    type Framed = [Vec<u8>; 2];
    type Sum = i32;

    fn pack(outputs: usize, runs: Runs, weight: impl Fn(usize, usize, usize) -> i8) -> Self {
        TiledWeights::new(outputs, runs, weight)
    }

    fn frame(frame: &Frame, values: &[i16]) -> [Vec<u8>; 2] {
        [0, 8].map(|shift| frame.lay(values, 0, |v| (v >> shift) as u8))
    }

    fn give(framed: [Vec<u8>; 2]) {
        framed.into_iter().for_each(buffers::give);
    }

    fn product(&self, session: &mut Session, [low, high]: &[Vec<u8>; 2], rows: &[usize], out: Rows<i32>) {
        tile::product(session, Planes { low, high: Some(high) }, rows, self, out);
    }
}

impl FixedLinear {
    /// Prepares the transpose of a convolution.
    pub fn conv(kernel: Kernel, conv: &Conv, input: Shape, output: Shape) -> Self {
        let (axes, groups) = (conv.axes(), conv.groups);
        // A group's few channels leave most of a tile empty.
        let map = if kernel == Kernel::Amx && groups == 1 {
            Map::Bytes(LinearMap::conv_transposed(conv.weights.view(), input, output, axes, groups))
        } else {
            let weights = conv.weights.mapv(i16::from);
            Map::Words(RealLinear::conv_transposed(weights.view(), input, output, axes, groups))
        };
        // At most, a slope of the input takes every tap of every output of its group.
        let (outputs, _, _, channels) = conv.weights.dim();
        let mut sums = vec![0; conv.groups * channels];
        for ((o, _, _, channel), &weight) in conv.weights.indexed_iter() {
            sums[o * conv.groups / outputs * channels + channel] += i64::from(weight).abs();
        }
        let transposed = Windows::transposed(input, output, axes, groups);
        let points = way(&transposed, i16::TAPS) == Way::Points;
        Self::new(map, sums.into_iter().max(), if points { 4 } else { 1 })
    }

    /// Prepares the transpose of a fully connected layer.
    pub fn dense(kernel: Kernel, dense: &Dense) -> Self {
        let map = if kernel == Kernel::Amx {
            Map::Bytes(LinearMap::dense(dense.weights.t()))
        } else {
            Map::Words(RealLinear::dense(dense.weights.mapv(i16::from).t()))
        };
        let sums = dense
            .weights
            .columns()
            .into_iter()
            .map(|column| column.iter().map(|&w| i64::from(w).abs()).sum());
        Self::new(map, sums.max(), 1)
    }

    /// Chooses the largest whole number so that it `times` as often fits an i16, and the sums an i32.
    fn new(map: Map, largest_sum: Option<i64>, times: i64) -> Self {
        let most = i64::from(i32::MAX) / largest_sum.unwrap_or(0).max(1);
        Self { map, most: (most.min(i16::MAX.into()) / times) as f32 }
    }

    /// Returns the slopes of the layer's input, given those of its output for `count` images.
    pub fn run(&self, kernel: Kernel, slopes: &[f32], count: usize) -> Vec<f32> {
        let length = slopes.len() / count;
        let mut whole = buffers::stale(slopes.len());
        let units: Vec<f32> = slopes
            .chunks_exact(length)
            .zip(whole.chunks_exact_mut(length))
            .map(|(slopes, whole)| {
                let mut largest = [0.0];
                magnitude(kernel, slopes, &mut largest);
                // Where slopes are so small that their scale is not finite, they become 0.
                let scale = Some(self.most / largest[0]).filter(|scale| scale.is_finite()).unwrap_or(0.0);
                round(kernel, slopes, scale, whole);
                largest[0] / self.most
            })
            .collect();
        let sums = self.sums(kernel, &whole, count);
        let (mut found, to) = (buffers::stale(sums.len()), sums.len() / count);
        for ((found, sums), unit) in found.chunks_exact_mut(to).zip(sums.chunks_exact(to)).zip(units) {
            found.iter_mut().zip(sums).for_each(|(to, &sum)| *to = sum as f32 * unit);
        }
        buffers::give(whole);
        buffers::give(sums);
        found
    }

    /// Returns the largest whole number of which every sum fits.
    pub fn most(&self) -> i32 {
        self.most as i32
    }

    /// Returns the exact sums over whole numbers of at most [`FixedLinear::most`], for `count` images.
    pub fn sums(&self, kernel: Kernel, whole: &[i16], count: usize) -> Vec<i32> {
        match &self.map {
            Map::Words(map) => map.run(kernel, whole, count),
            Map::Bytes(map) => map.run(kernel, whole, count),
        }
    }
}

multiversion! {
    /// Finds the largest |slope|.
    fn magnitude = magnitude_body(slopes: &[f32], largest: &mut [f32; 1])
}

#[inline(always)]
fn magnitude_body(slopes: &[f32], largest: &mut [f32; 1]) {
    let mut lanes = [0f32; 32];
    let chunks = slopes.chunks_exact(32);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, slope) in lanes.iter_mut().zip(chunk) {
            *lane = if slope.abs() > *lane { slope.abs() } else { *lane };
        }
    }
    largest[0] = lanes.into_iter().chain(rest.iter().map(|slope| slope.abs())).fold(0.0, f32::max);
}

multiversion! {
    /// Rounds each slope times `scale` to the nearest whole number.
    fn round = round_body(slopes: &[f32], scale: f32, whole: &mut [i16])
}

#[inline(always)]
fn round_body(slopes: &[f32], scale: f32, whole: &mut [i16]) {
    for (whole, slope) in whole.iter_mut().zip(slopes) {
        // Adding 1.5·2^23 leaves the nearest whole number in the low bits, ties to even.
        const ROUND: f32 = 12_582_912.0;
        *whole = ((slope * scale + ROUND).to_bits() as i32 - ROUND.to_bits() as i32) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Weights are so many and so large that slopes of 16 bits would leave an i32; one image has zeros, one
    /// tiny slopes.
    #[test]
    fn sums_stay_within_their_register() {
        let (outputs, inputs) = (40_000, 3);
        let weight = |o: usize, i: usize| if i == 0 { 127 } else { (o * 31 % 255) as i8 };
        let weights = Array2::from_shape_fn((outputs, inputs), |(o, i)| weight(o, i));
        let dense = Dense { weights, weight_bits: 8 };
        let slope = |image: usize, o: usize| match image {
            0 => 1.0 - (o % 7) as f32 / 100.0,
            1 => 0.0,
            _ => 1e-38 * (o % 3) as f32,
        };
        let slopes: Vec<f32> = (0..3 * outputs).map(|at| slope(at / outputs, at % outputs)).collect();
        for kernel in Kernel::available() {
            let fixed = FixedLinear::dense(kernel, &dense);
            assert!(fixed.most < 1000.0);
            let found = fixed.run(kernel, &slopes, 3);
            for (i, &found) in found[..inputs].iter().enumerate() {
                let products = (0..outputs).map(|o| f64::from(slope(0, o)) * f64::from(weight(o, i)));
                let (sum, size) = products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()));
                assert!((f64::from(found) - sum).abs() < 2e-3 * size, "{kernel:?}: {found}, expected {sum}");
            }
            assert_eq!(found[inputs..], [0.0; 6]);
        }
    }
}
