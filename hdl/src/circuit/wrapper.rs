//! Writes `top_axi.v`: the top with the ports by which block designers know their interfaces. It only renames,
//! turns the reset round and says that every byte of a beat counts.

use super::weight_ports::weight_ports;
use crate::design::Design;
use crate::emit::{Emission, File};
use crate::rtl::{Direction, Port};
use std::fmt::Write;

/// Name of the module.
pub const MODULE: &str = "top_axi";

/// Returns the file. `aclk` and `aresetn` (low, synchronous) stand for `clk` and `rst`; both streams have a
/// `tkeep`, ignored on the way in and all ones on the way out; every other port is the top's, those of
/// weights too.
pub fn file(design: &Design, emission: &Emission) -> File {
    let mut busses = vec!["s_axis".to_owned(), "m_axis".to_owned()];
    busses.extend(weight_ports(&design.stages).map(|port| port.name()));
    busses.extend(design.has_control().then(|| "s_axil".to_owned()));
    let mut ports = vec![];
    let mut links = vec!["    .clk(aclk)".to_owned(), "    .rst(~aresetn)".to_owned()];
    let mut kept = [0; 2];
    for Port { name, width, direction } in design.top.ports() {
        if name == "clk" || name == "rst" {
            continue;
        }
        ports.push(declared(direction, width, &name));
        links.push(format!("    .{name}({name})"));
        for (stream, bytes) in ["s_axis", "m_axis"].iter().zip(&mut kept) {
            if name == format!("{stream}_tdata") {
                *bytes = width.div_ceil(8);
                ports.push(declared(direction, *bytes, &format!("{stream}_tkeep")));
            }
        }
    }
    let mut text = format!(
        "// dq {version}, network {network}\n\
         `default_nettype none\n\n\
         // Module `top` with the ports that block designers infer by their names: aclk, aresetn (low,\n\
         // synchronous), tkeep on both streams (ignored on the way in, all ones on the way out).\n\
         module {MODULE} (\n\
         \x20 (* X_INTERFACE_INFO = \"xilinx.com:signal:clock:1.0 aclk CLK\" *)\n\
         \x20 (* X_INTERFACE_PARAMETER = \"ASSOCIATED_BUSIF {busses}, ASSOCIATED_RESET aresetn\" *)\n\
         \x20 input  wire aclk,\n\
         \x20 (* X_INTERFACE_INFO = \"xilinx.com:signal:reset:1.0 aresetn RST\" *)\n\
         \x20 (* X_INTERFACE_PARAMETER = \"POLARITY ACTIVE_LOW\" *)\n\
         \x20 input  wire aresetn,\n",
        version = env!("CARGO_PKG_VERSION"),
        network = emission.report.network,
        busses = busses.join(":"),
    );
    let _ = write!(
        text,
        "{}\n);\n\n  assign m_axis_tkeep = {{{}{{1'b1}}}};\n  wire unused = &{{1'b0, s_axis_tkeep}};\n\n  \
         top u_top (\n{}\n  );\n\nendmodule\n\n`default_nettype wire\n",
        ports.join(",\n"),
        kept[1],
        links.join(",\n")
    );
    File { name: format!("{MODULE}.v"), text }
}

fn declared(direction: Direction, width: usize, name: &str) -> String {
    let way = if direction == Direction::In { "input " } else { "output" };
    let range = if width == 1 { String::new() } else { format!("[{}:0] ", width - 1) };
    format!("  {way} wire {range}{name}")
}
