//! Tells what commands say of each node of a network.

use crate::norms;
use dq_net::Network;
use dq_net::layer::Layer;
use serde::Serialize;

/// Describes one node, as tables and reports show it.
#[derive(Debug, Serialize)]
pub struct NodeInfo {
    /// The node's name.
    pub name: String,
    /// Kind of its layer.
    pub kind: &'static str,
    /// Height, width and channels of its output.
    pub shape: [usize; 3],
    /// Least value of its output.
    pub lo: i64,
    /// Largest value of its output.
    pub hi: i64,
    /// Bits of its output.
    pub bits: u32,
    /// How many weights it has.
    pub weights: usize,
    /// Bits of a weight.
    pub weight_bits: Option<u8>,
    /// Multiply-accumulates per frame.
    pub macs: u64,
    /// Largest singular value of the folded layer, in real units; `None` for nodes without one.
    pub lipschitz: Option<f64>,
    /// How far the bare matrix is from orthonormal rows.
    pub defect: Option<f64>,
}

/// Describes all nodes of `network`, their exact norms included, which take the time.
pub fn node_infos(network: &Network) -> Vec<NodeInfo> {
    let mut infos = without_norms(network);
    for norm in norms::layers(network) {
        for info in infos.iter_mut().filter(|info| info.name == norm.node) {
            (info.lipschitz, info.defect) = (Some(norm.norm), norm.defect);
        }
    }
    infos
}

/// Describes all nodes of `network` but for their norms.
pub fn without_norms(network: &Network) -> Vec<NodeInfo> {
    let info = |(i, node): (usize, &dq_net::Node)| {
        let wire = network.wire(i);
        let (weights, weight_bits) = match &node.layer {
            Layer::Conv(conv) => (conv.weights.len(), Some(conv.weight_bits)),
            Layer::Dense(dense) => (dense.weights.len(), Some(dense.weight_bits)),
            _ => (0, None),
        };
        NodeInfo {
            name: node.name.clone(),
            kind: node.layer.kind().name(),
            shape: [wire.shape.height, wire.shape.width, wire.shape.channels],
            lo: wire.range.lo,
            hi: wire.range.hi,
            bits: wire.range.bits(),
            weights,
            weight_bits,
            macs: network.macs(i),
            lipschitz: None,
            defect: None,
        }
    };
    network.nodes().iter().enumerate().map(info).collect()
}
