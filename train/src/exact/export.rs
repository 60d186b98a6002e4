//! Exports the float evaluation graph as a network of `dq-net`: integer where weights and activations are
//! quantized, else float. Never approximates: the integer network's thresholds are the float code's own
//! boundaries.

use anyhow::{Context, Result};
use dq_net::{FloatNetwork, FloatNode, Network, Node};

use super::evaluation::Evaluation;

/// Returns the integer network of `evaluation`, not yet proved.
///
/// # Errors
/// Where `Network::new` refuses it.
pub fn integer(name: &str, evaluation: &Evaluation) -> Result<Network> {
    let nodes = evaluation.nodes.iter().enumerate().map(|(i, node)| Node {
        name: node.name.clone(),
        layer: node.op.integer(&evaluation.place(i)),
        inputs: sources(evaluation, &node.inputs),
    });
    Network::new(name, nodes.collect()).context("the exported network is refused")
}

/// Returns the float network of `evaluation`, in real values: a pixel is uint8 / 255, scales are multiplied
/// in.
///
/// # Errors
/// Where `FloatNetwork::new` refuses it.
pub fn float(name: &str, evaluation: &Evaluation) -> Result<FloatNetwork> {
    let nodes = evaluation.nodes.iter().enumerate().map(|(i, node)| FloatNode {
        name: node.name.clone(),
        layer: node.op.float(&evaluation.place(i)),
        inputs: sources(evaluation, &node.inputs),
    });
    FloatNetwork::new(name, nodes.collect()).context("the exported network is refused")
}

fn sources(evaluation: &Evaluation, inputs: &[usize]) -> Vec<String> {
    inputs.iter().map(|&i| evaluation.nodes[i].name.clone()).collect()
}
