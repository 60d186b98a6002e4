//! Defines what pools share: their windows, and the range of a sum.

use super::window::{Axis, output_shape};
use crate::draw::Draw;
use crate::{range::Range, shape::Shape};
use ndarray::{Array3, ArrayView3, s};

/// Returns window and stride along rows and columns, without padding.
pub(super) fn axes(window: [usize; 2], stride: [usize; 2]) -> (Axis, Axis) {
    let axis = |i: usize| Axis { kernel: window[i], stride: stride[i], before: 0, after: 0 };
    (axis(0), axis(1))
}

/// Reduces each window of each channel by `combine`.
pub(super) fn pool(
    x: ArrayView3<i32>,
    window: [usize; 2],
    stride: [usize; 2],
    combine: impl Fn(i32, i32) -> i32,
) -> Array3<i32> {
    let (rows, columns) = axes(window, stride);
    let input = Shape::new(x.dim().0, x.dim().1, x.dim().2);
    let output = output_shape(input, rows, columns, input.channels).expect("checked by Network::new");
    Array3::from_shape_fn(output.dim(), |(oy, ox, c)| {
        let (y, x0) = (oy * stride[0], ox * stride[1]);
        let window = x.slice_move(s![y..y + window[0], x0..x0 + window[1], c]);
        window.iter().copied().reduce(&combine).expect("checked: a window is not empty")
    })
}

/// Returns the range of a sum of `count` values, zero included: partial sums stay within it.
pub(super) fn sum_range(input: Range, count: usize) -> Range {
    let count = count as i64;
    Range::new((input.lo * count).min(0), (input.hi * count).max(0))
}

/// Returns the most windows that one element lies in.
pub(super) fn overlap(window: [usize; 2], stride: [usize; 2]) -> usize {
    window[0].div_ceil(stride[0]) * window[1].div_ceil(stride[1])
}

/// Draws a window that fits the input, and strides.
pub(super) fn draw_window(draw: &mut Draw) -> ([usize; 2], [usize; 2]) {
    let (height, width, _) = draw.input.values.dim();
    let window = [draw.random.within(1, height.min(3)), draw.random.within(1, width.min(3))];
    (window, [draw.random.within(1, 2), draw.random.within(1, 3)])
}
