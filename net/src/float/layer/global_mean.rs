//! Defines global means: the mean of each whole channel.

use super::kind::Kind;
use crate::error::Fault;
use crate::pack::NoFields;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3, s};

/// Takes the mean of each channel over the whole feature map.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalMean;

impl Kind for GlobalMean {
    type Form = NoFields;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        Ok(Shape::new(1, 1, input.channels))
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], output: Shape) -> Array3<f64> {
        let (height, width, _) = inputs[0].dim();
        Array3::from_shape_fn(output.dim(), |(_, _, c)| {
            inputs[0].slice(s![.., .., c]).sum() / (height * width) as f64
        })
    }

    fn to_form(&self) -> NoFields {
        NoFields {}
    }

    fn from_form(_: NoFields) -> Result<Self, Fault> {
        Ok(GlobalMean)
    }
}
