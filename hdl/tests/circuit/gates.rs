//! What synthesis makes of the emitted Verilog, simulated: words and cycles as before it.

use crate::common;
use dq_hdl::design::Design;
use dq_hdl::gates;
use dq_hdl::plan::Control;
use dq_hdl::stalls::Stalls;
use dq_hdl::tools;
use dq_hdl::verilator::Simulator;
use dq_net::random::{self, Options};

/// Networks from `DQ_SEED` on, `DQ_CASES` of them (default: two, an ECP5 and an iCE40).
#[test]
fn gates_give_the_same_words_and_cycles() {
    let (Some(_), Some(_)) = (tools::require("verilator"), tools::require("yosys")) else { return };
    let from: u64 = std::env::var("DQ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("DQ_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(2);
    let cache = tempfile::tempdir().unwrap();
    for seed in from..from + count {
        let options =
            Options { max_side: 4, max_channels: 3, residuals: seed % 4 == 3, ..Options::default() };
        let network = random::network(seed, &options);
        let mut plan = common::plan(&network, seed);
        let (device, cell) = [("ecp5-25f", "TRELLIS_FF"), ("ice40-up5k", "SB_LUT4")][seed as usize % 2];
        plan.device = Some(device.into());
        if seed % 4 == 2 {
            plan.control = Control::Counters;
        }
        let design = Design::new(&network, &plan).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let gates = gates::synthesize(&design, folder.path(), &|_| false)
            .unwrap_or_else(|e| panic!("seed {seed}, {device}: {e}"));
        assert!(gates.cells[cell] > 50, "{:?}", gates.cells);
        let simulator = Simulator::build(&gates.emission, cache.path()).unwrap();
        let frames = common::frames(&network, 2, seed);
        let stalls = Stalls::random(seed);
        let outcome = simulator.run(&design, frames.view(), &stalls).unwrap();
        assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}, {device}");
        assert!(!outcome.error, "seed {seed}");
    }
}
