//! Runs 3×3 convolutions of stride 1 by Winograd's F(2×2, 3×3): 16 products for four pixels, where windows
//! take 36. Never decides what a layer means.
//!
//! Integers stay exact: with the weights' transform scaled by 2 on each side, sums are four times the
//! accumulators. Levels are transformed as bytes, with an offset that makes none negative; its share of each
//! sum is known beforehand.

mod weights;

pub(crate) use weights::Points;

use super::windows::{SLACK, Windows};
use crate::kernel::int::{self, PackedInt};
use crate::kernel::real::{self, Element, Packed};
use crate::kernel::winograd::{Gather, OUTPUTS, POINTS, Pixels, Products, SUM, Spread, Tiles};
use crate::kernel::{Kernel, Rows, Runs, Session};
use weights::transformed;

/// The transform of products: Aᵀ of the paper.
const PRODUCTS: [[i32; 4]; 2] = [[1, 1, 1, 0], [0, 1, -1, -1]];

/// Holds a convolution whose products `F` makes, of transformed values `V`, in sums `S`.
pub(crate) struct Winograd<F, V, S> {
    windows: Windows,
    /// What is added to the transformed values of every point but [`SUM`].
    offset: V,
    groups: Vec<Group<F, S>>,
}

/// Holds up to [`OUTPUTS`] outputs.
struct Group<F, S> {
    outputs: usize,
    points: [F; POINTS],
    /// What takes the offset out of the sums: pixel × [`OUTPUTS`].
    constants: [S; 4 * OUTPUTS],
}

/// Is a factor of products over windows of one run.
pub(crate) trait Multiply<V, S> {
    /// Computes `out[r·stride + o]`: the sum for output `o` of the values from `rows[r]` on.
    fn multiply(&self, session: &mut Session, values: &[V], rows: &[usize], out: Rows<S>);
}

impl Multiply<u8, i32> for PackedInt {
    fn multiply(&self, session: &mut Session, values: &[u8], rows: &[usize], out: Rows<i32>) {
        int::product(session, values, rows, self, out);
    }
}

impl<T: Element> Multiply<T, T::Sum> for Packed<T> {
    fn multiply(&self, session: &mut Session, values: &[T], rows: &[usize], out: Rows<T::Sum>) {
        real::product(session.kernel(), values, rows, self, out);
    }
}

impl<T> Winograd<Packed<T>, T, T::Sum>
where
    T: Element + Spread + Points,
    T::Sum: Gather,
{
    /// Prepares a convolution with `weight(output, row, column, channel)`, the same for every kernel. Returns
    /// none where it is not 3×3 of stride 1 and ungrouped, or does not pay.
    pub fn real(windows: &Windows, weight: impl Fn(usize, usize, usize, usize) -> T) -> Option<Self> {
        let windows = windows.tiled().filter(|windows| pays(windows, T::TAPS))?;
        let points = transformed(&windows, |o, y, x, c| weight(o, y, x, c).whole());
        let pack = |point: usize, first: usize, outputs: usize, runs: Runs| {
            Packed::new(outputs, runs, |o, _, c| T::weight(points.at(point, first + o, c)))
        };
        Some(Self::new(windows, T::default(), pack, |_, _, _| T::Sum::default()))
    }
}

/// Returns whether a layer can go by points of tiles and takes fewer instructions so, where a step of a
/// product takes so many `taps`. Counted are those of AVX-512, half again as many for loads: the answer is the
/// same for every kernel.
pub(crate) fn pays(windows: &Windows, taps: usize) -> bool {
    let Some(windows) = windows.tiled() else { return false };
    let (channels, outputs) = (windows.frame.source.channels, windows.output.channels);
    let panels = outputs.div_ceil(OUTPUTS / 2);
    let by_windows = windows.pixels() * panels * 3 * (3 * channels).div_ceil(taps) * 3;
    let products = POINTS * panels * (channels.div_ceil(taps) * 3 + 6);
    let transforms = 128 * channels.div_ceil(16 * taps) + 104 * panels;
    windows.tiles() * (products + transforms) < by_windows
}

impl Winograd<PackedInt, u8, i32> {
    /// Prepares a convolution of levels of at most `hi`, with `weight(output, row, column, channel)`. Returns
    /// none where it is not 3×3 of stride 1 and ungrouped, or bytes could not hold what is multiplied.
    pub fn exact(
        kernel: Kernel,
        windows: &Windows,
        hi: i64,
        weight: impl Fn(usize, usize, usize, usize) -> i8,
    ) -> Option<Self> {
        let windows = windows.tiled()?;
        // A point is a sum of four levels, or a difference of two sums of two.
        let highest = 4 * hi;
        if highest > u8::MAX.into() {
            return None;
        }
        let offset = (2 * hi) as u8;
        let points = transformed(&windows, |o, y, x, c| i32::from(weight(o, y, x, c)));
        if points.all.iter().any(|&weight| i8::try_from(weight).is_err()) {
            return None;
        }
        let (outputs, channels) = (windows.output.channels, windows.frame.source.channels);
        let sum = |o: usize| -> i64 {
            let taps = (0..9).flat_map(|tap| (0..channels).map(move |c| (tap, c)));
            taps.map(|(tap, c)| i64::from(weight(o, tap / 3, tap % 3, c)).abs()).sum()
        };
        if (0..outputs).any(|o| 16 * hi * sum(o) > i32::MAX.into()) {
            return None;
        }
        let pack = |point: usize, first: usize, outputs: usize, runs: Runs| {
            PackedInt::new(kernel, outputs, runs, highest, |o, _, c| points.at(point, first + o, c) as i8)
        };
        let constant = |o: usize, y: usize, x: usize| {
            let lifted = (0..POINTS).filter(|&point| point != SUM);
            let shares = lifted.map(|point| {
                let sum: i32 = (0..channels).map(|c| points.at(point, o, c)).sum();
                PRODUCTS[y][point / 4] * PRODUCTS[x][point % 4] * sum
            });
            -i32::from(offset) * shares.sum::<i32>()
        };
        Some(Self::new(windows, offset, pack, constant))
    }
}

impl<F: Multiply<V, S>, V: Spread, S: Gather> Winograd<F, V, S> {
    /// Puts it together for [`Windows::tiled`]: `pack(point, first output, outputs, runs)` packs weights, and
    /// `constant(output, y, x)` is added to the sums of a pixel.
    fn new(
        windows: Windows,
        offset: V,
        pack: impl Fn(usize, usize, usize, Runs) -> F,
        constant: impl Fn(usize, usize, usize) -> S,
    ) -> Self {
        let channels = windows.frame.source.channels;
        let group = |first: usize| {
            let outputs = (windows.output.channels - first).min(OUTPUTS);
            let runs = || Runs { starts: vec![0], length: channels };
            let points = std::array::from_fn(|point| pack(point, first, outputs, runs()));
            let constants = std::array::from_fn(|at| {
                let (pixel, o) = (at / OUTPUTS, at % OUTPUTS);
                if o < outputs { constant(first + o, pixel / 2, pixel % 2) } else { S::default() }
            });
            Group { outputs, points, constants }
        };
        let groups = (0..windows.output.channels).step_by(OUTPUTS).map(group).collect();
        Self { windows, offset, groups }
    }

    /// Returns how its input lies in memory.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Computes `count` maps, `framed` as [`Winograd::windows`] says, and hands the sums to `sink(first pixel,
    /// sums)` piece by piece, pixels counted through all maps.
    pub fn run(&self, session: &mut Session, framed: &[V], count: usize, mut sink: impl FnMut(usize, &[S])) {
        let kernel = session.kernel();
        let (input, output) = (self.windows.frame.source, self.windows.output);
        let stride = input.channels.next_multiple_of(V::vector(kernel, input.channels));
        let most = kernel.tiles();
        let rows: Vec<usize> = (0..most).map(|t| t * stride).collect();
        let mut points = vec![V::default(); POINTS * most * stride + SLACK];
        let mut sums = vec![S::default(); POINTS * most * OUTPUTS];
        let mut pixels = vec![S::default(); 4 * most * output.channels];
        let mut starts = Vec::with_capacity(most);
        let all = count * self.windows.tiles();
        for first in (0..all).step_by(most) {
            let tiles = (all - first).min(most);
            self.windows.tile_starts(first..first + tiles, &mut starts);
            let source = Tiles {
                map: framed,
                starts: &starts,
                row: self.windows.frame.row(),
                channels: input.channels,
                offset: self.offset,
                stride,
            };
            V::spread(kernel, &source, &mut points);
            for (g, group) in self.groups.iter().enumerate() {
                for (point, factor) in group.points.iter().enumerate() {
                    let sums = &mut sums[point * tiles * OUTPUTS..];
                    let values = &points[point * tiles * stride..];
                    factor.multiply(session, values, &rows[..tiles], Rows { sums, stride: OUTPUTS });
                }
                let products = Products { sums: &sums, tiles, constants: &group.constants };
                let map = &mut pixels[g * OUTPUTS..];
                let mut to = Pixels { map, stride: output.channels, outputs: group.outputs };
                S::gather(kernel, &products, &mut to);
            }
            self.rows(first..first + tiles, |pixel, columns, at| {
                sink(pixel, &pixels[at * output.channels..][..columns * output.channels]);
            });
        }
    }

    /// Hands `sink(first pixel, number of pixels, where they lie)` every row of pixels of some tiles.
    fn rows(&self, tiles: std::ops::Range<usize>, mut sink: impl FnMut(usize, usize, usize)) {
        let output = self.windows.output;
        let (down, across) = (output.height.div_ceil(2), output.width.div_ceil(2));
        let mut first = tiles.start;
        while first < tiles.end {
            let (image, top, left) = (first / across / down, first / across % down * 2, first % across * 2);
            let here = (tiles.end - first).min(across - left / 2);
            for y in 0..(output.height - top).min(2) {
                let pixel = (image * output.height + top + y) * output.width + left;
                let at = (y * tiles.len() + first - tiles.start) * 2;
                sink(pixel, (2 * here).min(output.width - left), at);
            }
            first += here;
        }
    }
}

#[cfg(test)]
mod tests;
