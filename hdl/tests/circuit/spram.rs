//! Tests weights in memories that configuration cannot fill: they are loaded word by word before the first
//! frame, in every simulation.

use super::{common, emitted};
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::plan::{Control, Memory, Output, Plan};
use dq_hdl::stalls::Stalls;
use dq_hdl::{gates, netlist, plan, tool};
use dq_net::layer::{Dense, Input, Layer, Logits};
use dq_net::{Network, Shape, topology};
use ndarray::Array2;

/// Makes a plan for an UP5K in which the weights of `nodes` (with PE and SIMD) lie in SPRAM.
fn plan(network: &Network, nodes: &[(&str, usize, usize)]) -> Plan {
    let mut plan = plan::default(network, Output::Scores).unwrap();
    plan.device = Some("ice40-up5k".into());
    for &(name, pe, simd) in nodes {
        let node = plan.nodes.iter_mut().find(|node| node.node == name).expect("a node of the network");
        (node.pe, node.simd, node.memory) = (pe, simd, Memory::Spram);
    }
    plan
}

/// Weights of one bit, recoded; words of more than 32 bits; several stages, one with a single word a fold.
fn designs() -> Vec<Design> {
    let of = |name: &str, nodes: &[(&str, usize, usize)]| {
        let network = topology::build(name, 3).unwrap();
        Design::new(&network, &plan(&network, nodes)).unwrap()
    };
    vec![
        of("lenet@1/4:w3a2", &[("conv3", 4, 4), ("classifier", 1, 2)]),
        of("lenet:w1a2", &[("conv2", 1, 8), ("conv3", 1, 16)]),
        of("mlp:w2a1", &[("dense2", 1, 32)]),
    ]
}

/// Makes a dense layer alone, whose words of 48 bits take three SPRAMs.
pub fn tiny() -> Design {
    let weights = Array2::from_shape_fn((12, 16), |(o, i)| ((o * 7_919 + i * 104_729) % 7) as i8 - 3);
    let layers = [
        ("input", Layer::Input(Input::pixels(Shape::new(1, 2, 8)))),
        ("dense", Layer::Dense(Dense { weights, weight_bits: 3 })),
        ("logits", Layer::Logits(Logits { bias: vec![1; 12], scale: 1.0 })),
    ];
    let network = common::chain("tiny", layers);
    Design::new(&network, &plan(&network, &[("dense", 4, 4)])).unwrap()
}

#[test]
fn loaded_weights_agree() {
    for design in designs().into_iter().chain([tiny()]) {
        let frames = common::frames(&design.network, 2, 6);
        for stalls in [Stalls::NONE, Stalls::random(4)] {
            let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "{}", design.network.name);
        }
    }
}

#[test]
fn loaded_weights_agree_in_verilator_and_as_gates() {
    let (Some(_), Some(_)) = (tool::require("verilator"), tool::require("yosys")) else { return };
    let design = &tiny();
    let emission = emit(design);
    let folder = tempfile::tempdir().unwrap();
    let gates = gates::synthesize(design, folder.path(), &|_| false).unwrap();
    let blocks = gates.cells.get("SB_SPRAM256KA").copied();
    assert_eq!(blocks, Some(emission.report.estimate.total.spram), "{:?}", gates.cells);
    let frames = common::frames(&design.network, 2, 6);
    let stalls = Stalls::random(9);
    for emission in [&emission, &gates.emission] {
        let simulator = common::simulator(emission);
        let outcome = simulator.run(design, frames.view(), &stalls).unwrap();
        assert_eq!(outcome.beats, design.expected(frames.view(), &stalls));
    }
}

#[test]
fn the_testbench_loads_weights_and_a_wrong_word_is_found() {
    let Some(verilator) = tool::require("verilator") else { return };
    let design = &designs()[0];
    let folder = tempfile::tempdir().unwrap();
    emitted::build_testbench(&verilator, &emit(design), folder.path());
    let run = || emitted::run_testbench(folder.path());
    assert!(run().contains("PASS"), "{}", run());
    let path = folder.path().join("boot.mem");
    let words = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = words.lines().collect();
    // The identity, a weight and the checksum are damaged in turn.
    for wrong in [0, lines.len() / 2, lines.len() - 1] {
        let flip = |(at, line): (usize, &&str)| {
            let word = u32::from_str_radix(line, 16).unwrap() ^ u32::from(at == wrong);
            format!("{word:08x}\n")
        };
        std::fs::write(&path, lines.iter().enumerate().map(flip).collect::<String>()).unwrap();
        assert!(run().contains("FAIL: the circuit refused its parameters"), "word {wrong}: {}", run());
    }
}

#[test]
fn plans_that_cannot_be_loaded_are_refused() {
    let network = topology::build("lenet:w2a2", 3).unwrap();
    let sound = plan(&network, &[("conv3", 1, 16)]);
    sound.check(&network).unwrap();
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = sound.clone();
        change(&mut plan);
        plan.check(&network).unwrap_err().to_string()
    };
    let error = refused(&|plan| plan.device = Some("ecp5-25f".into()));
    assert!(error.contains("conv3") && error.contains("no SPRAM"), "{error}");
    let error = refused(&|plan| plan.control = Control::Counters);
    assert!(error.contains("control port"), "{error}");
    let error = refused(&|plan| plan.nodes[0].lines = Memory::Spram);
    assert!(error.contains("lines") && error.contains("for weights"), "{error}");
    let network = topology::build("mlp:w2a2", 3).unwrap();
    let error = plan(&network, &[("dense1", 1, 1)]).check(&network).unwrap_err().to_string();
    assert!(error.contains("65536 words"), "{error}");
}
