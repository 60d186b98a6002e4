//! Holds the kinds of node: one file each, with what it is, how it trains, and its exact twin (evaluation,
//! export, proof); and a row each in the table below.

pub mod aol;
pub mod bit_depth;
pub mod conv;
pub mod convolve;
pub mod dense;
pub mod ends;
pub mod global_sum;
pub mod input;
pub mod kind;
pub mod logits;
pub mod max_pool;
pub mod median;
pub mod mix;
pub mod norm;
mod normalize;
pub mod proof;
pub mod quantizer;
pub mod rescale;
mod rounding;
pub mod signal;
pub mod spectral;
pub mod step;
mod stream;
mod sums;
pub mod values;
pub mod weights;

use kind::Training;

/// Declares the closed list of kinds.
macro_rules! kinds {
    ($($module:ident: $kind:ident,)*) => {
        /// Says what a node computes.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Op {
            $(#[doc = concat!("See [`", stringify!($module), "`].")] $kind($module::$kind),)*
        }

        impl Op {
            /// Returns what training asks of its kind.
            pub fn kind(&self) -> &dyn Training {
                match self {
                    $(Op::$kind(kind) => kind,)*
                }
            }

            /// Returns the same, to change it.
            pub fn kind_mut(&mut self) -> &mut dyn Training {
                match self {
                    $(Op::$kind(kind) => kind,)*
                }
            }
        }

        $(impl From<$module::$kind> for Op {
            fn from(kind: $module::$kind) -> Op {
                Op::$kind(kind)
            }
        })*
    };
}

kinds! {
    input: Input,
    bit_depth: BitDepth,
    median: Median,
    conv: Conv,
    dense: Dense,
    step: Step,
    rescale: Rescale,
    mix: Mix,
    max_pool: MaxPool,
    global_sum: GlobalSum,
    logits: Logits,
}

/// Describes one node of a training graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique name; parameters are called `NAME.weight` and so on.
    pub name: String,
    /// The operation that it computes.
    pub op: Op,
    /// The nodes that it reads, as indices of earlier ones.
    pub inputs: Vec<usize>,
}
