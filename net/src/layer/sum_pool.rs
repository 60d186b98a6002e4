//! Defines sum pooling: the sum of each window. A mean's division folds into the scale of the next layer.

use super::kind::{Kind, own_form};
use super::pool::{axes, draw_window, overlap, pool, sum_range};
use super::window::{Axis, output_shape};
use crate::draw::Draw;
use crate::motion::{Motion, Moves};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Sums each window, without padding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumPool {
    /// Size of the window: rows, columns.
    pub window: [usize; 2],
    /// Strides: rows, columns.
    pub stride: [usize; 2],
}

impl SumPool {
    /// Returns window and stride along rows and columns.
    pub fn axes(&self) -> (Axis, Axis) {
        axes(self.window, self.stride)
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

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        // (Σ over a window)² is at most its size times the sum of squares.
        let size = self.window[0] * self.window[1];
        motion.first().times(size * overlap(self.window, self.stride))
    }

    fn unit(&self, inputs: &[Option<f64>], _: Shape) -> Option<f64> {
        // The sum stands for the mean, so its unit is that of the mean.
        Some(inputs[0]? / (self.window[0] * self.window[1]) as f64)
    }
}

own_form!(SumPool, 1);

impl SumPool {
    /// Draws a window that fits the input, and strides.
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let (window, stride) = draw_window(draw);
        SumPool { window, stride }
    }
}
