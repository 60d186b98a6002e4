//! Computes the exact spectral norm of every layer: of the weights as they are computed with (quantized,
//! times their scale), on the layer's whole input. Batch norm and quantizers are left out.

use tch::{Kind, no_grad};

use super::model::Model;
use crate::graph::sizes;

/// Returns the largest singular value of every layer that has weights, in graph order, by node name.
pub fn norms(model: &Model) -> Vec<(String, f64)> {
    let sizes = sizes(&model.nodes);
    let norm = |node: &crate::node::Node| {
        let kind = node.op.kind();
        let quantized = model.values.weights(&node.name, &kind.weights()?);
        let weight = (quantized.levels * quantized.scale).to_kind(Kind::Float);
        kind.spectral_norm(&weight, sizes[node.inputs[0]])
    };
    no_grad(|| model.nodes.iter().filter_map(|node| Some((node.name.clone(), norm(node)?))).collect())
}
