//! Defines logits: the scores of the classes.

use super::kind::{Kind, finite, pack, unpack};
use crate::error::Fault;
use crate::pack::PackedFloats;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Computes `x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// Bias per class.
    pub bias: Vec<f32>,
}

/// Holds the logits layer as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    bias: PackedFloats,
}

impl Kind for Logits {
    type Form = Form;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        if self.bias.len() < 2 || input != Shape::new(1, 1, self.bias.len()) {
            let rule = format!("one per class (at least 2) for {input}");
            return Err(Fault::new("bias", rule, self.bias.len()));
        }
        finite("bias", &self.bias)?;
        Ok(input)
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], _: Shape) -> Array3<f64> {
        let x = inputs[0];
        Array3::from_shape_fn(x.dim(), |(row, column, c)| x[[row, column, c]] + f64::from(self.bias[c]))
    }

    fn to_form(&self) -> Form {
        Form { bias: pack(&self.bias) }
    }

    fn from_form(form: Form) -> Result<Self, Fault> {
        Ok(Logits { bias: unpack(&form.bias, "bias")? })
    }
}
