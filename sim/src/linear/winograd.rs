//! Runs 3×3 convolutions of stride 1 by Winograd's F(2×2, 3×3): 16 products for four pixels, where windows
//! take 36. Never decides what a layer means.
//!
//! Integers stay exact: with the weights' transform scaled by 2 on each side, sums are four times the
//! accumulators. Levels are transformed as bytes, with an offset that makes none negative; its share of each
//! sum is known beforehand.

use super::windows::{SLACK, Windows};
use crate::kernel::int::{self, PackedInt};
use crate::kernel::real::{self, Element, Packed};
use crate::kernel::winograd::{Gather, OUTPUTS, POINTS, Pixels, Products, SUM, Spread, Tiles};
use crate::kernel::{Kernel, Rows, Runs, Session};
use std::ops::{Add, Sub};

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

/// Is a type of values whose weights can be transformed.
pub(crate) trait Points: Copy + Default {
    /// Returns a transformed weight, given four times it.
    fn weight(fourfold: f64) -> Self;

    /// Returns a weight as it is.
    fn whole(self) -> f64;
}

/// Defines transformed weights of reals, whose fourth is exact.
macro_rules! real {
    ($($element:ty),+) => {$(
        impl Points for $element {
            fn weight(fourfold: f64) -> Self {
                (fourfold * 0.25) as $element
            }

            fn whole(self) -> f64 {
                self.into()
            }
        }
    )+};
}

real!(f32, f64);

/// Sums are four times too large. A transformed weight of 8 bits is far from one of 16.
impl Points for i16 {
    fn weight(fourfold: f64) -> i16 {
        fourfold as i16
    }

    fn whole(self) -> f64 {
        self.into()
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
        let points = transformed(&windows, |o, y, x, c| i32::from(weight(o, y, x, c)));
        // A point is a sum of four levels, or a difference of two sums of two.
        let (offset, highest) = (2 * hi, 4 * hi);
        let offset = u8::try_from(highest).ok().map(|_| offset as u8)?;
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

/// Holds transformed weights, scaled by 4.
struct Transformed<T> {
    /// Output × channel × point.
    all: Vec<T>,
    channels: usize,
}

impl<T: Copy> Transformed<T> {
    fn at(&self, point: usize, output: usize, channel: usize) -> T {
        self.all[(output * self.channels + channel) * POINTS + point]
    }
}

/// Transforms all weights: 2·G of the paper on both sides.
fn transformed<T>(windows: &Windows, weight: impl Fn(usize, usize, usize, usize) -> T) -> Transformed<T>
where
    T: Copy + Add<Output = T> + Sub<Output = T>,
{
    let line = |a: T, b: T, c: T| [a + a, a + b + c, a - b + c, c + c];
    let (outputs, channels) = (windows.output.channels, windows.frame.source.channels);
    let mut all = Vec::with_capacity(outputs * channels * POINTS);
    for o in 0..outputs {
        for c in 0..channels {
            let rows = [0, 1, 2].map(|y| line(weight(o, y, 0, c), weight(o, y, 1, c), weight(o, y, 2, c)));
            let columns = [0, 1, 2, 3].map(|x| line(rows[0][x], rows[1][x], rows[2][x]));
            (0..POINTS).for_each(|point| all.push(columns[point % 4][point / 4]));
        }
    }
    Transformed { all, channels }
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
mod tests {
    use super::*;
    use crate::tensor::spread;
    use dq_net::layer::{Conv, Kind as _};
    use dq_net::{Range, Shape};
    use ndarray::{Array3, Array4};

    fn conv(weights: Array4<i8>, pad: [usize; 4], pad_level: i32) -> Conv {
        Conv { weights, weight_bits: 8, stride: [1, 1], pad, pad_level, groups: 1 }
    }

    /// Sides are odd and even, maps narrower than a vector and wider; levels and weights reach the ends of what
    /// bytes hold after the transform, of either sign.
    #[test]
    fn points_of_tiles_give_the_sums_of_windows_in_every_kernel() {
        for (at, (side, channels, outputs)) in
            [([4, 4], 1, 1), ([5, 3], 3, 17), ([3, 8], 64, 32), ([7, 6], 70, 40), ([1, 2], 33, 70)]
                .into_iter()
                .enumerate()
        {
            for hi in [1, 15, 63] {
                // Nine weights of 14 make 126; a corner of 31 makes 124.
                let weight = |o: usize, tap: usize, c: usize| match (o + c) % 4 {
                    0 => 14,
                    1 => -14,
                    2 if tap == 8 => 31 - 62 * (o % 2) as i8,
                    2 => 0,
                    _ => (o * 31 + tap * 7 + c * 5) as i8 % 15,
                };
                let weights =
                    Array4::from_shape_fn((outputs, 3, 3, channels), |(o, y, x, c)| weight(o, 3 * y + x, c));
                let conv = conv(weights, [1, at % 2 + 1, 1, 1], (hi * at as i32 / 4).min(hi));
                let shape = Shape::new(side[0], side[1], channels);
                let output = conv.shape(&[shape]).unwrap();
                let levels = spread(Range::new(0, hi.into()), 3 * shape.len());
                let wanted: Vec<i32> = levels
                    .chunks_exact(shape.len())
                    .flat_map(|image| {
                        conv.eval(&[Array3::from_shape_vec(shape.dim(), image.to_vec()).unwrap().view()])
                    })
                    .collect();
                let bytes: Vec<u8> = levels.iter().map(|&level| level as u8).collect();
                for kernel in Kernel::available() {
                    let windows = Windows::conv(shape, output, conv.axes(), 1);
                    let weight = |o: usize, y: usize, x: usize, c: usize| conv.weights[[o, y, x, c]];
                    let by_points = Winograd::exact(kernel, &windows, hi.into(), weight).expect("it fits");
                    let frame = &by_points.windows().frame;
                    let mut framed = frame.bordered(3, &vec![conv.pad_level as u8; channels]);
                    frame.place(&bytes, &mut framed, |level| level);
                    let mut found = vec![i32::MIN; wanted.len()];
                    by_points.run(&mut Session::new(kernel), &framed, 3, |first, sums| {
                        found[first * outputs..][..sums.len()].copy_from_slice(sums);
                    });
                    assert_eq!(found, wanted, "{kernel:?}: {side:?} x {channels}, levels to {hi}");
                }
            }
        }
    }

    /// One level, one weight or one sum beyond what fits goes by windows.
    #[test]
    fn what_bytes_cannot_hold_goes_by_windows() {
        let shape = Shape::new(4, 4, 2);
        let fits = |hi: i64, weights: [i8; 9], stride: usize| {
            let conv = Conv {
                stride: [stride, 1],
                ..conv(Array4::from_shape_fn((1, 3, 3, 2), |(_, y, x, _)| weights[3 * y + x]), [1; 4], 0)
            };
            let windows = Windows::conv(shape, conv.shape(&[shape]).unwrap(), conv.axes(), 1);
            Winograd::exact(Kernel::Portable, &windows, hi, |o, y, x, c| conv.weights[[o, y, x, c]]).is_some()
        };
        assert!(fits(63, [14; 9], 1));
        assert!(!fits(64, [14; 9], 1), "four levels of 64 are no byte");
        assert!(!fits(63, [15; 9], 1), "nine weights of 15 are no byte");
        assert!(!fits(63, [14; 9], 2));
        let corner = |weight: i8| std::array::from_fn(|tap| if tap == 2 { weight } else { 0 });
        assert!(fits(63, corner(31), 1) && fits(63, corner(-32), 1));
        assert!(!fits(63, corner(32), 1), "four times 32 is no byte");
    }

    /// Whole numbers, which floats hold exactly, give the same by points as by windows; any reals give the same
    /// bits in every kernel.
    #[test]
    fn reals_by_points_are_those_of_windows_and_of_every_kernel() {
        let (shape, output) = (Shape::new(7, 6, 37), Shape::new(7, 6, 50));
        let axis = dq_net::layer::window::Axis { kernel: 3, stride: 1, before: 1, after: 1 };
        let windows = Windows::conv(shape, output, (axis, axis), 1);
        let number = |i: usize| (i * 7_919 % 23) as f32 - 11.0;
        let weight = |o: usize, y: usize, x: usize, c: usize| number(o * 53 + y * 19 + x * 11 + c);
        let by_points = Winograd::<Packed<f32>, f32, f32>::real(&windows, weight).expect("it pays");
        let run = |kernel: Kernel, values: &[f32]| {
            let frame = &by_points.windows().frame;
            let mut framed = frame.buffer(2);
            frame.place(values, &mut framed, |value| value);
            let mut found = vec![f32::NAN; 2 * output.len()];
            by_points.run(&mut Session::new(kernel), &framed, 2, |first, sums| {
                found[first * output.channels..][..sums.len()].copy_from_slice(sums);
            });
            found
        };
        let whole: Vec<f32> = (0..2 * shape.len()).map(|i| number(i + 5)).collect();
        let conv =
            conv(Array4::from_shape_fn((50, 3, 3, 37), |(o, y, x, c)| weight(o, y, x, c) as i8), [1; 4], 0);
        let wanted: Vec<f32> = whole
            .chunks_exact(shape.len())
            .flat_map(|image| {
                let image = image.iter().map(|&value| value as i32).collect();
                conv.eval(&[Array3::from_shape_vec(shape.dim(), image).unwrap().view()])
            })
            .map(|sum| sum as f32)
            .collect();
        let real: Vec<f32> =
            whole.iter().enumerate().map(|(i, value)| value * 0.1 + i as f32 * 1e-4).collect();
        let portable = run(Kernel::Portable, &real);
        for kernel in Kernel::available() {
            assert_eq!(run(kernel, &whole), wanted, "{kernel:?}");
            assert_eq!(run(kernel, &real), portable, "{kernel:?}");
        }
    }

    /// Attacks read signs: what windows would sum to exactly zero is no rounding error by points.
    #[test]
    fn a_pixel_without_a_slope_gets_none() {
        let (shape, output) = (Shape::new(6, 6, 37), Shape::new(6, 6, 20));
        let axis = dq_net::layer::window::Axis { kernel: 3, stride: 1, before: 1, after: 1 };
        let windows = Windows::conv(shape, output, (axis, axis), 1);
        let middle = |o: usize, y: usize, x: usize, c: usize| match (y, x) {
            (1, 1) => 0.3 + (o * 7 + c * 3) as f32 / 11.0,
            _ => 0.0,
        };
        let by_points = Winograd::<Packed<f32>, f32, f32>::real(&windows, middle).expect("it pays");
        let value = |i: usize| if i.is_multiple_of(5) { 0.1 + i as f32 * 1e-3 } else { 0.0 };
        let at = |pixel: usize| if pixel % 4 == 1 { 1.0 } else { 0.0 };
        let values: Vec<f32> = (0..shape.len()).map(|i| value(i) * at(i / shape.channels)).collect();
        for kernel in Kernel::available() {
            let mut framed = by_points.windows().frame.buffer(1);
            by_points.windows().frame.place(&values, &mut framed, |value| value);
            by_points.run(&mut Session::new(kernel), &framed, 1, |first, sums| {
                for (i, &sum) in sums.iter().enumerate() {
                    let pixel = first + i / output.channels;
                    assert_eq!(sum != 0.0, at(pixel) > 0.0, "{kernel:?}, pixel {pixel}: {sum}");
                }
            });
        }
    }
}
