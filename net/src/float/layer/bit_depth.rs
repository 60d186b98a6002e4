//! Defines bit depth: pixels are rounded to fewer bits (feature squeezing).

use super::kind::Kind;
use crate::error::Fault;
use crate::layer;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Rounds pixels to fewer bits, as [`crate::layer::BitDepth`] does. The gradient passes as if the layer were
/// not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitDepth {
    /// Bits of a level, 1 to 8.
    pub bits: u8,
}

impl Kind for BitDepth {
    type Form = Self;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        if (1..=8).contains(&self.bits) { Ok(input) } else { Err(Fault::new("bits", "1 to 8", self.bits)) }
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], _: Shape) -> Array3<f64> {
        let depth = layer::BitDepth { bits: self.bits };
        let top = f64::from((1u32 << self.bits) - 1);
        inputs[0].mapv(|v| f64::from(depth.level((v * 255.0).round() as i32)) / top)
    }

    fn to_form(&self) -> Self {
        self.clone()
    }

    fn from_form(form: Self) -> Result<Self, Fault> {
        Ok(form)
    }
}
