//! Defines what every kind of float layer answers, and what several kinds share. Each kind is one file beside
//! this one.

use crate::error::Fault;
use crate::pack::PackedFloats;
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3};
use serde::{Serialize, de::DeserializeOwned};

/// Gives the rules, the meaning and the file form of a kind of float layer.
pub(crate) trait Kind: Sized {
    /// The value that stands in the file under the kind's name.
    type Form: Serialize + DeserializeOwned;

    /// Returns how many inputs a layer of this kind has. All have one shape.
    fn arity(&self) -> usize {
        1
    }
    /// Checks the layer and returns its output's shape.
    fn output(&self, input: Shape) -> Result<Shape, Fault>;
    /// Returns the output, whose shape is `output`: the layer's meaning, in plain loops of f64.
    fn eval(&self, inputs: &[ArrayView3<f64>], output: Shape) -> Array3<f64>;
    /// Returns the layer's form.
    fn to_form(&self) -> Self::Form;
    /// Returns the layer of a form; [`Kind::output`] checks its fields later.
    fn from_form(form: Self::Form) -> Result<Self, Fault>;
}

/// Borrows a gain and a bias per channel.
pub(super) struct PerChannel<'a> {
    pub scale: &'a [f32],
    pub bias: &'a [f32],
}

impl PerChannel<'_> {
    /// Checks that each channel of `input` has a finite gain and bias.
    pub fn check(&self, input: Shape) -> Result<(), Fault> {
        count("scale", input.channels, self.scale.len())?;
        count("bias", input.channels, self.bias.len())?;
        finite("scale", self.scale)?;
        finite("bias", self.bias)
    }

    /// Applies `then` to each value after gain and bias.
    pub fn map(&self, x: ArrayView3<f64>, then: impl Fn(f64) -> f64) -> Array3<f64> {
        Array3::from_shape_fn(x.dim(), |(row, column, c)| {
            then(x[[row, column, c]] * f64::from(self.scale[c]) + f64::from(self.bias[c]))
        })
    }
}

/// Packs a list of numbers.
pub(super) fn pack(values: &[f32]) -> PackedFloats {
    PackedFloats::pack(&[values.len()], values.iter().copied())
}

/// Unpacks a list of numbers.
pub(super) fn unpack(packed: &PackedFloats, field: &str) -> Result<Vec<f32>, Fault> {
    Ok(packed.unpack(field, 1)?.1)
}

/// Checks that all numbers of `field` are finite.
pub(super) fn finite<'a>(field: &str, values: impl IntoIterator<Item = &'a f32>) -> Result<(), Fault> {
    match values.into_iter().find(|v| !v.is_finite()) {
        Some(v) => Err(Fault::new(field, "finite numbers", v)),
        None => Ok(()),
    }
}

/// Checks that `field` is finite and above 0.
pub(super) fn positive(field: &str, value: f32) -> Result<(), Fault> {
    let right = value.is_finite() && value > 0.0;
    if right { Ok(()) } else { Err(Fault::new(field, "finite and above 0", value)) }
}

/// Checks that `field` has `wanted` elements.
pub(super) fn count(field: &str, wanted: usize, found: usize) -> Result<(), Fault> {
    if wanted == found { Ok(()) } else { Err(Fault::new(field, wanted.to_string(), found)) }
}
