//! Dense: every output is a weighted sum of the whole feature map.

use super::{Kind, check_levels, check_weights, dot_range};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array2, Array3, ArrayView3, Axis};

/// Fully connected layer over the feature map in stream order (row-major, channels fastest).
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Weights, output × input element.
    pub weights: Array2<i8>,
    /// Bits of a weight: 1 is −1/+1, more is two's complement.
    pub weight_bits: u8,
}

impl Kind for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn check(&self) -> Result<(), Fault> {
        if self.weights.is_empty() {
            return Err(Fault::new(
                "weights",
                "at least one weight",
                format!("shape {:?}", self.weights.shape()),
            ));
        }
        check_weights(self.weight_bits, self.weights.iter())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let (outputs, elements) = self.weights.dim();
        if inputs[0].len() != elements {
            return Err(Fault::new("weights", format!("{} input elements", inputs[0].len()), elements));
        }
        Ok(Shape::new(1, 1, outputs))
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        check_levels(inputs[0].range)?;
        let range =
            self.weights.axis_iter(Axis(0)).map(|w| dot_range(w.iter(), inputs[0].range)).reduce(Range::hull);
        Ok(range.expect("checked: not empty"))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        Array3::from_shape_fn((1, 1, self.weights.dim().0), |(_, _, o)| {
            self.weights.row(o).iter().zip(inputs[0]).map(|(&w, &x)| i32::from(w) * x).sum()
        })
    }

    fn macs(&self, _: Shape, _: Shape) -> u64 {
        self.weights.len() as u64
    }
}
