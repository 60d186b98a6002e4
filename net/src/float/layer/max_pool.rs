//! Defines max pooling: the largest value of each window.

use super::kind::Kind;
use crate::error::Fault;
use crate::layer::window::{Axis, output_shape};
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Takes the largest value of each window, without padding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// Size of the window: rows, columns.
    pub window: [usize; 2],
    /// Strides: rows, columns.
    pub stride: [usize; 2],
}

impl Kind for MaxPool {
    type Form = Self;

    fn output(&self, input: Shape) -> Result<Shape, Fault> {
        let axis = |i: usize| Axis { kernel: self.window[i], stride: self.stride[i], before: 0, after: 0 };
        output_shape(input, axis(0), axis(1), input.channels)
    }

    fn eval(&self, inputs: &[ArrayView3<f64>], output: Shape) -> Array3<f64> {
        let ([rows, columns], stride) = (self.window, self.stride);
        Array3::from_shape_fn(output.dim(), |(oy, ox, c)| {
            let taps = (0..rows).flat_map(|ky| (0..columns).map(move |kx| (ky, kx)));
            taps.map(|(ky, kx)| inputs[0][[oy * stride[0] + ky, ox * stride[1] + kx, c]])
                .fold(f64::MIN, f64::max)
        })
    }

    fn to_form(&self) -> Self {
        self.clone()
    }

    fn from_form(form: Self) -> Result<Self, Fault> {
        Ok(form)
    }
}
