//! Holds the stages: one file per kind, with everything about it. Its fields, latency, schedule, cost and
//! module are an implementation of [`kind::Kind`]; the layers that it computes say there, as
//! [`hardware::Hardware`], what a plan may choose for them and which stages they become. The kinds of layer
//! are rows of [`of_layer`]. Never decides what a layer means.

pub mod argmax;
pub mod bias;
pub mod bit_depth;
pub mod compare;
pub mod concat;
pub mod contract;
pub mod counter;
pub mod dot;
pub mod egress;
pub mod encoding;
pub mod fifo;
pub mod fork;
pub mod global_sum;
pub mod hardware;
pub mod ingress;
mod join;
pub mod kind;
pub mod median;
pub mod mix;
pub mod mvau;
pub mod narrow;
pub mod outlet;
pub mod parameters;
pub mod passes;
pub mod pixels;
pub mod pool;
pub mod rescale;
pub mod site;
pub mod step;
pub mod stream;
pub mod sum;
pub mod terms;
pub mod weight_port;
pub mod widen;
pub mod window;
pub mod word;

pub use bias::largest_bias;

use dq_net::layer::Layer;
use hardware::Hardware;

/// Suffixes that modules append to a stage's name: one row per kind that has one, two more inside a
/// matrix-vector unit.
pub const MODULES: [&str; 13] = [
    "_mvau",
    "_fetch",
    "_accumulate",
    "_step",
    "_pool",
    "_global_sum",
    "_bias",
    "_mix",
    "_sum",
    "_concat",
    "_rescale",
    "_bit_depth",
    "_median",
];

/// Returns a layer as hardware: one row per kind.
pub fn of_layer(layer: &Layer) -> &dyn Hardware {
    match layer {
        Layer::Input(layer) => layer,
        Layer::Conv(layer) => layer,
        Layer::Dense(layer) => layer,
        Layer::Step(layer) => layer,
        Layer::MaxPool(layer) => layer,
        Layer::SumPool(layer) => layer,
        Layer::Mix(layer) => layer,
        Layer::Sum(layer) => layer,
        Layer::Concat(layer) => layer,
        Layer::Rescale(layer) => layer,
        Layer::BitDepth(layer) => layer,
        Layer::Median(layer) => layer,
        Layer::GlobalSum(layer) => layer,
        Layer::Logits(layer) => layer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{self, Output};
    use crate::rtl::Module;
    use crate::{pipeline, rtl};
    use dq_net::random::{self, Options};

    /// Node names are kept apart from the modules of other nodes by [`MODULES`].
    #[test]
    fn modules_are_called_as_their_stage_with_a_known_suffix() {
        for seed in 0..40 {
            let options = Options { residuals: seed % 2 == 1, ..Options::default() };
            let network = random::network(seed, &options);
            let plan = plan::default(&network, Output::Label).unwrap();
            for stage in pipeline::stages(&network, &plan).unwrap() {
                let module: Module = stage.module();
                for file in rtl::emit(&module, "").unwrap() {
                    let Some(name) = file.name.strip_suffix(".v").filter(|name| !name.starts_with("dq_"))
                    else {
                        continue;
                    };
                    let suffix = name.strip_prefix(&stage.site.name).unwrap_or("another name");
                    assert!(suffix.is_empty() || MODULES.contains(&suffix), "seed {seed}: {name}");
                }
            }
        }
    }
}
