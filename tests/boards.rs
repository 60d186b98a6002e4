//! Tests boards with the tools that make bitstreams: the long suite builds a small network for every board.

use crate::run::json;
use dq_hdl::board::BUILT_IN;
use std::fs;

/// Pins, clock and cells are such that place and route takes them.
#[test]
#[ignore = "takes minutes"]
fn every_board_gets_a_bitstream() {
    for (name, _) in BUILT_IN {
        let scratch = tempfile::tempdir().unwrap();
        let said = json(scratch.path(), &["build", "lenet@1/4", "--board", name, "-o", "out"]);
        assert_eq!(said["record"]["timing_met"], true, "{name}: {said}");
        let bitstream = scratch.path().join(said["bitstream"].as_str().unwrap());
        assert!(fs::metadata(bitstream).unwrap().len() > 20_000, "{name}");
    }
}
