//! Defines mixes: the weighted sum of two streams.

use super::kind::{Kind, finite};
use crate::error::Fault;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3, Zip};
use serde::{Deserialize, Serialize};

/// Computes `a·x + b·y` of two inputs of one shape, which closes a residual block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Share of the first input.
    pub a: f32,
    /// Share of the second input.
    pub b: f32,
}

impl Kind for Mix {
    type Form = Self;

    fn arity(&self) -> usize {
        2
    }

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        finite("a, b", [&self.a, &self.b])?;
        Ok(input)
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], _: Shape) -> Array3<f64> {
        Zip::from(inputs[0]).and(inputs[1]).map_collect(|x, y| f64::from(self.a) * x + f64::from(self.b) * y)
    }

    fn to_form(&self) -> Self {
        self.clone()
    }

    fn from_form(form: Self) -> Result<Self, Fault> {
        Ok(form)
    }
}
