//! Conv and Dense as one thing: windows times packed weights. Exact for levels of up to 16 bits, which go through the
//! uint8 kernels as two byte planes.

use super::tensor::Tensor;
use crate::kernel::{Kernel, int};
use crate::windows::Windows;
use dq_net::layer::{Conv, Dense};
use dq_net::{Shape, Wire};

/// Output pixels whose accumulators are held at a time: few enough to stay in the first-level cache.
const TILE: usize = 48;

/// A layer with weights, ready to run.
pub(super) struct Linear {
    windows: Windows,
    groups: Vec<(Vec<usize>, int::PackedInt)>,
}

impl Linear {
    pub fn conv(layer: &Conv, input: Wire, output: Shape) -> Self {
        let windows = Windows::conv(input.shape, output, layer.axes(), layer.groups);
        let columns = layer.weights.dim().2;
        let per_group = windows.group_outputs();
        let groups = (0..layer.groups)
            .map(|group| {
                let weight = |o: usize, s: usize, k: usize| {
                    let (y, x, c) = windows.tap(s, k, columns);
                    layer.weights[[group * per_group + o, y, x, c]]
                };
                pack(&windows, group, input, weight)
            })
            .collect();
        Self { windows, groups }
    }

    pub fn dense(layer: &Dense, input: Wire) -> Self {
        let windows = Windows::dense(input.shape, layer.weights.dim().0);
        let groups = vec![pack(&windows, 0, input, |o, _, k| layer.weights[[o, k]])];
        Self { windows, groups }
    }

    /// Accumulators of one output pixel.
    pub fn channels(&self) -> usize {
        self.windows.output.channels
    }

    /// Computes `count` images and hands the accumulators to `sink(first pixel, accumulators)` tile by tile, pixels
    /// counted through all images.
    pub fn run(&self, kernel: Kernel, input: &Tensor, count: usize, mut sink: impl FnMut(usize, &[i32])) {
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
        let mut sums = vec![0; TILE * channels];
        let mut above = vec![0; if high.is_empty() { 0 } else { TILE * channels }];
        let mut starts = Vec::with_capacity(TILE);
        for first in (0..pixels).step_by(TILE) {
            let rows = first..pixels.min(first + TILE);
            let length = rows.len() * channels;
            self.windows.starts(rows, &mut starts);
            self.product(kernel, &low, &starts, &mut sums[..length]);
            if !high.is_empty() {
                self.product(kernel, &high, &starts, &mut above[..length]);
                // Modulo 2^32, and the true sum fits (`Network::new` checked).
                sums.iter_mut().zip(&above).for_each(|(low, &high)| {
                    *low = low.wrapping_add(high.wrapping_mul(256));
                });
            }
            sink(first, &sums[..length]);
        }
    }

    fn product(&self, kernel: Kernel, plane: &[u8], starts: &[usize], sums: &mut [i32]) {
        let per_group = self.windows.group_outputs();
        for (group, (runs, weights)) in self.groups.iter().enumerate() {
            let sums = &mut sums[group * per_group..];
            int::product(kernel, plane, starts, runs, weights, sums, self.windows.output.channels);
        }
    }
}

fn pack(
    windows: &Windows,
    group: usize,
    input: Wire,
    weight: impl Fn(usize, usize, usize) -> i8,
) -> (Vec<usize>, int::PackedInt) {
    let outputs = windows.group_outputs();
    let level_hi = input.range.hi.min(255);
    let packed = int::PackedInt::new(outputs, windows.run_count(), windows.run, level_hi, weight);
    (windows.group_runs(group), packed)
}
