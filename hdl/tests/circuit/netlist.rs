//! Tests random networks under random plans and stalls: the netlist's words are the reference's, its cycles
//! the plan's.

use super::common;
use super::synthesis::unit;
use dq_hdl::design::Design;
use dq_hdl::emit::{File, emit};
use dq_hdl::plan::{Mac, Memory, NodePlan, Output};
use dq_hdl::{netlist, plan, stalls::Stalls};
use dq_net::layer::{BitDepth, Dense, Input, Layer, Logits, Step, Surrogate};
use dq_net::random::{self, Options};
use dq_net::{Shape, topology};
use ndarray::Array2;

#[test]
fn words_and_cycles_agree_on_random_networks() {
    let from: u64 = std::env::var("DQ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("DQ_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    for seed in from..from + count {
        eprintln!("seed {seed}");
        let options = Options { max_side: 6, residuals: seed % 2 == 1, ..Options::default() };
        let network = random::network(seed, &options);
        let design = Design::new(&network, &common::plan(&network, seed)).unwrap();
        let frames = common::frames(&network, 4, seed);
        let stalls = if seed % 4 < 2 { Stalls::NONE } else { Stalls::random(seed) };
        let outcome =
            netlist::run(&design, frames.view(), &stalls).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}");
        assert!(!outcome.error, "seed {seed}: error flag");
    }
}

#[test]
fn a_trace_names_the_nodes() {
    let network = random::network(5, &Options::default());
    let design = Design::new(&network, &common::plan(&network, 5)).unwrap();
    let frames = common::frames(&network, 1, 5);
    let mut vcd = vec![];
    let outcome = netlist::trace(&design, frames.view(), &Stalls::NONE, &mut vcd).unwrap();
    assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE));
    // With a trace rust-hdl drives the circuit, without one its engine runs alone.
    assert_eq!(outcome, netlist::run(&design, frames.view(), &Stalls::NONE).unwrap());
    let vcd = String::from_utf8(vcd).unwrap();
    assert!(vcd.contains("conv2") && vcd.contains("$enddefinitions"), "{}", &vcd[..500]);
}

/// The plan's entry is found by the node's own name, also where the instance has another: `dense1_step` is a
/// module's.
#[test]
fn cycles_agree_where_an_instance_is_not_called_as_its_node() {
    let weights = |outputs| Array2::from_shape_fn((outputs, 4), |(o, i)| ((3 * o + i) % 4) as i8 - 2);
    let dense = |outputs| Layer::Dense(Dense { weights: weights(outputs), weight_bits: 2 });
    let surrogate =
        Surrogate { gain: vec![0.01; 4], open_lo: vec![-200; 4], open_hi: vec![200; 4], unit: 1.0 / 3.0 };
    let thresholds = Array2::from_shape_fn((4, 3), |(c, t)| 100 * t as i32 - 100 + c as i32);
    let step = Layer::Step(Step { bits: 2, dir: vec![1; 4], thresholds, surrogate });
    let layers = [
        ("input", Layer::Input(Input::pixels(Shape::new(2, 2, 1)))),
        ("dense1", dense(4)),
        ("dense1_step", step),
        ("head", dense(3)),
        ("logits", Layer::Logits(Logits { bias: vec![0; 3], scale: 1.0 })),
    ];
    let network = common::chain("renamed", layers);
    let mut plan = plan::default(&network, Output::Scores).unwrap();
    plan.nodes.retain(|entry| entry.node != "dense1_step");
    plan.nodes.push(NodePlan { memory: Memory::Block, ..NodePlan::new("dense1_step") });
    let design = Design::new(&network, &plan).unwrap();
    let instance = &design.stages.iter().find(|stage| stage.site.node == 2).unwrap().site.name;
    assert_eq!(instance, "node_dense1_step");
    let frames = common::frames(&network, 2, 9);
    let outcome = netlist::run(&design, frames.view(), &Stalls::NONE).unwrap();
    assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE));
}

#[test]
fn weights_in_several_banks_agree() {
    let network = topology::build("lenet", 1).unwrap();
    let mut plan = plan::default(&network, Output::Scores).unwrap();
    // ROMs of LUTs are cut at 256 words: conv2 has 1152 (5 banks, two levels of multiplexers), conv3 2304.
    for node in &mut plan.nodes {
        (node.pe, node.simd, node.memory) = (1, 1, Memory::Distributed);
    }
    let design = Design::new(&network, &plan).unwrap();
    let frames = common::frames(&network, 1, 3);
    let outcome = netlist::run(&design, frames.view(), &Stalls::NONE).unwrap();
    assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE));
    let text = |name: &str| emit(&design).files.into_iter().find(|file| file.name == name).unwrap().text;
    assert!(text("conv2_fetch.v").contains("weights4_0_0"));
}

/// A dense layer whose weights take so many block RAMs that their address takes two steps, the last of its
/// banks in LUTs.
#[test]
fn weights_all_over_the_device_agree() {
    let (inputs, outputs) = (576, 240);
    let weights =
        Array2::from_shape_fn((outputs, inputs), |(o, i)| ((o * 7_919 + i * 104_729) % 13) as i8 - 6);
    let layers = [
        ("input", Layer::Input(Input::pixels(Shape::new(1, 1, inputs)))),
        ("dense", Layer::Dense(Dense { weights, weight_bits: 4 })),
        ("logits", Layer::Logits(Logits { bias: vec![0; outputs], scale: 1.0 })),
    ];
    let network = common::chain("wide", layers);
    let (mut far, mut farther, mut in_luts) = (0, 0, 0);
    // The words have 32 to 512 bits; there are 4,320 to 270 of them.
    for (pe, simd) in [(4, 2), (4, 8), (8, 8), (8, 16), (16, 32)] {
        for device in ["ecp5-85f", "xc7z020"] {
            let mut plan = plan::default(&network, Output::Scores).unwrap();
            plan.device = Some(device.into());
            for node in plan.nodes.iter_mut().filter(|node| node.node == "dense") {
                (node.pe, node.simd, node.memory) = (pe, simd, Memory::Block);
            }
            let design = Design::new(&network, &plan).unwrap();
            let frames = common::frames(&network, 2, 3);
            let outcome = netlist::run(&design, frames.view(), &Stalls::random(1)).unwrap();
            let wanted = design.expected(frames.view(), &Stalls::random(1));
            assert_eq!(outcome.beats, wanted, "{pe} x {simd}, {device}");
            let text =
                emit(&design).files.into_iter().find(|file| file.name == "dense_fetch.v").unwrap().text;
            far += usize::from(text.contains("read_first1_q"));
            farther += usize::from(text.contains("read_first2_q"));
            in_luts += usize::from(text.contains("read_first1_q") && text.contains("syn_romstyle"));
        }
    }
    assert!(
        far > 5 && farther > 0 && in_luts > 0,
        "{far} circuits with far blocks, {farther}, {in_luts} with LUTs"
    );
}

/// Line buffers in LUTs, of more words than a few LUTs hold.
#[test]
fn line_buffers_in_parts_agree() {
    let network = dq_net::topology::build("lenet:w2a3", 5).unwrap();
    let frames = common::frames(&network, 2, 4);
    for device in ["ecp5-85f", "xc7z020"] {
        let mut plan = plan::default(&network, Output::Scores).unwrap();
        plan.device = Some(device.into());
        let conv = |node: &&mut NodePlan| node.node.starts_with("conv");
        plan.nodes.iter_mut().filter(conv).for_each(|node| node.lines = Memory::Distributed);
        let design = Design::new(&network, &plan).unwrap();
        let parts = emit(&design).files.iter().filter(|file| file.text.contains("lines_part_q")).count();
        assert!(parts > 0, "{device}: no line buffer in parts");
        for stalls in [Stalls::NONE, Stalls::random(7)] {
            let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "{device}");
        }
    }
}

#[test]
fn every_form_of_product_and_every_kind_of_bank_agree() {
    // There are 576 words: a full bank of block RAM, and 64 words that are cheaper in LUTs.
    let mut in_luts = 0;
    for (bits, mac) in [
        (1, Mac::Xnor),
        (1, Mac::Pairs),
        (2, Mac::Chains),
        (3, Mac::Pairs),
        (4, Mac::Chains),
        (1, Mac::BitPairs),
        (2, Mac::BitPairs),
        (3, Mac::BitPairs),
        (4, Mac::BitPairs),
        (1, Mac::BitHeap),
        (2, Mac::BitHeap),
        (3, Mac::BitHeap),
        (4, Mac::BitHeap),
        (2, Mac::Dsp),
        (4, Mac::Dsp),
        (5, Mac::Dsp),
    ] {
        for device in ["ecp5-85f", "xc7z020", "ice40-up5k"] {
            let network = unit(bits, bits);
            let mut plan = plan::default(&network, Output::Scores).unwrap();
            plan.device = Some(device.into());
            for node in plan.nodes.iter_mut().filter(|node| node.node == "conv") {
                (node.pe, node.simd, node.memory, node.mac) = (2, 16, Memory::Block, mac);
            }
            let design = Design::new(&network, &plan).unwrap();
            let frames = common::frames(&network, 2, 3);
            let outcome = netlist::run(&design, frames.view(), &Stalls::random(1)).unwrap();
            let wanted = design.expected(frames.view(), &Stalls::random(1));
            assert_eq!(outcome.beats, wanted, "{bits} bits, {mac:?}, {device}");
            let logic = |file: &File| file.name == "conv_fetch.v" && file.text.contains("weights1_0_at_q");
            in_luts += usize::from(emit(&design).files.iter().any(logic));
        }
    }
    assert!(in_luts > 1, "{in_luts} circuits with a bank in LUTs");
    let network = unit(4, 4);
    let mut plan = plan::default(&network, Output::Scores).unwrap();
    plan.device = Some("ice40-hx8k".into());
    plan.nodes.iter_mut().find(|node| node.node == "conv").unwrap().mac = Mac::Dsp;
    let error = Design::new(&network, &plan).unwrap_err().to_string();
    assert!(error.contains("`conv`, mac") && error.contains("no DSP blocks"), "{error}");
}

#[test]
fn pairs_bits_agree_in_chains_of_unequal_length() {
    // 76 pairs are five chains, 38 are three, of which one has a pair less and an addition less.
    for (bits, simd) in [(1, 4), (1, 8), (1, 76), (1, 152), (2, 76), (3, 8), (3, 152)] {
        let weights =
            Array2::from_shape_fn((4, 152), |(o, i)| 2 * ((i * i + 7 * o * i + o) / 3 % 2) as i8 - 1);
        let layers = [
            ("input", Layer::Input(Input::pixels(Shape::new(1, 1, 152)))),
            ("squeeze", Layer::BitDepth(BitDepth { bits })),
            ("dense", Layer::Dense(Dense { weights, weight_bits: 1 })),
            ("logits", Layer::Logits(Logits { bias: vec![0; 4], scale: 1.0 })),
        ];
        let network = common::chain("wide", layers);
        let mut plan = plan::default(&network, Output::Scores).unwrap();
        for node in plan.nodes.iter_mut().filter(|node| node.node == "dense") {
            (node.pe, node.simd, node.mac) = (2, simd, Mac::BitPairs);
        }
        let design = Design::new(&network, &plan).unwrap();
        let frames = common::frames(&network, 12, 5);
        let outcome = netlist::run(&design, frames.view(), &Stalls::NONE).unwrap();
        assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE), "{bits} bits, SIMD {simd}");
    }
}
