//! The stages: one file per kind, with everything about it. Its fields, latency, schedule, cost and module are an
//! implementation of [`kind::Kind`]; the layers that it computes say there, as [`hardware::Hardware`], what a plan may
//! choose for them and which stages they become. The kinds of layer are rows of [`of_layer`]. Never decides what a layer
//! means.

pub mod argmax;
pub mod bias;
pub mod bit_depth;
pub mod contract;
pub mod counter;
pub mod dot;
pub mod egress;
pub mod encoding;
pub mod fork;
pub mod global_sum;
pub mod hardware;
pub mod ingress;
pub mod kind;
pub mod median;
pub mod mix;
pub mod mvau;
pub mod narrow;
pub mod outlet;
pub mod parameters;
pub mod pool;
pub mod rescale;
pub mod site;
pub mod step;
pub mod stream;
pub mod sum;
pub mod widen;
pub mod window;
pub mod word;

pub use bias::largest_bias;

use dq_net::layer::Layer;
use hardware::Hardware;

/// A layer as hardware: one row per kind.
pub fn of_layer(layer: &Layer) -> &dyn Hardware {
    match layer {
        Layer::Input(layer) => layer,
        Layer::Conv(layer) => layer,
        Layer::Dense(layer) => layer,
        Layer::Step(layer) => layer,
        Layer::MaxPool(layer) => layer,
        Layer::SumPool(layer) => layer,
        Layer::Mix(layer) => layer,
        Layer::Rescale(layer) => layer,
        Layer::BitDepth(layer) => layer,
        Layer::Median(layer) => layer,
        Layer::GlobalSum(layer) => layer,
        Layer::Logits(layer) => layer,
    }
}
