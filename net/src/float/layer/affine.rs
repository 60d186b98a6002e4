//! Defines affines: a gain and a bias per channel, into a residual stream.

use super::kind::{Kind, PerChannel, pack, unpack};
use crate::error::Fault;
use crate::pack::PackedFloats;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Computes `scale·x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Gain per channel.
    pub scale: Vec<f32>,
    /// Bias per channel.
    pub bias: Vec<f32>,
}

/// Holds an affine as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    scale: PackedFloats,
    bias: PackedFloats,
}

impl Kind for Affine {
    type Form = Form;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        PerChannel { scale: &self.scale, bias: &self.bias }.check(input)?;
        Ok(input)
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], _: Shape) -> Array3<f64> {
        PerChannel { scale: &self.scale, bias: &self.bias }.map(inputs[0], |z| z)
    }

    fn to_form(&self) -> Form {
        Form { scale: pack(&self.scale), bias: pack(&self.bias) }
    }

    fn from_form(form: Form) -> Result<Self, Fault> {
        Ok(Affine { scale: unpack(&form.scale, "scale")?, bias: unpack(&form.bias, "bias")? })
    }
}
