//! Defines max pooling: the largest value of each window.

use super::kind::{Kind, own_form};
use super::pool::{axes, draw_window, overlap, pool};
use super::window::{Axis, output_shape};
use crate::draw::Draw;
use crate::motion::{Motion, Moves};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Takes the largest value of each window, without padding. A tie's gradient goes to the first in row-major
/// order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// Size of the window: rows, columns.
    pub window: [usize; 2],
    /// Strides: rows, columns.
    pub stride: [usize; 2],
}

impl MaxPool {
    /// Returns window and stride along rows and columns.
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

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        // The largest of a window moves no further than one of its elements.
        motion.first().times(overlap(self.window, self.stride))
    }

    fn unit(&self, inputs: &[Option<f64>], _: Shape) -> Option<f64> {
        inputs[0]
    }
}

own_form!(MaxPool, 1);

impl MaxPool {
    /// Draws a window that fits the input, and strides.
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let (window, stride) = draw_window(draw);
        MaxPool { window, stride }
    }
}
