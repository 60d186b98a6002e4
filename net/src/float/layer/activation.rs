//! Defines activations: a clipped affine function per channel, with or without levels.

use super::kind::{Kind, PerChannel, pack, positive, unpack};
use crate::error::Fault;
use crate::pack::PackedFloats;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Computes `clip(scale·x + bias, 0, ceiling)`, then rounds to uniform levels where `bits` is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Activation {
    /// Gain per channel (batch normalization folded).
    pub scale: Vec<f32>,
    /// Bias per channel.
    pub bias: Vec<f32>,
    /// Largest value; 6 for ReLU6.
    pub ceiling: f32,
    /// Bits of a level, if there are levels: the result is rounded (half to even) to `2^bits − 1` steps of
    /// `ceiling`.
    pub bits: Option<u8>,
}

/// Holds an activation as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    scale: PackedFloats,
    bias: PackedFloats,
    ceiling: f32,
    bits: Option<u8>,
}

impl Kind for Activation {
    type Form = Form;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        PerChannel { scale: &self.scale, bias: &self.bias }.check(input)?;
        positive("ceiling", self.ceiling)?;
        match self.bits {
            Some(bits) if !(1..=8).contains(&bits) => Err(Fault::new("bits", "1 to 8", bits)),
            _ => Ok(input),
        }
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], _: Shape) -> Array3<f64> {
        let ceiling = f64::from(self.ceiling);
        PerChannel { scale: &self.scale, bias: &self.bias }.map(inputs[0], |z| {
            let z = z.clamp(0.0, ceiling);
            self.bits.map_or(z, |bits| quantize(z, ceiling, bits))
        })
    }

    fn to_form(&self) -> Form {
        Form { scale: pack(&self.scale), bias: pack(&self.bias), ceiling: self.ceiling, bits: self.bits }
    }

    fn from_form(Form { scale, bias, ceiling, bits }: Form) -> Result<Self, Fault> {
        Ok(Activation { scale: unpack(&scale, "scale")?, bias: unpack(&bias, "bias")?, ceiling, bits })
    }
}

/// Rounds half to even, as libtorch does.
fn quantize(x: f64, ceiling: f64, bits: u8) -> f64 {
    let steps = f64::from((1u32 << bits) - 1);
    (x * steps / ceiling).round_ties_even() * ceiling / steps
}
