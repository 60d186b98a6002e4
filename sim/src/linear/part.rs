//! Runs a Conv forward on a part of its output, for images that differ little from one whose values are
//! known. The sums are those of [`Linear`](super::Linear), by direct convolution.

use super::groups::Groups;
use super::windows::{SLACK, Windows};
use crate::kernel::{Kernel, Session};
use crate::region::Region;
use dq_net::layer::Conv;
use dq_net::layer::window::Axis;
use dq_net::{Shape, Wire};

/// Holds a convolution over levels that are bytes.
pub(crate) struct PartLinear {
    axes: (Axis, Axis),
    pad_level: u8,
    input: Shape,
    output: Shape,
    groups: Groups,
}

impl PartLinear {
    /// Packs the weights of `layer`.
    pub fn new(kernel: Kernel, layer: &Conv, input: Wire, output: Shape) -> Self {
        let windows = Windows::conv(input.shape, output, layer.axes(), layer.groups);
        let groups = Groups::conv(kernel, &windows, layer, input);
        let pad_level = layer.pad_level as u8;
        Self { axes: layer.axes(), pad_level, input: input.shape, output, groups }
    }

    /// Returns the accumulators of the output's pixels `region` for one image.
    pub fn run(&self, kernel: Kernel, levels: &[u8], region: &Region) -> Vec<i32> {
        let (rows, columns) = self.axes;
        let channels = self.input.channels;
        let width = (self.input.width + columns.before + columns.after) * channels;
        let bordered = self.bordered(levels, region, width);
        let (down, across) = (rows.stride * width, columns.stride * channels);
        let lines = 0..region.rows.len();
        let starts: Vec<usize> =
            lines.flat_map(|y| region.columns.clone().map(move |x| y * down + x * across)).collect();
        let outputs = self.output.channels;
        let mut sums = vec![0; starts.len() * outputs];
        let mut session = Session::new(kernel);
        let tile = kernel.windows();
        for (starts, sums) in starts.chunks(tile).zip(sums.chunks_mut(tile * outputs)) {
            self.groups.product(&mut session, &bordered, starts, sums);
        }
        sums
    }

    /// Returns the rows under the windows of `region`, as long as those of the whole map with its border;
    /// what no window reads is left at the padding's level.
    fn bordered(&self, levels: &[u8], region: &Region, width: usize) -> Vec<u8> {
        let (rows, columns) = self.axes;
        let channels = self.input.channels;
        let places = region.under(rows, columns);
        let mut found = vec![self.pad_level; places.rows.len() * width + SLACK];
        let first = places.columns.start.max(columns.before);
        let end = places.columns.end.min(columns.before + self.input.width);
        for (line, y) in found.chunks_exact_mut(width).zip(places.rows) {
            let Some(y) = y.checked_sub(rows.before).filter(|&y| y < self.input.height) else { continue };
            if first < end {
                let from = (y * self.input.width + first - columns.before) * channels;
                let length = (end - first) * channels;
                line[first * channels..][..length].copy_from_slice(&levels[from..][..length]);
            }
        }
        found
    }
}
