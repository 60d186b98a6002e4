//! Defines what every kind of layer answers. Each kind is one file beside this one.

use crate::motion::{Motion, Moves};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};
use serde::{Serialize, de::DeserializeOwned};

/// Gives the rules and the meaning of a kind of layer. A wire's values are `i32`: [`Range::fits_accumulator`]
/// holds on every wire.
pub trait Kind {
    /// Returns the kind's name in files and tables.
    fn name(&self) -> &'static str;
    /// Returns how many inputs a layer of this kind has.
    fn arity(&self) -> usize {
        1
    }
    /// Checks the fields that need no input to be judged.
    fn check(&self) -> Result<(), Fault>;
    /// Returns the output's shape. Called after [`Kind::check`] passed.
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault>;
    /// Returns bounds of every output value, from the actual parameters. Called after [`Kind::shape`] passed.
    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault>;
    /// Returns the output: the layer's meaning, in plain loops.
    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32>;
    /// Returns the real value of one unit of the output (for people and norms), where those of the inputs are
    /// `inputs` and the first one's shape is `shape`; `None` for accumulators.
    fn unit(&self, inputs: &[Option<f64>], shape: Shape) -> Option<f64>;
    /// Bounds how far the output moves where the inputs move as `motion` says ([`crate::motion`]); none where
    /// that passes 128 bits.
    fn moves(&self, motion: &Motion) -> Option<Moves>;
    /// Returns the bits of its weights, where it has any.
    fn weight_bits(&self) -> Option<u8> {
        None
    }
    /// Returns the multiply-accumulates for one image, given the shapes of the first input and the output.
    fn macs(&self, _input: Shape, _output: Shape) -> u64 {
        0
    }
}

/// Gives a kind's part of `model.json`.
pub(crate) trait FileForm: Sized {
    /// The value that stands under the kind's name.
    type Form: Serialize + DeserializeOwned;
    /// The version of the file format that introduced the kind.
    const SINCE: u32;
    /// Returns the version that introduced all that this layer uses.
    fn since(&self) -> u32 {
        Self::SINCE
    }
    /// Returns the form of a layer that reads `inputs`.
    fn to_form(&self, inputs: &[Wire]) -> Self::Form;
    /// Returns the layer of a form; [`Kind::check`] checks its fields later.
    fn from_form(form: Self::Form) -> Result<Self, Fault>;
}

/// Makes a kind its own form: its fields stand in `model.json` as they are, from the given version on.
macro_rules! own_form {
    ($Kind:ident, $since:literal) => {
        impl crate::layer::kind::FileForm for $Kind {
            type Form = Self;
            const SINCE: u32 = $since;

            fn to_form(&self, _: &[crate::wire::Wire]) -> Self {
                Clone::clone(self)
            }

            fn from_form(form: Self) -> Result<Self, crate::error::Fault> {
                Ok(form)
            }
        }
    };
}
pub(crate) use own_form;
