//! Defines dense layers: every output is a weighted sum of the whole feature map.

use super::kind::{FileForm, Kind};
use super::weights;
use crate::draw::Draw;
use crate::motion::{Motion, Moves};
use crate::pack::PackedInts;
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array2, Array3, ArrayView3, Ix2};
use serde::{Deserialize, Serialize};

/// Sums the whole feature map, in stream order (row-major, channels fastest), with weights (fully connected).
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Weights: output × input element.
    pub weights: Array2<i8>,
    /// Bits of a weight: with 1 bit weights are −1 and +1, with more they are two's complement.
    pub weight_bits: u8,
}

impl Kind for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn check(&self) -> Result<(), Fault> {
        weights::check_not_empty(&self.weights)?;
        weights::check(self.weight_bits, &self.weights)
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let (outputs, elements) = self.weights.dim();
        if inputs[0].len() != elements {
            return Err(Fault::new("weights", format!("{} input elements", inputs[0].len()), elements));
        }
        Ok(Shape::new(1, 1, outputs))
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        weights::check_levels(inputs[0].range)?;
        Ok(weights::sums(&self.weights, inputs[0].range))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        Array3::from_shape_fn((1, 1, self.weights.dim().0), |(_, _, o)| {
            self.weights.row(o).iter().zip(inputs[0]).map(|(&w, &x)| i32::from(w) * x).sum()
        })
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        // |Σ over elements of the products of two outputs' weights|, summed over the other output.
        let weights = self.weights.mapv(i64::from);
        let correlations = weights.dot(&weights.t());
        let sums = correlations.outer_iter().map(|row| row.iter().map(|v| v.unsigned_abs()).sum());
        weights::spread(motion.first(), sums)
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        None
    }

    fn weight_bits(&self) -> Option<u8> {
        Some(self.weight_bits)
    }

    fn macs(&self, _: Shape, _: Shape) -> u64 {
        self.weights.len() as u64
    }
}

/// Holds a dense layer as it stands in `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    weights: PackedInts,
    weight_bits: u8,
}

impl FileForm for Dense {
    type Form = Form;
    const SINCE: u32 = 1;

    fn to_form(&self, _: &[Wire]) -> Form {
        Form { weights: weights::pack(&self.weights, self.weight_bits), weight_bits: self.weight_bits }
    }

    fn from_form(form: Form) -> Result<Self, Fault> {
        let weights = weights::unpack::<Ix2>(&form.weights, form.weight_bits)?;
        Ok(Dense { weights, weight_bits: form.weight_bits })
    }
}

impl Dense {
    /// Draws a dense layer of so many outputs.
    pub(crate) fn draw(draw: &mut Draw, outputs: usize) -> Self {
        let (weights, weight_bits) = draw.weights((outputs, draw.input.values.len()));
        Dense { weights, weight_bits }
    }
}
