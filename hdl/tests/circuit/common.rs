//! Holds what the tests share: random plans and frames for random networks.

use dq_hdl::emit::Emission;
use dq_hdl::plan::{Control, Mac, Memory, NodePlan, Output, PLAN_VERSION, Plan, limits};
use dq_hdl::verilator::Simulator;
use dq_net::{Layer, Network, Node, random};
use ndarray::{Array4, Axis};
use std::path::Path;

/// Draws a random plan that fits `network`.
pub fn plan(network: &Network, seed: u64) -> Plan {
    let mut state = seed;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let mut one_of = |n: usize| {
        let divisors: Vec<usize> = (1..=n).filter(|&d| n.is_multiple_of(d)).collect();
        divisors[draw(divisors.len())]
    };
    let nodes = (0..network.nodes().len()).filter_map(|i| {
        let limits = limits(network, i)?;
        let (pe, simd) = (one_of(limits.outputs), one_of(limits.inputs));
        let fifo = (one_of(6) == 3).then_some(2 + one_of(12));
        let memory = [Memory::Auto, Memory::Block, Memory::Distributed][one_of(4) % 3];
        let macs = [Mac::Auto].into_iter().chain(Mac::FORMS).filter(|mac| {
            let bits = network.nodes()[i].layer.weight_bits();
            bits.map_or(*mac == Mac::Auto, |bits| mac.fits(simd, bits.into()))
        });
        let macs: Vec<Mac> = macs.collect();
        Some(NodePlan {
            node: network.nodes()[i].name.clone(),
            pe,
            simd,
            memory,
            port: None,
            mac: macs[one_of(12) % macs.len()],
            lines: memory,
            fifo,
            forks: vec![],
        })
    });
    let nodes = nodes.collect();
    let output = if seed.is_multiple_of(3) { Output::Label } else { Output::Scores };
    Plan {
        version: PLAN_VERSION,
        output,
        clock_mhz: 100,
        device: None,
        detector: None,
        proved_radius: None,
        control: Control::None,
        nodes,
    }
}

/// Makes a network of `layers`, each of which reads the one before.
pub fn chain<const N: usize>(name: &str, layers: [(&str, Layer); N]) -> Network {
    let mut nodes: Vec<Node> = vec![];
    for (name, layer) in layers {
        let inputs = nodes.last().map(|node| node.name.clone()).into_iter().collect();
        nodes.push(Node { name: name.into(), layer, inputs });
    }
    Network::new(name, nodes).unwrap()
}

/// Returns the emission's simulator for a short run, built or found in a cache that all tests of this build
/// share.
pub fn simulator(emission: &Emission) -> Simulator {
    Simulator::quick(emission, Path::new(env!("CARGO_TARGET_TMPDIR")))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Draws `count` random frames.
pub fn frames(network: &Network, count: usize, seed: u64) -> Array4<u8> {
    let (height, width, channels) = network.input_shape().dim();
    let mut frames = Array4::zeros((count, height, width, channels));
    for (i, mut frame) in frames.axis_iter_mut(Axis(0)).enumerate() {
        frame.assign(&random::image(seed + i as u64, network.input()));
    }
    frames
}
