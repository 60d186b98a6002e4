//! Reads bytes as a plan of a small network, and as a board. The result is a circuit, or an error.
#![no_main]

use dq_hdl::board::Board;
use dq_hdl::design::Design;
use dq_hdl::plan::Plan;
use dq_net::{Network, topology};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;

static NETWORK: LazyLock<Network> =
    LazyLock::new(|| topology::build("lenet@1/4:w2a2", 1).expect("a built-in topology"));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    _ = Board::from_toml(Path::new("board.toml"), text);
    if let Ok(plan) = Plan::from_json(Path::new("plan.json"), text, &NETWORK) {
        _ = Design::new(&NETWORK, &plan);
    }
});
