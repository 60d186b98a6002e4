//! Multiplies windows of bytes by the weights of each group of a layer.

use super::windows::Windows;
use crate::kernel::{Kernel, Rows, Session, int};
use dq_net::Wire;
use dq_net::layer::{Conv, Dense};

/// Holds the weights of each group.
pub(super) struct Groups {
    weights: Vec<int::PackedInt>,
    /// Outputs of a group.
    outputs: usize,
    /// Outputs of all groups.
    channels: usize,
}

impl Groups {
    /// Packs the weights of a convolution with such `windows`.
    pub fn conv(kernel: Kernel, windows: &Windows, layer: &Conv, input: Wire) -> Self {
        let (columns, per_group) = (layer.weights.dim().2, windows.group_outputs());
        Self::new(kernel, windows, input, |group, o, s, k| {
            let (y, x, c) = windows.tap(s, k, columns);
            layer.weights[[group * per_group + o, y, x, c]]
        })
    }

    /// Packs the weights of a fully connected layer.
    pub fn dense(kernel: Kernel, windows: &Windows, layer: &Dense, input: Wire) -> Self {
        Self::new(kernel, windows, input, |_, o, _, k| layer.weights[[o, k]])
    }

    /// Packs `weight(group, output, run, tap)`.
    fn new(
        kernel: Kernel,
        windows: &Windows,
        input: Wire,
        weight: impl Fn(usize, usize, usize, usize) -> i8,
    ) -> Self {
        let (outputs, level_hi) = (windows.group_outputs(), input.range.hi.min(255));
        let pack = |group: usize| {
            let weight = |o: usize, s: usize, k: usize| weight(group, o, s, k);
            int::PackedInt::new(kernel, outputs, windows.group_runs(group), level_hi, weight)
        };
        let weights = (0..windows.groups).map(pack).collect();
        Self { weights, outputs, channels: windows.output.channels }
    }

    /// Writes the sums of the windows of `plane` that begin at `starts`: window × output.
    pub fn product(&self, session: &mut Session, plane: &[u8], starts: &[usize], sums: &mut [i32]) {
        for (group, weights) in self.weights.iter().enumerate() {
            let sums = &mut sums[group * self.outputs..];
            int::product(session, plane, starts, weights, Rows { sums, stride: self.channels });
        }
    }
}
