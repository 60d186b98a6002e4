//! Defines the input: the image.

use super::kind::Kind;
use crate::error::Fault;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Gives the image, as pixels / 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Shape of the image.
    pub shape: Shape,
}

impl Kind for Input {
    type Form = Self;

    fn arity(&self) -> usize {
        0
    }

    fn output(&self, _: Shape) -> Result<Shape, Fault> {
        let rule = "1 to 2^26 pixels";
        self.shape.checked_len().map(|_| self.shape).ok_or_else(|| Fault::new("shape", rule, self.shape))
    }

    fn eval(&self, _: &[ArrayView3<f64>], _: Shape) -> Array3<f64> {
        panic!("an input's values are given, not computed")
    }

    fn to_form(&self) -> Self {
        self.clone()
    }

    fn from_form(form: Self) -> Result<Self, Fault> {
        Ok(form)
    }
}
