//! Instance names from node names: what Verilog, its tools and the circuit's own names allow.

use dq_net::Network;
use std::iter::once;

/// Names of nets inside the stages, without their numbers: no instance may have one, or tools warn of hidden names.
#[rustfmt::skip] // a list of words reads better filled
const NETS: [&str; 133] = [
    "above", "acc", "acc_found", "acc_read", "accumulate", "accumulate_room", "address", "at_frame_end",
    "beat", "before", "best", "better", "bias", "channel", "chunk", "class", "clk", "column", "column_base",
    "count", "credit", "data", "dot", "dot_first", "dot_last", "dot_valid", "drop", "earlier", "early",
    "error", "fetch", "fetch_dot_first", "fetch_dot_last", "fetch_dot_valid", "fetch_spend", "fetch_w",
    "fetch_x", "fifo", "fifo_d", "fifo_in", "fifo_out", "fill", "first", "flip_found", "flip_read", "fold",
    "fold_found", "fold_read", "frame_ends", "free", "give", "go", "group", "held", "held_d", "issue",
    "joined", "joined_level", "label", "last", "last_tap", "late", "level_found", "level_read", "lines",
    "m_axis_tdata", "m_axis_tlast", "m_axis_tready", "m_axis_tvalid", "m_data", "m_ready", "m_valid", "moves",
    "next_totals", "offset", "offset_base", "out", "out_column", "out_row", "padded", "part", "pe", "pe_dot",
    "pixel", "pixel_end", "pixel_written", "plane_level", "pop", "position", "push", "read", "ready",
    "released", "replay", "room", "row", "row_base", "row_ends", "row_written", "rows", "rows_more", "rst",
    "s_axis_tdata", "s_axis_tlast", "s_axis_tready", "s_axis_tvalid", "s_data", "s_ready", "s_valid", "score",
    "slot", "slot_base", "slot_start", "spend", "tap", "tap_column", "tap_row", "thresholds", "total",
    "totals", "totals_d", "unused_ok", "valid", "valid_found", "valid_read", "w", "weights", "write_at",
    "write_chunk", "write_column", "written", "x", "zero",
];

/// `name` without digits, `_q` and doubled or final underscores.
fn stem(name: &str) -> String {
    let name = name.strip_suffix("_q").unwrap_or(name);
    let parts = name.split('_').map(|part| part.replace(|c: char| c.is_ascii_digit(), ""));
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// Instance names: the nodes' own, changed only where Verilog or another name forbids them.
pub fn of_nodes(network: &Network) -> Vec<String> {
    // What stages, modules and nets append to a node's name.
    const SUFFIXES: [&str; 17] = [
        "",
        "_narrow",
        "_widen",
        "_window",
        "_mvau",
        "_fetch",
        "_accumulate",
        "_step",
        "_pool",
        "_global_sum",
        "_bias",
        "_argmax",
        "_egress",
        "_m_data",
        "_m_valid",
        "_s_ready",
        "_error",
    ];
    let fixed = ["top", "clk", "rst", "error", "tb", "dut"];
    let mut used: Vec<String> = fixed.map(String::from).to_vec();
    let mut names = vec![];
    for node in network.nodes() {
        let mut name = node.name.clone();
        while name.contains("__") {
            name = name.replace("__", "_");
        }
        name = name.trim_end_matches('_').into();
        let taken = |name: &str, used: &[String]| {
            !crate::rtl::is_valid_name(name)
                || NETS.contains(&stem(name).as_str())
                || ["dq_", "s_axis_", "m_axis_", "tb_"].iter().any(|prefix| name.starts_with(prefix))
                || SUFFIXES.iter().any(|suffix| used.contains(&format!("{name}{suffix}")))
        };
        if taken(&name, &used) {
            let numbered = (2..).map(|n| format!("node{n}_{name}"));
            name =
                once(format!("node_{name}")).chain(numbered).find(|n| !taken(n, &used)).expect("a free name");
        }
        used.extend(SUFFIXES.map(|suffix| format!("{name}{suffix}")));
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Output;
    use crate::{design::Design, fold, rtl};
    use dq_net::random::{self, Options};
    use std::collections::BTreeSet;

    #[test]
    fn every_net_of_a_stage_is_listed() {
        let mut found = BTreeSet::new();
        for seed in 0..60 {
            let network = random::network(seed, &Options::default());
            let output = if seed % 2 == 0 { Output::Scores } else { Output::Label };
            let design = Design::new(&network, &fold::default(&network, output).unwrap()).unwrap();
            for file in rtl::emit(&design.top, "").unwrap() {
                if file.name == "top.v" || !file.name.ends_with(".v") {
                    continue;
                }
                for line in file.text.lines().map(str::trim_start) {
                    let declares =
                        ["wire ", "reg ", "input ", "output "].iter().any(|kind| line.starts_with(kind));
                    let end = line.find([';', '=', ',']).unwrap_or(line.len());
                    let name = line[..end].trim_end().rsplit(' ').find(|word| !word.starts_with('['));
                    if let (true, Some(name)) = (declares, name) {
                        found.insert(stem(name));
                    }
                }
            }
        }
        let missing: Vec<_> = found.iter().filter(|name| !NETS.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
