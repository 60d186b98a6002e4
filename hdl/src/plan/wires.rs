//! Gives the wires as hardware has them: those of the network or, where parameters can be loaded, wide enough
//! for any parameters of the same bits.

use super::data::{Control, Plan, PlanError};
use crate::stage;
use dq_net::{Network, Wire};

/// Returns the shape and range of every node's output under `plan`.
pub fn wires(network: &Network, plan: &Plan) -> Vec<Wire> {
    match plan.control {
        Control::Load => widest(network),
        Control::None | Control::Counters => (0..network.nodes().len()).map(|i| network.wire(i)).collect(),
    }
}

/// Checks that every accumulator fits whatever is loaded, and that every bias could be loaded itself.
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
    let most = stage::largest_bias(wires[network.sources(last)[0]].range);
    match logits.bias.iter().find(|&&bias| i64::from(bias).abs() > most) {
        Some(bias) => {
            let node = &network.nodes()[last].name;
            Err(PlanError::new(node, "bias", format!("within \u{b1}{most} to be loaded"), bias))
        }
        None => Ok(()),
    }
}

/// Returns the wires for the largest parameters of their bits.
fn widest(network: &Network) -> Vec<Wire> {
    let mut wires: Vec<Wire> = vec![];
    for (i, node) in network.nodes().iter().enumerate() {
        let inputs: Vec<Wire> = network.sources(i).iter().map(|&s| wires[s]).collect();
        let Wire { shape, range } = network.wire(i);
        wires.push(Wire { shape, range: stage::of_layer(&node.layer).widest(&inputs, range) });
    }
    wires
}
