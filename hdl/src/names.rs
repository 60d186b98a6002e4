//! Makes instance names from node names: what Verilog, its tools and the circuit's own names allow.

use crate::stage::MODULES;
use dq_net::Network;
use std::collections::HashSet;
use std::iter::once;

#[rustfmt::skip] // lists of words read better filled
/// Suffixes that stages append to a node's name.
const STAGES: [&str; 12] = [
    "", "_narrow", "_widen", "_x_narrow", "_x_widen", "_y_narrow", "_y_widen",
    "_window", "_argmax", "_egress", "_weights", "_weights_widen",
];
/// Suffixes that the wires of an instance append to its name.
const WIRES: [&str; 7] = ["", "_m_data", "_m_valid", "_s_ready", "_x_ready", "_y_ready", "_error"];

/// Returns every name that is made of a node's, which `readers` nodes read.
fn derived(name: &str, readers: usize) -> impl Iterator<Item = String> {
    let stages = STAGES.iter().flat_map(|stage| WIRES.iter().map(move |wire| format!("{stage}{wire}")));
    let forks = (0..readers).flat_map(|port| ["data", "valid"].map(|part| format!("_fork_m{port}_{part}")));
    let forks = forks.chain(["_fork".into(), "_fork_s_ready".into()]);
    stages.chain(forks).chain(MODULES.map(String::from)).map(move |suffix| format!("{name}{suffix}"))
}

/// Returns instance names: the nodes' own, changed only where Verilog or another name forbids them. None is
/// one of `reserved`, or begins with one and an underscore.
pub fn of_nodes(network: &Network, reserved: &[&str]) -> Vec<String> {
    let fixed = ["top", "clk", "rst", "error", "errors", "tb", "dut", "control", "boot"];
    let mut used: HashSet<String> = fixed.map(String::from).into();
    let mut names = vec![];
    for (i, node) in network.nodes().iter().enumerate() {
        let readers = network.readers(i).len();
        let mut name = node.name.clone();
        while name.contains("__") {
            name = name.replace("__", "_");
        }
        name = name.trim_end_matches('_').into();
        let taken = |name: &str, used: &HashSet<String>| {
            !crate::rtl::is_valid_name(name)
                || ["dq_", "s_axis_", "m_axis_", "s_axil_", "control_", "tb_", "f_"]
                    .iter()
                    .any(|prefix| name.starts_with(prefix))
                || reserved.iter().any(|own| is_within(name, own))
                || derived(name, readers).any(|name| used.contains(&name))
        };
        if taken(&name, &used) {
            let numbered = (2..).map(|n| format!("node{n}_{name}"));
            name =
                once(format!("node_{name}")).chain(numbered).find(|n| !taken(n, &used)).expect("a free name");
        }
        used.extend(derived(&name, readers));
        names.push(name);
    }
    names
}

/// Returns whether `name` is `own`, or begins with it and an underscore.
fn is_within(name: &str, own: &str) -> bool {
    name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}
