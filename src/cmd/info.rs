//! Implements `dq info`: says what a network is made of.

use crate::shared::model;
use crate::shared::table::{table, thousands};
use crate::shared::ui::Ui;
use anyhow::Result;
use dq_net::layer::Layer;
use dq_net::{AnyNetwork, FloatNetwork, Network};
use dq_sim::nodes::{NodeInfo, node_infos, without_norms};
use serde_json::json;
use std::path::PathBuf;

/// Show a network: layers, ranges, accumulator bits, MACs; with --norms, exact Lipschitz norms
///
/// A layer's Lipschitz norm is the largest singular value of the linear map that the
/// circuit computes, from the real value of its input to that of its pre-activation:
/// weights as quantized, batch normalization, stride and zero padding included (Lanczos
/// on the operator itself). `defect` is how far the bare matrix is from orthonormal
/// rows, whatever its scale (0: orthonormal). Without --norms, `--json` has null for them.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Network's file, or a built-in topology with random weights (`cnv`, `wrn-16-4:w4a4`, …).
    model: PathBuf,
    /// Compute the layers' Lipschitz norms and defects too, which takes seconds for a large network.
    #[arg(long)]
    norms: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    match model::open_any(&args.model, ui.seed())? {
        AnyNetwork::Integer(network) => integer(ui, &network, args.norms),
        AnyNetwork::Float(network) => float(ui, &network),
    }
}

fn integer(ui: &Ui, network: &Network, norms: bool) -> Result<()> {
    let nodes = if norms { node_infos(network) } else { without_norms(network) };
    let hash = dq_net::content_hash(network);
    let macs: u64 = nodes.iter().map(|node| node.macs).sum();
    let weights: usize = nodes.iter().map(|node| node.weights).sum();
    let accumulator = nodes.iter().filter(|n| n.weight_bits.is_some()).map(|n| n.bits).max().unwrap_or(0);
    // Streams and residuals have gains of their own, so that the layers' norms bound nothing there.
    let is_stream =
        |layer: &Layer| matches!(layer, Layer::Mix(_) | Layer::Sum(_) | Layer::Concat(_) | Layer::Rescale(_));
    let streams = network.nodes().iter().any(|node| is_stream(&node.layer));
    let product = (norms && !streams).then(|| nodes.iter().filter_map(|n| n.lipschitz).product::<f64>());
    let rows: Vec<Vec<String>> = nodes.iter().map(|node| row(node, norms)).collect();
    let provenance = &network.provenance;
    let mut text = format!(
        "{} · integer, W+A · hash {hash}\n\n{}\n{} MACs per frame, {} weights, accumulators of at most \
         {accumulator} bits\n",
        network.name,
        table(&HEAD[..columns(norms)], &rows),
        thousands(macs),
        thousands(weights as u64),
    );
    if let Some(product) = product {
        text.push_str(&format!(
            "product of the layers' norms (an upper bound for the float map, not a certificate): \
             {product:.3}\n"
        ));
    }
    if !norms {
        text.push_str("--norms: the layers' exact Lipschitz norms too\n");
    }
    if !provenance.data_set.is_empty() {
        let metrics: Vec<String> = provenance.metrics.iter().map(|(name, v)| format!("{name} {v}")).collect();
        text.push_str(&format!("trained on {} ({})\n", provenance.data_set, metrics.join(", ")));
    }
    match &network.proof {
        Some(proof) => text.push_str(&format!(
            "proved equal to its float model: {} boundaries, {} probes (dq verify --run proves it again)",
            thousands(proof.boundaries),
            proof.probes
        )),
        None => text.push_str("no proof against a float model"),
    }
    ui.result(
        || {
            json!({"name": network.name, "kind": "integer", "quantized": "W+A", "hash": hash, "macs": macs,
                "weights": weights,
                "accumulator_bits": accumulator, "lipschitz_product": product, "nodes": nodes,
                "provenance": provenance, "proof": network.proof})
        },
        text,
    )
}

/// Names the columns of the table of nodes; the last two are for norms.
const HEAD: [&str; 10] =
    ["node", "kind", "shape", "range", "bits", "weights", "w bits", "MACs", "Lipschitz", "defect"];

/// Returns how many columns the table has.
fn columns(norms: bool) -> usize {
    if norms { HEAD.len() } else { HEAD.len() - 2 }
}

/// Returns the node's row of the table.
fn row(node: &NodeInfo, norms: bool) -> Vec<String> {
    let or = |value: Option<String>| value.unwrap_or_default();
    let count = |value: u64| if value == 0 { String::new() } else { thousands(value) };
    let mut cells = vec![
        node.name.clone(),
        node.kind.into(),
        format!("{}×{}×{}", node.shape[0], node.shape[1], node.shape[2]),
        format!("{}..={}", node.lo, node.hi),
        node.bits.to_string(),
        count(node.weights as u64),
        or(node.weight_bits.map(|b| b.to_string())),
        count(node.macs),
        or(node.lipschitz.map(|l| format!("{l:.3}"))),
        or(node.defect.map(|d| format!("{d:.3}"))),
    ];
    cells.truncate(columns(norms));
    cells
}

fn float(ui: &Ui, network: &FloatNetwork) -> Result<()> {
    let nodes: Vec<(String, String)> = network
        .nodes()
        .iter()
        .enumerate()
        .map(|(i, node)| (node.name.clone(), network.shape(i).to_string()))
        .collect();
    let rows: Vec<Vec<String>> =
        nodes.iter().map(|(name, shape)| vec![name.clone(), shape.clone()]).collect();
    ui.result(
        || {
            json!({"name": network.name, "kind": "float", "quantized": network.quantized(), "nodes": nodes,
                "provenance": network.provenance})
        },
        format!(
            "{} (float network, {}: not for hardware)\n\n{}",
            network.name,
            network.quantized(),
            table(&["node", "shape"], &rows)
        ),
    )
}
