//! Runs Conv and Dense forward on integers: windows times packed weights. Sums are exact for levels of up to
//! 16 bits, which go through the uint8 kernels as two byte planes. 1-bit levels and weights are counted as
//! bits where the machine has an instruction for it and there are enough of them.

use super::groups::Groups;
use super::windows::Windows;
use super::winograd::{self, Target, Winograd};
use crate::buffers;
use crate::kernel::tile::TiledWeights;
use crate::kernel::{Kernel, Rows, Session, bit, int};
use crate::tensor::Tensor;
use dq_net::layer::{Conv, Dense};
use dq_net::{Range, Shape, Wire};

/// Fewest channels of a pixel that are counted as bits; with fewer, most of a word is empty.
const BITS_FROM: usize = 32;

/// Holds a layer with weights, ready to run.
pub(crate) struct Linear {
    windows: Windows,
    /// The level of the padding.
    pad_level: i32,
    product: Product,
    bits: Option<Box<BitLinear>>,
}

/// Says how levels are multiplied by weights.
enum Product {
    /// Window by window.
    Windows(Groups),
    /// By points of tiles, where every level is a byte.
    Points(Box<Winograd<int::PackedInt, u8, i32>>),
}

/// Holds a layer over words of 1-bit levels: a pixel has as many channels as words.
struct BitLinear {
    windows: Windows,
    /// The words of a pixel in the padding.
    border: Vec<u64>,
    weights: bit::PackedBits,
    /// Number of levels of a pixel.
    channels: usize,
}

impl Linear {
    pub fn conv(kernel: Kernel, layer: &Conv, input: Wire, output: Shape) -> Self {
        let windows = Windows::conv(input.shape, output, layer.axes(), layer.groups);
        let bits = BitLinear::conv(layer, input, output).map(Box::new);
        if let Some(by_points) = by_points(kernel, &windows, input, layer) {
            let (windows, product) = (by_points.windows().clone(), Product::Points(Box::new(by_points)));
            return Self { windows, pad_level: layer.pad_level, product, bits };
        }
        let groups = Groups::conv(kernel, &windows, layer, input);
        Self { windows, pad_level: layer.pad_level, product: Product::Windows(groups), bits }
    }

    pub fn dense(kernel: Kernel, layer: &Dense, input: Wire) -> Self {
        let windows = Windows::dense(input.shape, layer.weights.dim().0);
        let groups = Groups::dense(kernel, &windows, layer, input);
        let bits = BitLinear::dense(layer, input).map(Box::new);
        Self { windows, pad_level: 0, product: Product::Windows(groups), bits }
    }

    /// Returns how many accumulators one output pixel has.
    pub fn channels(&self) -> usize {
        self.windows.output.channels
    }

    /// Returns the accumulators of `count` images.
    pub fn sums(&self, kernel: Kernel, input: &Tensor, count: usize) -> Vec<i32> {
        let mut sums = buffers::stale(count * self.windows.output.len());
        if let (Product::Points(by_points), Tensor::Bytes(levels), false) =
            (&self.product, input, self.counts(kernel, input))
        {
            let framed = self.windows.frame.lay(levels, self.pad_level as u8, |v| v);
            by_points.run(&mut Session::new(kernel), &framed, count, Target::Map(&mut sums));
            buffers::give(framed);
            return sums;
        }
        self.run(kernel, input, count, |first, tile| {
            sums[first * self.channels()..][..tile.len()].copy_from_slice(tile);
        });
        sums
    }

    /// Returns whether levels and weights are counted as bits.
    fn counts(&self, kernel: Kernel, input: &Tensor) -> bool {
        self.bits.is_some() && matches!(input, Tensor::Bytes(_)) && bit::counts(kernel)
    }

    /// Computes `count` images and hands the accumulators to `sink(first pixel, accumulators)` tile by tile,
    /// pixels counted through all images.
    pub fn run(&self, kernel: Kernel, input: &Tensor, count: usize, mut sink: impl FnMut(usize, &[i32])) {
        if let (Some(bits), Tensor::Bytes(levels), true) = (&self.bits, input, bit::counts(kernel)) {
            return bits.run(kernel, levels, count, sink);
        }
        let (frame, pad) = (&self.windows.frame, self.pad_level);
        let (low, high) = match input {
            Tensor::Bytes(levels) => (frame.lay(levels, pad as u8, |v| v), vec![]),
            Tensor::Words(levels) => {
                let high = frame.lay(levels, (pad >> 8) as u8, |v| (v >> 8) as u8);
                (frame.lay(levels, pad as u8, |v| v as u8), high)
            }
        };
        match &self.product {
            Product::Windows(groups) => self.by_windows(groups, kernel, ([&low, &high], count), sink),
            Product::Points(by_points) => {
                by_points.run(&mut Session::new(kernel), &low, count, Target::Rows(&mut sink));
            }
        }
        buffers::give(low);
        buffers::give(high);
    }

    /// Computes `count` images window by window, from one plane of bytes or two.
    fn by_windows(
        &self,
        groups: &Groups,
        kernel: Kernel,
        ([low, high], count): ([&[u8]; 2], usize),
        mut sink: impl FnMut(usize, &[i32]),
    ) {
        let mut session = Session::new(kernel);
        let (channels, pixels, tile) = (self.channels(), self.windows.pixels() * count, kernel.windows());
        let mut sums = buffers::stale(tile * channels);
        let mut above = buffers::stale(if high.is_empty() { 0 } else { tile * channels });
        let mut starts = Vec::with_capacity(tile);
        for first in (0..pixels).step_by(tile) {
            let rows = first..pixels.min(first + tile);
            let length = rows.len() * channels;
            self.windows.starts(rows, &mut starts);
            groups.product(&mut session, low, &starts, &mut sums[..length]);
            if !high.is_empty() {
                groups.product(&mut session, high, &starts, &mut above[..length]);
                // Modulo 2^32, and the true sum fits (`Network::new` checked).
                sums.iter_mut().zip(&above).for_each(|(low, &high)| {
                    *low = low.wrapping_add(high.wrapping_mul(256));
                });
            }
            sink(first, &sums[..length]);
        }
        buffers::give(sums);
        buffers::give(above);
    }
}

impl BitLinear {
    /// Prepares a convolution, where levels and weights have 1 bit and there are enough of them.
    fn conv(layer: &Conv, input: Wire, output: Shape) -> Option<Self> {
        let channels = input.shape.channels;
        let fits = layer.groups == 1 && channels >= BITS_FROM && is_binary(input, layer.weights.iter());
        fits.then(|| {
            let words = channels.div_ceil(bit::WORD);
            let shape = Shape::new(input.shape.height, input.shape.width, words);
            let windows = Windows::conv(shape, output, layer.axes(), 1);
            let positive = |o: usize, y: usize, k: usize, at: usize| {
                layer
                    .weights
                    .get([o, y, k / words, k % words * bit::WORD + at])
                    .is_some_and(|&weight| weight > 0)
            };
            let border = bit::pack(&vec![layer.pad_level as u8; channels], channels);
            Self::new(windows, border, channels, positive)
        })
    }

    fn dense(layer: &Dense, input: Wire) -> Option<Self> {
        let channels = input.shape.len();
        let fits = channels >= BITS_FROM && is_binary(input, layer.weights.iter());
        fits.then(|| {
            let shape = Shape::new(1, 1, channels.div_ceil(bit::WORD));
            let windows = Windows::dense(shape, layer.weights.dim().0);
            let positive = |o: usize, _: usize, k: usize, at: usize| {
                layer.weights.get([o, k * bit::WORD + at]).is_some_and(|&weight| weight > 0)
            };
            let border = vec![0; windows.frame.source.channels];
            Self::new(windows, border, channels, positive)
        })
    }

    fn new(
        windows: Windows,
        border: Vec<u64>,
        channels: usize,
        positive: impl Fn(usize, usize, usize, usize) -> bool,
    ) -> Self {
        let outputs = windows.output.channels;
        let weights = bit::PackedBits::new(outputs, windows.group_runs(0), positive);
        Self { windows, border, weights, channels }
    }

    fn run(&self, kernel: Kernel, levels: &[u8], count: usize, mut sink: impl FnMut(usize, &[i32])) {
        let frame = &self.windows.frame;
        let mut framed = frame.bordered(count, &self.border);
        frame.place(&bit::pack(levels, self.channels), &mut framed, |word| word);
        let (channels, pixels) = (self.windows.output.channels, self.windows.pixels() * count);
        let tile = kernel.windows();
        let mut sums = vec![0; tile * channels];
        let mut starts = Vec::with_capacity(tile);
        for first in (0..pixels).step_by(tile) {
            let rows = first..pixels.min(first + tile);
            let sums = &mut sums[..rows.len() * channels];
            self.windows.starts(rows, &mut starts);
            bit::product(&framed, &starts, &self.weights, Rows { sums: &mut *sums, stride: channels });
            sink(first, sums);
        }
    }
}

/// Returns whether levels are 0 and 1, and weights −1 and +1.
fn is_binary<'a>(input: Wire, mut weights: impl Iterator<Item = &'a i8>) -> bool {
    input.range == Range::levels(1) && weights.all(|weight| weight.abs() == 1)
}

/// Prepares a convolution by points of tiles, where its numbers allow it and it pays.
fn by_points(
    kernel: Kernel,
    windows: &Windows,
    input: Wire,
    layer: &Conv,
) -> Option<Winograd<int::PackedInt, u8, i32>> {
    let pays = winograd::pays(windows, 4);
    let by_tiles =
        kernel == Kernel::Amx && TiledWeights::pay(windows.output.channels, &windows.group_runs(0));
    let weight = |o: usize, y: usize, x: usize, c: usize| layer.weights[[o, y, x, c]];
    (pays && !by_tiles).then(|| Winograd::exact(kernel, windows, input.range.hi, weight))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::spread;
    use dq_net::layer::Kind as _;
    use ndarray::{Array3, Array4};

    /// Paddings of the least, a middle and the largest level, where levels are counted as bits, multiplied as
    /// bytes, and multiplied as two planes of bytes.
    #[test]
    fn a_padding_of_any_level_is_summed_by_every_kernel() {
        for (level_bits, weight_bits, channels, groups) in
            [(1u8, 1, 32, 1), (1, 1, 70, 1), (1, 1, 6, 2), (4, 3, 5, 1), (8, 8, 8, 4), (13, 8, 3, 1)]
        {
            let (range, half) = (Range::levels(level_bits), 1i16 << (weight_bits - 1));
            let weight = |at: usize| match weight_bits {
                1 => 1 - 2 * (at * 7 % 3 % 2) as i8,
                _ => ((at * 31 + 5) as i16 % (2 * half) - half) as i8,
            };
            let dim = (3 * groups, 3, 2, channels / groups);
            let weights = Array4::from_shape_fn(dim, |(o, y, x, c)| weight(o * 53 + y * 19 + x * 11 + c * c));
            for (pad_level, stride) in [0, range.hi / 2, range.hi].into_iter().zip([[1, 1], [2, 1], [1, 2]]) {
                let conv = Conv {
                    weights: weights.clone(),
                    weight_bits,
                    stride,
                    pad: [2, 1, 1, 0],
                    pad_level: pad_level as i32,
                    groups,
                };
                let shape = Shape::new(5, 4, channels);
                let output = conv.shape(&[shape]).unwrap();
                let levels = spread(range, 2 * shape.len());
                let wanted: Vec<i32> = levels
                    .chunks_exact(shape.len())
                    .flat_map(|image| {
                        let image = Array3::from_shape_vec(shape.dim(), image.to_vec()).unwrap();
                        conv.eval(&[image.view()])
                    })
                    .collect();
                let input = Tensor::narrow(levels, range);
                for kernel in Kernel::available() {
                    let linear = Linear::conv(kernel, &conv, Wire { shape, range }, output);
                    let case = format!("{kernel:?}: {level_bits} bits, {channels} channels, {pad_level}");
                    assert_eq!(linear.sums(kernel, &input, 2), wanted, "{case}");
                }
            }
        }
    }
}
