//! The kinds of layer. One file per kind says how it is computed fast, how bounds and gradients go through
//! it, and what its float twin is. A new kind is one more file and one more row of [`kind`]. Nothing here
//! decides what a layer means: [`dq_net`] does, and every kind is tested against it.

mod bit_depth;
mod concat;
mod conv;
mod dense;
mod global_sum;
mod input;
mod logits;
mod max_pool;
pub(crate) mod median;
mod mix;
mod pass;
mod relax;
mod rescale;
mod step;
mod sum;
mod sum_pool;
mod weighted;
pub(crate) mod window;

pub(crate) use pass::{Backward, Bounds, Feed, Flow, Forward, Kind, Locality, Site, Twin};
pub(crate) use relax::{Descend, Relax};

use dq_net::layer::Layer;

/// Returns what the engine, the gradients, the bounds and the float twin ask of `layer`: one row per kind.
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
