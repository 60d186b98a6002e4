//! Pooling: the largest value or the sum of each window, and the sum of each whole channel. A mean's division folds
//! into the scale of the next layer.

use super::Kind;
use super::window::{Axis, output_shape};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3, Axis as Dim, s};

/// Largest value of each window, without padding. In the gradient a tie goes to the first in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Window: rows, columns.
    pub window: [usize; 2],
    /// Strides: rows, columns.
    pub stride: [usize; 2],
}

/// Sum of each window, without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumPool {
    /// Window: rows, columns.
    pub window: [usize; 2],
    /// Strides: rows, columns.
    pub stride: [usize; 2],
}

/// Sum of each channel over the whole feature map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalSum;

fn axes(window: [usize; 2], stride: [usize; 2]) -> (Axis, Axis) {
    let axis = |i: usize| Axis { kernel: window[i], stride: stride[i], before: 0, after: 0 };
    (axis(0), axis(1))
}

fn pool(
    x: ArrayView3<i32>,
    window: [usize; 2],
    stride: [usize; 2],
    fold: impl Fn(i32, i32) -> i32,
) -> Array3<i32> {
    let (rows, columns) = axes(window, stride);
    let input = Shape::new(x.dim().0, x.dim().1, x.dim().2);
    let output = output_shape(input, rows, columns, input.channels).expect("checked by Network::new");
    Array3::from_shape_fn(output.dim(), |(oy, ox, c)| {
        let (y, x0) = (oy * stride[0], ox * stride[1]);
        let window = x.slice_move(s![y..y + window[0], x0..x0 + window[1], c]);
        window.iter().copied().reduce(&fold).expect("checked: a window is not empty")
    })
}

/// The range of a sum of `count` values, zero included: partial sums stay within it.
fn sum_range(input: Range, count: usize) -> Range {
    let count = count as i64;
    Range::new((input.lo * count).min(0), (input.hi * count).max(0))
}

impl MaxPool {
    /// Window and stride along rows and columns.
    pub fn axes(&self) -> (Axis, Axis) {
        axes(self.window, self.stride)
    }
}

impl SumPool {
    /// Window and stride along rows and columns.
    pub fn axes(&self) -> (Axis, Axis) {
        axes(self.window, self.stride)
    }
}

impl Kind for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let (rows, columns) = self.axes();
        output_shape(inputs[0], rows, columns, inputs[0].channels)
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        Ok(inputs[0].range)
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        pool(inputs[0], self.window, self.stride, i32::max)
    }
}

impl Kind for SumPool {
    fn name(&self) -> &'static str {
        "sum_pool"
    }

    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let (rows, columns) = self.axes();
        output_shape(inputs[0], rows, columns, inputs[0].channels)
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        Ok(sum_range(inputs[0].range, self.window[0] * self.window[1]))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        pool(inputs[0], self.window, self.stride, |a, b| a + b)
    }
}

impl Kind for GlobalSum {
    fn name(&self) -> &'static str {
        "global_sum"
    }

    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        Ok(Shape::new(1, 1, inputs[0].channels))
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        Ok(sum_range(inputs[0].range, inputs[0].shape.height * inputs[0].shape.width))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        inputs[0].sum_axis(Dim(0)).sum_axis(Dim(0)).insert_axis(Dim(0)).insert_axis(Dim(0))
    }
}
