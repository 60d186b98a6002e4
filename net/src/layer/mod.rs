//! Defines the kinds of layer, one file per kind: its fields, its shape and range rules, its integer result
//! in plain loops, the real value of its unit, its part of `model.json`, and how a random one is drawn. Those
//! files are the specification; everything fast is tested against them.
//!
//! To add a kind, add a file here and a row below, and say in [`crate::random`] where random networks have
//! it.

mod bit_depth;
mod concat;
mod conv;
mod dense;
mod global_sum;
mod input;
mod kind;
mod logits;
mod max_pool;
mod median;
mod mix;
mod pool;
mod rescale;
mod step;
mod stream;
mod sum;
mod sum_pool;
mod weights;
pub mod window;

pub use kind::Kind;
pub use step::Surrogate;

use crate::{error::Fault, wire::Wire};
use kind::FileForm;
use serde::{Deserialize, Serialize};

/// Makes the enum of layers, its part of `model.json`, and the ways from a layer to its kind, from one row
/// per kind.
macro_rules! kinds {
    ($($(#[$about:meta])* $file:ident::$Kind:ident,)*) => {
        $(pub use $file::$Kind;)*

        /// Describes one layer of a network.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Layer {
            $($(#[$about])* $Kind($Kind),)*
        }

        impl Layer {
            /// Names of the kinds in Rust, in the order of the enum.
            pub const KINDS: &[&str] = &[$(stringify!($Kind)),*];

            /// Returns the kind behind the enum.
            pub fn kind(&self) -> &dyn Kind {
                match self {
                    $(Layer::$Kind(kind) => kind,)*
                }
            }

            /// Returns the version of the file format that introduced its kind and the fields that it uses.
            pub(crate) fn since(&self) -> u32 {
                match self {
                    $(Layer::$Kind(kind) => FileForm::since(kind),)*
                }
            }

            /// Returns the part of `model.json` of a layer that reads `inputs`.
            pub(crate) fn to_form(&self, inputs: &[Wire]) -> LayerForm {
                match self {
                    $(Layer::$Kind(kind) => LayerForm::$Kind(kind.to_form(inputs)),)*
                }
            }

            /// Returns the layer of a part of `model.json`; its fields are not checked yet.
            pub(crate) fn from_form(form: LayerForm) -> Result<Self, Fault> {
                Ok(match form {
                    $(LayerForm::$Kind(form) => Layer::$Kind(FileForm::from_form(form)?),)*
                })
            }
        }

        /// Holds a layer as it stands in `model.json`, under its kind's name.
        #[derive(Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum LayerForm {
            $($Kind(<$Kind as FileForm>::Form),)*
        }
    };
}

kinds! {
    /// The image.
    input::Input,
    /// Convolution: exact accumulators.
    conv::Conv,
    /// Fully connected: exact accumulators.
    dense::Dense,
    /// Quantizer: one monotone step function per channel.
    step::Step,
    /// Largest value of each window.
    max_pool::MaxPool,
    /// Sum of each window.
    sum_pool::SumPool,
    /// Sum of each channel.
    global_sum::GlobalSum,
    /// Convex combination of two streams.
    mix::Mix,
    /// Exact sum of two streams, each times a whole number.
    sum::Sum,
    /// The channels of two streams beside each other.
    concat::Concat,
    /// Affine function per channel, into the residual stream.
    rescale::Rescale,
    /// Pixels rounded to fewer bits.
    bit_depth::BitDepth,
    /// Median of neighbouring pixels.
    median::Median,
    /// Scores of the classes.
    logits::Logits,
}

impl Layer {
    /// Returns the bits of its weights, where it has any.
    pub fn weight_bits(&self) -> Option<u8> {
        self.kind().weight_bits()
    }
}
