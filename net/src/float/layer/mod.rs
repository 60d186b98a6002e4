//! Defines the kinds of float layer, one file per kind: its fields, its shape rule, its meaning in plain
//! loops, and its part of the file. Values are real: a pixel is `uint8 / 255`.
//!
//! To add a kind, add a file here and a row below.

mod activation;
mod affine;
mod bit_depth;
mod conv;
mod dense;
mod global_mean;
mod input;
mod kind;
mod levels;
mod logits;
mod max_pool;
mod median;
mod mix;

use crate::{error::Fault, shape::Shape};
use kind::Kind;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Makes the enum of float layers, its part of the file, and the ways from a layer to its kind, from one row
/// per kind.
macro_rules! kinds {
    ($($(#[$about:meta])* $file:ident::$Kind:ident,)*) => {
        $(pub use $file::$Kind;)*

        /// Describes one layer of a float network.
        #[derive(Clone, Debug, PartialEq)]
        pub enum FloatLayer {
            $($(#[$about])* $Kind($Kind),)*
        }

        impl FloatLayer {
            /// Returns the kind's name, as files have it.
            pub fn name(&self) -> &'static str {
                match self {
                    $(FloatLayer::$Kind(_) => stringify!($file),)*
                }
            }

            /// Returns how many inputs it has.
            pub(super) fn arity(&self) -> usize {
                match self {
                    $(FloatLayer::$Kind(kind) => kind.arity(),)*
                }
            }

            /// Checks its fields and returns its output's shape.
            pub(super) fn output(&self, input: Shape) -> Result<Shape, Fault> {
                match self {
                    $(FloatLayer::$Kind(kind) => kind.output(input),)*
                }
            }

            /// Returns its output, whose shape is `output`.
            pub(super) fn eval(&self, inputs: &[ArrayView3<f64>], output: Shape) -> Array3<f64> {
                match self {
                    $(FloatLayer::$Kind(kind) => kind.eval(inputs, output),)*
                }
            }

            /// Returns its part of the file.
            pub(super) fn to_form(&self) -> LayerForm {
                match self {
                    $(FloatLayer::$Kind(kind) => LayerForm::$Kind(kind.to_form()),)*
                }
            }

            /// Returns the layer of a part of the file; its fields are not checked yet.
            pub(super) fn from_form(form: LayerForm) -> Result<Self, Fault> {
                Ok(match form {
                    $(LayerForm::$Kind(form) => FloatLayer::$Kind(Kind::from_form(form)?),)*
                })
            }
        }

        /// Holds a layer as it stands in the file, under its kind's name.
        #[derive(Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum LayerForm {
            $($Kind(<$Kind as Kind>::Form),)*
        }
    };
}

kinds! {
    /// The image.
    input::Input,
    /// Convolution without bias.
    conv::Conv,
    /// Fully connected, without bias.
    dense::Dense,
    /// Clipped activation, with or without levels.
    activation::Activation,
    /// Quantizer with any thresholds: tanh or sign.
    levels::Levels,
    /// Affine function per channel, into a residual stream.
    affine::Affine,
    /// Weighted sum of two streams.
    mix::Mix,
    /// Pixels rounded to fewer bits.
    bit_depth::BitDepth,
    /// Median of neighbouring pixels.
    median::Median,
    /// Largest value of each window.
    max_pool::MaxPool,
    /// Mean of each channel.
    global_mean::GlobalMean,
    /// Scores of the classes.
    logits::Logits,
}
