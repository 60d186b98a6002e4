//! Runs Conv and Dense forward on integers: windows times packed weights. Sums are exact for levels of up to
//! 16 bits, which go through the uint8 kernels as two byte planes. 1-bit levels and weights are counted as
//! bits where the machine has an instruction for it and there are enough of them.

use super::windows::Windows;
use crate::kernel::{Kernel, Rows, Session, bit, int};
use crate::tensor::Tensor;
use dq_net::layer::{Conv, Dense};
use dq_net::{Range, Shape, Wire};

/// Fewest channels of a pixel that are counted as bits; with fewer, most of a word is empty.
const BITS_FROM: usize = 32;

/// Holds a layer with weights, ready to run.
pub(crate) struct Linear {
    windows: Windows,
    /// The weights of each group.
    groups: Vec<int::PackedInt>,
    bits: Option<Box<BitLinear>>,
}

/// Holds a layer over words of 1-bit levels: a pixel has as many channels as words.
struct BitLinear {
    windows: Windows,
    weights: bit::PackedBits,
    /// Number of levels of a pixel.
    channels: usize,
}

impl Linear {
    pub fn conv(kernel: Kernel, layer: &Conv, input: Wire, output: Shape) -> Self {
        let windows = Windows::conv(input.shape, output, layer.axes(), layer.groups);
        let columns = layer.weights.dim().2;
        let per_group = windows.group_outputs();
        let groups = (0..layer.groups)
            .map(|group| {
                let weight = |o: usize, s: usize, k: usize| {
                    let (y, x, c) = windows.tap(s, k, columns);
                    layer.weights[[group * per_group + o, y, x, c]]
                };
                pack(kernel, &windows, group, input, weight)
            })
            .collect();
        let bits = BitLinear::conv(layer, input, output).map(Box::new);
        Self { windows, groups, bits }
    }

    pub fn dense(kernel: Kernel, layer: &Dense, input: Wire) -> Self {
        let windows = Windows::dense(input.shape, layer.weights.dim().0);
        let groups = vec![pack(kernel, &windows, 0, input, |o, _, k| layer.weights[[o, k]])];
        Self { windows, groups, bits: BitLinear::dense(layer, input).map(Box::new) }
    }

    /// Returns how many accumulators one output pixel has.
    pub fn channels(&self) -> usize {
        self.windows.output.channels
    }

    /// Returns the accumulators of `count` images.
    pub fn sums(&self, kernel: Kernel, input: &Tensor, count: usize) -> Vec<i32> {
        let mut sums = vec![0; count * self.windows.output.len()];
        self.run(kernel, input, count, |first, tile| {
            sums[first * self.channels()..][..tile.len()].copy_from_slice(tile);
        });
        sums
    }

    /// Computes `count` images and hands the accumulators to `sink(first pixel, accumulators)` tile by tile,
    /// pixels counted through all images.
    pub fn run(&self, kernel: Kernel, input: &Tensor, count: usize, mut sink: impl FnMut(usize, &[i32])) {
        if let (Some(bits), Tensor::Bytes(levels), true) = (&self.bits, input, bit::counts(kernel)) {
            return bits.run(kernel, levels, count, sink);
        }
        let frame = &self.windows.frame;
        let mut low = frame.buffer::<u8>(count);
        let mut high = Vec::new();
        match input {
            Tensor::Bytes(levels) => frame.place(levels, &mut low, |v| v),
            Tensor::Words(levels) => {
                frame.place(levels, &mut low, |v| v as u8);
                high = frame.buffer::<u8>(count);
                frame.place(levels, &mut high, |v| (v >> 8) as u8);
            }
        }
        let (channels, pixels) = (self.channels(), self.windows.pixels() * count);
        let (mut session, tile) = (Session::new(kernel), kernel.windows());
        let mut sums = vec![0; tile * channels];
        let mut above = vec![0; if high.is_empty() { 0 } else { tile * channels }];
        let mut starts = Vec::with_capacity(tile);
        for first in (0..pixels).step_by(tile) {
            let rows = first..pixels.min(first + tile);
            let length = rows.len() * channels;
            self.windows.starts(rows, &mut starts);
            self.product(&mut session, &low, &starts, &mut sums[..length]);
            if !high.is_empty() {
                self.product(&mut session, &high, &starts, &mut above[..length]);
                // Modulo 2^32, and the true sum fits (`Network::new` checked).
                sums.iter_mut().zip(&above).for_each(|(low, &high)| {
                    *low = low.wrapping_add(high.wrapping_mul(256));
                });
            }
            sink(first, &sums[..length]);
        }
    }

    fn product(&self, session: &mut Session, plane: &[u8], starts: &[usize], sums: &mut [i32]) {
        let per_group = self.windows.group_outputs();
        for (group, weights) in self.groups.iter().enumerate() {
            let sums = &mut sums[group * per_group..];
            let rows = Rows { sums, stride: self.windows.output.channels };
            int::product(session, plane, starts, weights, rows);
        }
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
            Self::new(windows, channels, positive)
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
            Self::new(windows, channels, positive)
        })
    }

    fn new(windows: Windows, channels: usize, positive: impl Fn(usize, usize, usize, usize) -> bool) -> Self {
        let outputs = windows.output.channels;
        let weights = bit::PackedBits::new(outputs, windows.group_runs(0), positive);
        Self { windows, weights, channels }
    }

    fn run(&self, kernel: Kernel, levels: &[u8], count: usize, mut sink: impl FnMut(usize, &[i32])) {
        let frame = &self.windows.frame;
        let mut framed = frame.buffer::<u64>(count);
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

fn pack(
    kernel: Kernel,
    windows: &Windows,
    group: usize,
    input: Wire,
    weight: impl Fn(usize, usize, usize) -> i8,
) -> int::PackedInt {
    let (outputs, level_hi) = (windows.group_outputs(), input.range.hi.min(255));
    int::PackedInt::new(kernel, outputs, windows.group_runs(group), level_hi, weight)
}
