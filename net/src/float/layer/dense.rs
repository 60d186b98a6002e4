//! Defines dense layers: every output is a weighted sum of the whole feature map.

use super::kind::{Kind, count, finite};
use crate::error::Fault;
use crate::pack::PackedFloats;
use crate::shape::Shape;
use ndarray::{Array2, Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Sums the whole feature map, in stream order, with weights and without bias (fully connected).
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Weights: output × input element.
    pub weights: Array2<f32>,
}

/// Holds a dense layer as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    weights: PackedFloats,
}

impl Kind for Dense {
    type Form = Form;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        count("weights", input.len(), self.weights.dim().1)?;
        finite("weights", &self.weights)?;
        if self.weights.is_empty() {
            return Err(Fault::new("weights", "at least one weight", "none"));
        }
        Ok(Shape::new(1, 1, self.weights.dim().0))
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], output: Shape) -> Array3<f64> {
        Array3::from_shape_fn(output.dim(), |(_, _, o)| {
            self.weights.row(o).iter().zip(inputs[0]).map(|(&w, &v)| f64::from(w) * v).sum()
        })
    }

    fn to_form(&self) -> Form {
        Form { weights: PackedFloats::pack(self.weights.shape(), self.weights.iter().copied()) }
    }

    fn from_form(form: Form) -> Result<Self, Fault> {
        let (shape, values) = form.weights.unpack("weights", 2)?;
        Ok(Dense { weights: Array2::from_shape_vec((shape[0], shape[1]), values).expect("counted") })
    }
}
