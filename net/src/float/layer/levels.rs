//! Defines levels: a quantizer whose thresholds lie anywhere, for tanh and sign.

use super::kind::{Kind, PerChannel, finite, pack, positive, unpack};
use crate::error::Fault;
use crate::pack::PackedFloats;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Computes `unit · #{p ≤ scale·x + bias}`, that is tanh or sign, whose levels count from 0 (the layer that
/// reads them has taken the constant away). The straight-through gradient is that of a straight line through
/// −1…1.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// Gain per channel (batch normalization folded).
    pub scale: Vec<f32>,
    /// Bias per channel.
    pub bias: Vec<f32>,
    /// Thresholds: level `i + 1` is reached at `points[i]`; they rise.
    pub points: Vec<f32>,
    /// Real value of one level.
    pub unit: f32,
}

/// Holds a quantizer of this kind as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    scale: PackedFloats,
    bias: PackedFloats,
    points: PackedFloats,
    unit: f32,
}

impl Kind for Levels {
    type Form = Form;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        PerChannel { scale: &self.scale, bias: &self.bias }.check(input)?;
        finite("points", &self.points)?;
        if self.points.is_empty() || self.points.len() > 255 || !self.points.is_sorted() {
            return Err(Fault::new("points", "1 to 255 rising numbers", self.points.len()));
        }
        positive("unit", self.unit)?;
        Ok(input)
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], _: Shape) -> Array3<f64> {
        PerChannel { scale: &self.scale, bias: &self.bias }.map(inputs[0], |z| {
            f64::from(self.unit) * self.points.iter().filter(|&&p| f64::from(p) <= z).count() as f64
        })
    }

    fn to_form(&self) -> Form {
        let &Levels { ref scale, ref bias, ref points, unit } = self;
        Form { scale: pack(scale), bias: pack(bias), points: pack(points), unit }
    }

    fn from_form(Form { scale, bias, points, unit }: Form) -> Result<Self, Fault> {
        let (scale, bias) = (unpack(&scale, "scale")?, unpack(&bias, "bias")?);
        Ok(Levels { scale, bias, points: unpack(&points, "points")?, unit })
    }
}
