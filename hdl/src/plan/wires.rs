//! The wires as hardware has them: those of the network or, where parameters can be loaded, wide enough for any
//! parameters of the same bits.

use crate::plan::{Control, Plan, PlanError};
use dq_net::layer::Layer;
use dq_net::{Network, Range, Wire};

/// Shape and range of every node's output under `plan`.
pub fn wires(network: &Network, plan: &Plan) -> Vec<Wire> {
    match plan.control {
        Control::Load => widest(network),
        Control::None | Control::Counters => (0..network.nodes().len()).map(|i| network.wire(i)).collect(),
    }
}

/// Whether every accumulator fits whatever is loaded, and every bias is one that could be.
pub fn check_loadable(network: &Network) -> Result<(), PlanError> {
    let wires = widest(network);
    for (i, wire) in wires.iter().enumerate() {
        let node = &network.nodes()[i].name;
        if !wire.range.fits_accumulator() {
            let found = format!("{} with the largest weights of their bits", wire.range);
            return Err(PlanError::new(
                node,
                "control",
                "accumulators within \u{b1}2^30 to load weights",
                found,
            ));
        }
    }
    let last = wires.len() - 1;
    let logits = network.logits();
    let most = largest(wires[network.sources(last)[0]].range);
    match logits.bias.iter().find(|&&bias| i64::from(bias).abs() > most) {
        Some(bias) => {
            let node = &network.nodes()[last].name;
            Err(PlanError::new(node, "bias", format!("within \u{b1}{most} to be loaded"), bias))
        }
        None => Ok(()),
    }
}

/// The wires for the largest parameters of their bits.
fn widest(network: &Network) -> Vec<Wire> {
    let mut wires: Vec<Wire> = vec![];
    for (i, node) in network.nodes().iter().enumerate() {
        let inputs: Vec<Wire> = network.sources(i).iter().map(|&s| wires[s]).collect();
        let range = match &node.layer {
            Layer::Input(_) => network.wire(i).range,
            Layer::Conv(conv) => {
                let (_, rows, columns, channels) = conv.weights.dim();
                any_dot(rows * columns * channels, conv.weight_bits, inputs[0].range)
            }
            Layer::Dense(dense) => any_dot(dense.weights.dim().1, dense.weight_bits, inputs[0].range),
            Layer::Step(step) => Range::levels(step.bits),
            Layer::Logits(_) => {
                let Range { lo, hi } = inputs[0].range;
                let most = largest(inputs[0].range);
                Range::new(lo - most, hi + most)
            }
            layer => layer.kind().range(&inputs).unwrap_or_else(|_| network.wire(i).range),
        };
        wires.push(Wire { shape: network.wire(i).shape, range });
    }
    wires
}

/// Bounds of a sum of `count` products of levels within `input` and any weights of `bits` bits.
fn any_dot(count: usize, bits: u8, input: Range) -> Range {
    let (lo, hi) = if bits == 1 { (-1, 1) } else { (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1) };
    let most = count as i64 * input.hi.max(0);
    Range::new(lo * most, hi * most)
}

fn largest(range: Range) -> i64 {
    range.lo.abs().max(range.hi.abs())
}
