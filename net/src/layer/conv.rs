//! Convolution: exact accumulators from levels and signed integer weights.

use super::window::{Axis, output_shape};
use super::{Kind, check_levels, check_weights, dot_range};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, Array4, ArrayView3, Axis as Dim};

/// 2-D convolution (cross-correlation), padded with level 0. Depth-wise is `groups` = channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Weights, output channel × kernel row × kernel column × input channel of the group.
    pub weights: Array4<i8>,
    /// Bits of a weight: 1 is −1/+1, more is two's complement.
    pub weight_bits: u8,
    /// Strides: rows, columns.
    pub stride: [usize; 2],
    /// Padding with level 0: top, bottom, left, right.
    pub pad: [usize; 4],
    /// Groups: output channel `o` reads the input channels of group `o / (outputs / groups)`.
    pub groups: usize,
}

impl Conv {
    /// Window, stride and padding along rows and columns.
    pub fn axes(&self) -> (Axis, Axis) {
        let (_, rows, columns, _) = self.weights.dim();
        let [top, bottom, left, right] = self.pad;
        (
            Axis { kernel: rows, stride: self.stride[0], before: top, after: bottom },
            Axis { kernel: columns, stride: self.stride[1], before: left, after: right },
        )
    }
}

impl Kind for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn check(&self) -> Result<(), Fault> {
        if self.weights.is_empty() {
            return Err(Fault::new(
                "weights",
                "at least one weight",
                format!("shape {:?}", self.weights.shape()),
            ));
        }
        let outputs = self.weights.dim().0;
        if self.groups == 0 || !outputs.is_multiple_of(self.groups) {
            return Err(Fault::new("groups", format!("a divisor of its {outputs} outputs"), self.groups));
        }
        check_weights(self.weight_bits, self.weights.iter())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let (outputs, _, _, per_group) = self.weights.dim();
        let wanted = per_group * self.groups;
        if inputs[0].channels != wanted {
            return Err(Fault::new("weights", format!("{} input channels", inputs[0].channels), wanted));
        }
        let (rows, columns) = self.axes();
        output_shape(inputs[0], rows, columns, outputs)
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        check_levels(inputs[0].range)?;
        let range =
            self.weights.axis_iter(Dim(0)).map(|w| dot_range(w.iter(), inputs[0].range)).reduce(Range::hull);
        Ok(range.expect("checked: not empty"))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        let x = inputs[0];
        let (outputs, kernel_rows, kernel_columns, per_group) = self.weights.dim();
        let (rows, columns) = self.axes();
        let (height, width) = (x.dim().0, x.dim().1);
        let input = Shape::new(height, width, x.dim().2);
        let output = self.shape(&[input]).expect("checked by Network::new");
        Array3::from_shape_fn(output.dim(), |(oy, ox, o)| {
            let group = o / (outputs / self.groups);
            let mut acc = 0;
            for ky in 0..kernel_rows {
                for kx in 0..kernel_columns {
                    let (Some(y), Some(x0)) = (rows.tap(oy, ky, height), columns.tap(ox, kx, width)) else {
                        continue; // padding: level 0
                    };
                    for c in 0..per_group {
                        acc += i32::from(self.weights[[o, ky, kx, c]]) * x[[y, x0, group * per_group + c]];
                    }
                }
            }
            acc
        })
    }

    fn macs(&self, _: Shape, output: Shape) -> u64 {
        let (_, rows, columns, per_group) = self.weights.dim();
        output.len() as u64 * (rows * columns * per_group) as u64
    }
}
