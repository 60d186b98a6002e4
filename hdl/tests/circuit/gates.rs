//! Simulates what synthesis makes of the emitted Verilog: words and cycles are as before it.

use super::{common, emitted};
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::plan::{Control, Memory, Output};
use dq_hdl::stalls::Stalls;
use dq_hdl::tool;
use dq_hdl::verilator::Simulator;
use dq_hdl::{gates, plan};
use dq_net::random::{self, Options};
use dq_net::topology;

/// Networks from `DQ_SEED` on, `DQ_CASES` of them (default: three, an ECP5, an iCE40 and a Gowin).
#[test]
fn gates_give_the_same_words_and_cycles() {
    let (Some(_), Some(_)) = (tool::require("verilator"), tool::require("yosys")) else { return };
    let from: u64 = std::env::var("DQ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("DQ_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    for seed in from..from + count {
        let options =
            Options { max_side: 4, max_channels: 3, residuals: seed % 4 == 3, ..Options::default() };
        let network = random::network(seed, &options);
        let mut plan = common::plan(&network, seed);
        let devices = [("ecp5-25f", "TRELLIS_FF"), ("ice40-up5k", "SB_LUT4"), ("gw1nr-9c", "ALU")];
        let (device, cell) = devices[seed as usize % 3];
        plan.device = Some(device.into());
        if seed % 4 == 2 {
            plan.control = Control::Counters;
        }
        let design = Design::new(&network, &plan).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let gates = gates::synthesize(&design, folder.path(), &|_| false)
            .unwrap_or_else(|e| panic!("seed {seed}, {device}: {e}"));
        assert!(gates.cells[cell] > 50, "{:?}", gates.cells);
        let multipliers = ["MULT18X18D", "SB_MAC16", "MULT9X9", "MULT18X18"];
        let blocks = multipliers.iter().filter_map(|block| gates.cells.get(*block)).sum::<u64>();
        let estimated = emit(&design).report.estimate.total.dsp;
        // For Gowin, products of fewer than four bits become LUTs.
        let few = device == "gw1nr-9c" && blocks < estimated;
        assert!(blocks == estimated || few, "seed {seed}, {estimated} estimated: {:?}", gates.cells);
        let simulator = common::simulator(&gates.emission);
        let frames = common::frames(&network, 2, seed);
        let stalls = Stalls::random(seed);
        let outcome = simulator.run(&design, frames.view(), &stalls).unwrap();
        assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}, {device}");
        assert!(!outcome.error, "seed {seed}");
    }
}

/// A cell without a model, and one whose model is missing, are refused: nothing is simulated as if it were
/// not there.
#[test]
fn gates_without_models_are_refused() {
    let (Some(_), Some(_)) = (tool::require("verilator"), tool::require("yosys")) else { return };
    let options = Options { max_side: 4, max_channels: 3, ..Options::default() };
    let network = random::network(1, &options);
    let mut plan = common::plan(&network, 1);
    plan.device = Some("ecp5-25f".into());
    plan.nodes
        .iter_mut()
        .filter(|node| network.nodes()[network.position(&node.node).unwrap()].layer.weight_bits().is_some())
        .for_each(|node| node.memory = Memory::Block);
    let design = Design::new(&network, &plan).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut gates = gates::synthesize(&design, folder.path(), &|_| false).unwrap();
    assert!(gates.cells["DP16KD"] > 0, "{:?}", gates.cells);
    let text = &gates.emission.files.iter().find(|file| file.name == "gates.v").unwrap().text;
    assert!(text.contains("OUTREG"), "flip-flops became registers of the block RAMs");
    gates.emission.files.iter_mut().find(|file| file.name == "cells.v").unwrap().text.clear();
    let error = Simulator::build(&gates.emission, folder.path()).unwrap_err().to_string();
    assert!(error.contains("DP16KD"), "{error}");
}

/// Stages before and after synthesis, by induction over all their states (Yosys' `equiv_opt`); and that it
/// sees a LUT with a wrong table. Steps are left out: synthesis folds what their thresholds have in common,
/// which hides their registers.
#[test]
fn synthesis_is_proved_to_keep_the_stages() {
    let Some(yosys) = tool::require("yosys") else { return };
    let network = topology::build("lenet@1/4", 1).unwrap();
    let mut plan = plan::default(&network, Output::Scores).unwrap();
    plan.device = Some("ecp5-25f".into());
    let emission = emit(&Design::new(&network, &plan).unwrap());
    let folder = tempfile::tempdir().unwrap();
    emitted::write(&emission, folder.path());
    let sources = emitted::sources(&emission);
    let proved = |module: &str, fault: &str| {
        let script = format!("synth_ecp5 -top {module}\n{fault}\n");
        std::fs::write(folder.path().join("synth.ys"), script.replace("\\\n", "\n")).unwrap();
        let script = format!(
            "read_verilog {}; hierarchy -top {module}; proc; flatten; memory_map; opt -full; equiv_opt \
             -assert -map \
             +/lattice/cells_sim_ecp5.v script synth.ys",
            sources.join(" ")
        );
        emitted::in_folder(&yosys, folder.path())
            .args(["-q", "-p", &script])
            .output()
            .unwrap()
            .status
            .success()
    };
    let modules: Vec<&str> = sources.iter().filter_map(|name| name.strip_suffix(".v")).collect();
    let small = ["dq_", "_accumulate", "_fetch", "_window", "_bias"];
    let small = modules.iter().filter(|module| small.iter().any(|part| module.contains(part)));
    let mut count = 0;
    for module in small {
        assert!(proved(module, ""), "{module}");
        count += 1;
    }
    assert!(count > 8, "{count} modules of {modules:?}");
    assert!(!proved("conv1_accumulate", "setparam -set INIT 16'h1234 t:LUT4"));
}
