//! Tests nodes called by words that some tool reserves: the emitted files compile everywhere, and every name
//! stays distinct.

use super::{common, emitted};
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::plan::Output;
use dq_hdl::rtl::{is_valid_name, reserved_words};
use dq_hdl::stalls::Stalls;
use dq_hdl::{netlist, plan, tool};
use dq_net::layer::{BitDepth, Dense, Input, Layer, Logits};
use dq_net::random::{self, Options};
use dq_net::{Network, Node, Shape};
use ndarray::Array2;
use std::collections::BTreeSet;

/// Makes a chain whose nodes have these names.
fn chain(names: &[&str]) -> Network {
    let last = names.len() - 1;
    let layer = |i: usize| match i {
        0 => Layer::Input(Input::pixels(Shape::new(1, 2, 1))),
        _ if i == last => Layer::Logits(Logits { bias: vec![3, -4], scale: 1.0 }),
        _ if i == last - 1 => Layer::Dense(Dense {
            weights: Array2::from_shape_fn((2, 2), |(o, i)| 1 - (o + i) as i8),
            weight_bits: 2,
        }),
        _ => Layer::BitDepth(BitDepth { bits: 8 }),
    };
    let nodes = names.iter().enumerate().map(|(i, name)| Node {
        name: (*name).into(),
        layer: layer(i),
        inputs: names[..i].last().map(|name| (*name).into()).into_iter().collect(),
    });
    Network::new("words", nodes.collect()).unwrap()
}

#[test]
fn reserved_words_name_nothing() {
    for word in ["binsof", "first_match", "implements", "join_any", "co_await", "char8_t", "near", "linux"] {
        assert!(!is_valid_name(word), "{word}");
    }
    let words: Vec<&str> = reserved_words().collect::<BTreeSet<_>>().into_iter().collect();
    assert!(words.len() > 300, "{} words", words.len());
    let network = chain(&words);
    let design = Design::new(&network, &plan::default(&network, Output::Scores).unwrap()).unwrap();
    assert!(design.stages.iter().all(|stage| !words.contains(&stage.site.name.as_str())));
    let emission = emit(&design);
    let folder = tempfile::tempdir().unwrap();
    emitted::write(&emission, folder.path());
    if let Some(icarus) = tool::require("iverilog") {
        let mut command = emitted::in_folder(&icarus, folder.path());
        let args = ["-g2005", "-Wall", "-s", "tb", "-o", "tb.vvp", "-c", "files.f", "tb.v"];
        emitted::quiet(command.args(args), "words");
    }
    let Some(verilator) = tool::require("verilator") else { return };
    let mut command = emitted::in_folder(&verilator, folder.path());
    emitted::quiet(command.args(["--lint-only", "-Wall", "--top-module", "top", "-f", "files.f"]), "words");
    // The words reach C++ in the waves' names and in the classes of modules that are not inlined.
    let frames = common::frames(&network, 1, 1);
    let simulator = common::simulator(&emission);
    let outcome = simulator.run(&design, frames.view(), &Stalls::NONE).unwrap();
    assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE));
}

/// Returns `network` with other node names.
fn renamed(network: &Network, names: &[&str]) -> Network {
    let name =
        |i: usize| names.get(i).map_or_else(|| network.nodes()[i].name.clone(), |name| name.to_string());
    let nodes = network.nodes().iter().enumerate().map(|(i, node)| Node {
        name: name(i),
        layer: node.layer.clone(),
        inputs: network.sources(i).iter().map(|&s| name(s)).collect(),
    });
    Network::new("renamed", nodes.collect()).unwrap()
}

#[test]
fn awkward_node_names_break_nothing() {
    let network = (0..).map(|seed| random::network(seed, &Options::default()));
    let network = network.clone().find(|n| n.nodes().len() >= 8).unwrap();
    for names in [
        ["input", "wire", "top", "clk", "a__b", "a_b", "module"],
        ["fifo", "tb", "x_", "x1", "dq_fifo", "dut", "error"],
        ["c", "c_window", "c_mvau", "c_step", "c_m_data", "s_axis_tdata", "logic"],
        // Names that begin like the testbench's files belong to the circuit all the same.
        ["tbx", "tbx_window", "tb1", "boot", "tbench", "flash", "words"],
        ["new", "c_accumulate", "c", "c_fetch", "c_narrow", "c_node", "always_ff"],
    ] {
        let network = renamed(&network, &names);
        let design = Design::new(&network, &common::plan(&network, 3)).unwrap();
        let emission = emit(&design);
        let mut instances: Vec<_> = design.stages.iter().map(|stage| stage.site.name.as_str()).collect();
        instances.sort_unstable();
        instances.dedup();
        assert_eq!(instances.len(), design.stages.len(), "{names:?}");
        let frames = common::frames(&network, 1, 0);
        let outcome = netlist::run(&design, frames.view(), &Stalls::NONE).unwrap();
        assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE));
        let Some(verilator) = tool::require("verilator") else { continue };
        let folder = tempfile::tempdir().unwrap();
        emitted::write(&emission, folder.path());
        let mut command = emitted::in_folder(&verilator, folder.path());
        emitted::quiet(
            command.args(["--lint-only", "-Wall", "--top-module", "top", "-f", "files.f"]),
            &names.join(" "),
        );
        if names.contains(&"tbx") {
            let simulator = common::simulator(&emission);
            let outcome = simulator.run(&design, frames.view(), &Stalls::NONE).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE));
        }
    }
}
