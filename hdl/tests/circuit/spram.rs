//! Weights in memories that configuration cannot fill: loaded word by word before the first frame, in every simulation.

use crate::common;
use dq_hdl::design::Design;
use dq_hdl::plan::{Memory, Output, Plan};
use dq_hdl::stalls::Stalls;
use dq_hdl::{fold, netlist};
use dq_net::{Network, topology};

/// A plan for an UP5K in which the weights of `nodes` lie in SPRAM, `simd` inputs wide.
fn plan(network: &Network, nodes: &[(&str, usize)]) -> Plan {
    let mut plan = fold::default(network, Output::Scores).unwrap();
    plan.device = Some("ice40-up5k".into());
    for &(name, simd) in nodes {
        let node = plan.nodes.iter_mut().find(|node| node.node == name).expect("a node of the network");
        (node.simd, node.memory) = (simd, Memory::Spram);
    }
    plan
}

/// Weights of one bit, recoded; words of more than 32 bits; several stages, one with a single word a fold.
fn designs() -> Vec<Design> {
    let of = |name: &str, nodes: &[(&str, usize)]| {
        let network = topology::build(name, 3).unwrap();
        Design::new(&network, &plan(&network, nodes)).unwrap()
    };
    vec![
        of("lenet:w1a2", &[("conv2", 8), ("conv3", 16)]),
        of("lenet:w3a2", &[("conv3", 16), ("classifier", 4)]),
        of("mlp:w2a1", &[("dense1", 1), ("dense2", 32)]),
    ]
}

#[test]
fn loaded_weights_agree() {
    for design in designs() {
        let frames = common::frames(&design.network, 2, 6);
        for stalls in [Stalls::NONE, Stalls::random(4)] {
            let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "{}", design.network.name);
        }
    }
}
