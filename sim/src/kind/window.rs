//! Runs the windows of the pools, forward and backward, for integers and for floats. Inputs and outputs are
//! height × width × channels.

use crate::kernel::multiversion;
use crate::region::Region;
use dq_net::Shape;
use dq_net::layer::window::Axis;

/// Describes the windows of one pool.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub input: Shape,
    pub output: Shape,
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// Pixels from one window to the next, down and across.
    pub stride: [usize; 2],
}

impl Windows {
    /// Returns the one window over all of `input`.
    pub fn whole(input: Shape) -> Self {
        let output = Shape::new(1, 1, input.channels);
        Self { input, output, window: [input.height, input.width], stride: [1, 1] }
    }

    /// Returns the windows along both axes.
    pub fn axes(&self) -> (Axis, Axis) {
        let axis = |n: usize| Axis { kernel: self.window[n], stride: self.stride[n], before: 0, after: 0 };
        (axis(0), axis(1))
    }

    /// Returns the part of the input that the output's pixels `region` are computed from, and its windows.
    pub fn part(&self, region: &Region) -> (Region, Self) {
        let (rows, columns) = self.axes();
        let under = region.under(rows, columns);
        let (input, output) = (under.shape(self.input.channels), region.shape(self.output.channels));
        (under, Self { input, output, ..*self })
    }

    /// Joins the elements of each window of each image, each converted by `first`.
    pub fn join<T: Copy, U: Copy>(
        &self,
        values: &[T],
        first: impl Fn(T) -> U,
        join: impl Fn(U, U) -> U,
    ) -> Vec<U> {
        let Self { input, output, window, stride } = *self;
        let channels = input.channels;
        let mut out: Vec<U> = Vec::with_capacity(values.len() / input.len() * output.len());
        for image in values.chunks_exact(input.len()) {
            for y in 0..output.height {
                for x in 0..output.width {
                    let pixel = |i: usize, j: usize| {
                        let at = ((y * stride[0] + i) * input.width + x * stride[1] + j) * channels;
                        &image[at..at + channels]
                    };
                    let start = out.len();
                    out.extend(pixel(0, 0).iter().map(|&v| first(v)));
                    for (i, j) in (0..window[0]).flat_map(|i| (0..window[1]).map(move |j| (i, j))).skip(1) {
                        let joined = out[start..].iter_mut().zip(pixel(i, j));
                        joined.for_each(|(to, &v)| *to = join(*to, first(v)));
                    }
                }
            }
        }
        out
    }

    /// Returns whether every input lies in one window.
    pub fn tile_the_input(&self) -> bool {
        let Self { input, output, window, stride } = *self;
        let along = |n: usize, from: usize, to: usize| window[n] == stride[n] && from == to * stride[n];
        along(0, input.height, output.height) && along(1, input.width, output.width)
    }

    /// Adds the gradient of a largest value's input to `into`, for one image with the inputs `values`. Among
    /// equal values the slope goes to the first in row-major order.
    pub fn add_max_slopes<T: Copy + PartialOrd>(&self, values: &[T], slopes: &[f32], into: &mut [f32]) {
        self.each_max_slope(values, slopes, into, |before, slope| before + slope);
    }

    /// Does what [`Windows::add_max_slopes`] does, where `join` says what a slope makes of what was there.
    #[inline(always)]
    fn each_max_slope<T: Copy + PartialOrd>(
        &self,
        values: &[T],
        slopes: &[f32],
        into: &mut [f32],
        join: impl Fn(f32, f32) -> f32,
    ) {
        let channels = self.output.channels;
        let mut best = vec![values[0]; channels];
        let mut at = vec![0; channels];
        for (pixel, slopes) in slopes.chunks_exact(channels).enumerate() {
            for (n, tap) in (0u32..).zip(self.taps(pixel * channels)) {
                let values = &values[tap..tap + channels];
                if n == 0 {
                    best.copy_from_slice(values);
                    continue;
                }
                for ((best, at), &value) in best.iter_mut().zip(&mut at).zip(values) {
                    let (more, before) = (value > *best, if n == 1 { 0 } else { *at });
                    *best = if more { value } else { *best };
                    *at = if more { n } else { before };
                }
            }
            // All taps take something, if only 0: that goes faster than to look for the one that takes all.
            for (n, tap) in (0u32..).zip(self.taps(pixel * channels)) {
                for ((to, &at), &slope) in into[tap..tap + channels].iter_mut().zip(&at).zip(slopes) {
                    *to = join(*to, if at == n { slope } else { 0.0 });
                }
            }
        }
    }

    /// Adds the gradient of a sum's input to `into`, for one image.
    pub fn add_sum_slopes(&self, slopes: &[f32], into: &mut [f32]) {
        for (i, &slope) in slopes.iter().enumerate() {
            self.taps(i).for_each(|tap| into[tap] += slope);
        }
    }

    /// Returns the input elements under output element `i`, in row-major order.
    pub fn taps(&self, i: usize) -> impl Iterator<Item = usize> + use<> {
        let Self { input, output, window, stride } = *self;
        let c = i % output.channels;
        let (y, x) = (i / output.channels / output.width, i / output.channels % output.width);
        let tap = move |dy: usize, dx: usize| {
            ((y * stride[0] + dy) * input.width + x * stride[1] + dx) * input.channels + c
        };
        (0..window[0]).flat_map(move |dy| (0..window[1]).map(move |dx| tap(dy, dx)))
    }
}

multiversion! {
    /// Does what [`Windows::add_max_slopes`] does, for levels that are bytes.
    pub(crate) fn add_max_slopes_of_bytes =
        max_slopes_of_bytes(windows: &Windows, values: &[u8], slopes: &[f32], into: &mut [f32])
}

#[inline(always)]
fn max_slopes_of_bytes(windows: &Windows, values: &[u8], slopes: &[f32], into: &mut [f32]) {
    windows.each_max_slope(values, slopes, into, |before, slope| before + slope);
}

multiversion! {
    /// Writes those slopes, where windows [tile the input](Windows::tile_the_input).
    pub(crate) fn max_slopes_of_tiles =
        max_slopes_of_tiles_body(windows: &Windows, values: &[u8], slopes: &[f32], into: &mut [f32])
}

#[inline(always)]
fn max_slopes_of_tiles_body(windows: &Windows, values: &[u8], slopes: &[f32], into: &mut [f32]) {
    windows.each_max_slope(values, slopes, into, |_, slope| slope);
}
