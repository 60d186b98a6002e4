//! Runs 3×3 convolutions of stride 1 by Winograd's F(2×2, 3×3): 16 products for four pixels, where windows
//! take 36. Never decides what a layer means.
//!
//! Integers stay exact: with the weights' transform scaled by 2 on each side, sums are four times the
//! accumulators. Levels are transformed as bytes, with an offset that makes none negative; its share of each
//! sum is known beforehand.

mod weights;
mod work;

pub(crate) use weights::Points;

use super::windows::Windows;
use crate::buffers;
use crate::kernel::int::{self, PackedInt};
use crate::kernel::real::{self, Element, Packed};
use crate::kernel::winograd::{Gather, OUTPUTS, POINTS, Pixels, Products, SUM, Spread, Tiles};
use crate::kernel::{Kernel, Rows, Runs, Session};
use std::ops::Range;
use weights::transformed;
use work::Work;

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

/// Says where the sums of all maps go.
pub(crate) enum Target<'t, S> {
    /// To all output pixels, in order.
    Map(&'t mut [S]),
    /// To a function of the first pixel and the sums of some, piece by piece; pixels are counted through all
    /// maps.
    Rows(&'t mut dyn FnMut(usize, &[S])),
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
    /// none where it is not 3×3 of stride 1 and ungrouped.
    pub fn real(windows: &Windows, weight: impl Fn(usize, usize, usize, usize) -> T) -> Option<Self> {
        let windows = windows.tiled()?;
        let points = transformed(&windows, |o, y, x, c| weight(o, y, x, c).whole());
        let pack = |point: usize, first: usize, outputs: usize, runs: Runs| {
            Packed::new(outputs, runs, |o, _, c| T::weight(points.at(point, first + o, c)))
        };
        Some(Self::new(windows, T::default(), pack, |_, _, _| T::Sum::default()))
    }
}

/// Returns whether a layer can go by points of tiles and takes fewer instructions so than window by window,
/// where a step of a product takes so many `taps`. Counted are those of AVX-512, half again as many for
/// loads: the answer is the same for every kernel.
pub(crate) fn pays(windows: &Windows, taps: usize) -> bool {
    cost(windows, taps).is_some_and(|cost| cost < windows.cost(taps))
}

/// Counts the instructions by points of tiles, if the layer can go so.
pub(super) fn cost(windows: &Windows, taps: usize) -> Option<usize> {
    let windows = windows.tiled()?;
    let (channels, outputs) = (windows.frame.source.channels, windows.output.channels);
    let panels = outputs.div_ceil(OUTPUTS / 2);
    let products = POINTS * panels * (channels.div_ceil(taps) * 3 + 6);
    let transforms = 128 * channels.div_ceil(16 * taps) + 104 * panels;
    Some(windows.tiles() * (products + transforms))
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

    /// Computes `count` maps, `framed` as [`Winograd::windows`] says.
    pub fn run(&self, session: &mut Session, framed: &[V], count: usize, target: Target<S>) {
        let (kernel, output) = (session.kernel(), self.windows.output);
        let mut target = match target {
            // Tiles at the edge of a map of odd sides are cut.
            Target::Map(map) if output.height % 2 + output.width % 2 > 0 => {
                let mut copy = |first: usize, sums: &[S]| {
                    map[first * output.channels..][..sums.len()].copy_from_slice(sums);
                };
                return self.run(session, framed, count, Target::Rows(&mut copy));
            }
            target => target,
        };
        let most = kernel.tiles();
        let mut work = Work::new(&self.windows, kernel);
        let pixels = if matches!(target, Target::Map(_)) { 0 } else { 4 * most * output.channels };
        let mut pixels = buffers::stale(pixels);
        let all = count * self.windows.tiles();
        for first in (0..all).step_by(most) {
            let tiles = first..all.min(first + most);
            self.spread(kernel, framed, tiles.clone(), &mut work);
            let (map, row) = match &mut target {
                Target::Map(map) => {
                    self.windows.tile_places(tiles.clone(), &mut work.places);
                    (&mut **map, output.width * output.channels)
                }
                Target::Rows(_) => {
                    work.places.clear();
                    work.places.extend((0..tiles.len()).map(|t| 2 * t * output.channels));
                    (&mut pixels[..], 2 * tiles.len() * output.channels)
                }
            };
            for (g, group) in self.groups.iter().enumerate() {
                self.multiply(session, group, &mut work);
                let products = Products { sums: &work.sums, tiles: tiles.len(), constants: &group.constants };
                let (map, places) = (&mut map[g * OUTPUTS..], &work.places[..]);
                let mut to = Pixels { map, places, row, stride: output.channels, outputs: group.outputs };
                S::gather(kernel, &products, &mut to);
            }
            if let Target::Rows(sink) = &mut target {
                self.rows(tiles, |pixel, columns, at| {
                    sink(pixel, &pixels[at * output.channels..][..columns * output.channels]);
                });
            }
        }
        work.give();
        buffers::give(pixels);
    }

    /// Transforms some tiles of all maps.
    fn spread(&self, kernel: Kernel, framed: &[V], tiles: Range<usize>, work: &mut Work<V, S>) {
        self.windows.tile_starts(tiles, &mut work.starts);
        let source = Tiles {
            map: framed,
            starts: &work.starts,
            row: self.windows.frame.row(),
            channels: self.windows.frame.source.channels,
            offset: self.offset,
            stride: work.stride,
            apart: work.apart,
        };
        V::spread(kernel, &source, &mut work.points);
    }

    /// Multiplies what was transformed by the weights of a group, point by point.
    fn multiply(&self, session: &mut Session, group: &Group<F, S>, work: &mut Work<V, S>) {
        let tiles = work.starts.len();
        for (point, factor) in group.points.iter().enumerate() {
            let sums = &mut work.sums[point * tiles * OUTPUTS..];
            let values = &work.points[point * work.apart..];
            factor.multiply(session, values, &work.rows[..tiles], Rows { sums, stride: OUTPUTS });
        }
    }

    /// Hands `sink(first pixel, number of pixels, where they lie)` every row of pixels of some tiles.
    fn rows(&self, tiles: Range<usize>, mut sink: impl FnMut(usize, usize, usize)) {
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
