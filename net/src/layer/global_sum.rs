//! Defines global sums: the sum of each whole channel. A mean's division folds into the scale of the next
//! layer.

use super::kind::{FileForm, Kind};
use super::pool::sum_range;
use crate::motion::{Motion, Moves};
use crate::pack::NoFields;
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3, Axis};

/// Sums each channel over the whole feature map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalSum;

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
        inputs[0].sum_axis(Axis(0)).sum_axis(Axis(0)).insert_axis(Axis(0)).insert_axis(Axis(0))
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        let shape = motion.from[0].0.shape;
        motion.first().times(shape.height * shape.width)
    }

    fn unit(&self, inputs: &[Option<f64>], shape: Shape) -> Option<f64> {
        // The sum stands for the mean, so its unit is that of the mean.
        Some(inputs[0]? / (shape.height * shape.width) as f64)
    }
}

impl FileForm for GlobalSum {
    type Form = NoFields;
    const SINCE: u32 = 1;

    fn to_form(&self, _: &[Wire]) -> NoFields {
        NoFields {}
    }

    fn from_form(_: NoFields) -> Result<Self, Fault> {
        Ok(GlobalSum)
    }
}
