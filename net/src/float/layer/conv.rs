//! Defines convolution of real values.

use super::kind::{Kind, count, finite};
use crate::error::Fault;
use crate::layer::window::{Axis, output_shape};
use crate::pack::PackedFloats;
use crate::shape::Shape;
use ndarray::{Array3, Array4, ArrayView3};
use serde::{Deserialize, Serialize};

/// Convolves without bias; the border is padded with 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Weights: output channel × kernel row × kernel column × input channel of the group.
    pub weights: Array4<f32>,
    /// Strides: rows, columns.
    pub stride: [usize; 2],
    /// Padding: top, bottom, left, right.
    pub pad: [usize; 4],
    /// Number of groups.
    pub groups: usize,
}

/// Holds a convolution as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    weights: PackedFloats,
    stride: [usize; 2],
    pad: [usize; 4],
    groups: usize,
}

impl Conv {
    fn axes(&self) -> (Axis, Axis) {
        let (_, rows, columns, _) = self.weights.dim();
        let [top, bottom, left, right] = self.pad;
        (
            Axis { kernel: rows, stride: self.stride[0], before: top, after: bottom },
            Axis { kernel: columns, stride: self.stride[1], before: left, after: right },
        )
    }
}

impl Kind for Conv {
    type Form = Form;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        let (outputs, _, _, per_group) = self.weights.dim();
        if self.weights.is_empty() || self.groups == 0 || outputs % self.groups != 0 {
            return Err(Fault::new("groups", "a divisor of its outputs", self.groups));
        }
        count("weights", input.channels, per_group * self.groups)?;
        finite("weights", &self.weights)?;
        let (rows, columns) = self.axes();
        output_shape(input, rows, columns, outputs)
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], output: Shape) -> Array3<f64> {
        let x = inputs[0];
        let (height, width, _) = x.dim();
        let (outputs, kernel_rows, kernel_columns, per_group) = self.weights.dim();
        let (rows, columns) = self.axes();
        Array3::from_shape_fn(output.dim(), |(oy, ox, o)| {
            let group = o / (outputs / self.groups);
            let mut acc = 0.0;
            for ky in 0..kernel_rows {
                for kx in 0..kernel_columns {
                    let (Some(y), Some(x0)) = (rows.tap(oy, ky, height), columns.tap(ox, kx, width)) else {
                        continue; // padding: 0
                    };
                    for c in 0..per_group {
                        acc += f64::from(self.weights[[o, ky, kx, c]]) * x[[y, x0, group * per_group + c]];
                    }
                }
            }
            acc
        })
    }

    fn to_form(&self) -> Form {
        let &Conv { ref weights, stride, pad, groups } = self;
        Form { weights: PackedFloats::pack(weights.shape(), weights.iter().copied()), stride, pad, groups }
    }

    fn from_form(Form { weights, stride, pad, groups }: Form) -> Result<Self, Fault> {
        let (shape, values) = weights.unpack("weights", 4)?;
        let weights = Array4::from_shape_vec((shape[0], shape[1], shape[2], shape[3]), values);
        Ok(Conv { weights: weights.expect("counted"), stride, pad, groups })
    }
}
