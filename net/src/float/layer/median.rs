//! Defines medians: smoothing by neighbours (feature squeezing).

use super::kind::Kind;
use crate::error::Fault;
use crate::layer;
use crate::pack::NoFields;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};

/// Takes the 2 × 2 median, as [`crate::layer::Median`] does.
#[derive(Clone, Debug, PartialEq)]
pub struct Median;

impl Kind for Median {
    type Form = NoFields;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        Ok(input)
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], output: Shape) -> Array3<f64> {
        Array3::from_shape_fn(output.dim(), |(row, column, c)| {
            let taps = layer::Median::taps(row, column).map(|(row, column)| inputs[0][[row, column, c]]);
            taps[layer::Median::choose(taps)]
        })
    }

    fn to_form(&self) -> NoFields {
        NoFields {}
    }

    fn from_form(_: NoFields) -> Result<Self, Fault> {
        Ok(Median)
    }
}
