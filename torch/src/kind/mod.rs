//! Runs each kind of layer in libtorch, one file per kind: its forward pass in whole numbers, and its
//! straight-through backward pass in f32. To add a kind, add a file here and a row below.

mod bit_depth;
mod concat;
mod conv;
mod dense;
mod global_sum;
mod input;
mod logits;
mod max_pool;
mod median;
mod mix;
mod pass;
mod rescale;
mod step;
mod sum;
mod sum_pool;
mod window;

pub(crate) use pass::{Pass, Site};

use dq_net::Layer;
use pass::Kind;

/// Returns the kind behind `layer`. There is no wildcard: exactness depends on the kind.
pub(crate) fn kind(layer: &Layer) -> &dyn Kind {
    match layer {
        Layer::Input(layer) => layer,
        Layer::Conv(layer) => layer,
        Layer::Dense(layer) => layer,
        Layer::Step(layer) => layer,
        Layer::MaxPool(layer) => layer,
        Layer::SumPool(layer) => layer,
        Layer::GlobalSum(layer) => layer,
        Layer::Mix(layer) => layer,
        Layer::Sum(layer) => layer,
        Layer::Concat(layer) => layer,
        Layer::Rescale(layer) => layer,
        Layer::BitDepth(layer) => layer,
        Layer::Median(layer) => layer,
        Layer::Logits(layer) => layer,
    }
}
