//! The top: the stages in a row, AXI4-Stream at both ends. Only instances and wires.

use crate::pipeline::Stage;
use crate::rtl::{Group, Module};
use crate::stage;
use dq_net::Network;

/// The circuit of `network` as `stages`.
///
/// Ports: `clk`, `rst` (synchronous, high), `s_axis_*` (a pixel a beat, channel 0 in the low byte), `m_axis_*` (a score or
/// the label a beat), `error` (a frame came with a wrong `tlast`; until reset).
pub fn module(network: &Network, stages: &[Stage]) -> Module {
    let (first, last) = (&stages[0], stages.last().expect("a pipeline has stages"));
    let shape = network.input_shape();
    let note = format!(
        "Network `{}`: {} x {} x {} pixels of 8 bits in, {} classes.\n\
         s_axis: row-major, one pixel a beat, channel 0 in the low byte, tlast on a frame's last beat.\n\
         m_axis: tlast on a frame's last beat. error: a frame came with a wrong tlast (sticky).",
        network.name.escape_default(),
        shape.height,
        shape.width,
        shape.channels,
        network.classes(),
    );
    let mut g = Group::new("top", &note);
    g.input("s_axis_tdata", first.input.width().next_multiple_of(8));
    g.input("s_axis_tvalid", 1);
    g.output("s_axis_tready", 1);
    g.input("s_axis_tlast", 1);
    g.output("m_axis_tdata", last.output.width());
    g.output("m_axis_tvalid", 1);
    g.input("m_axis_tready", 1);
    g.output("m_axis_tlast", 1);
    g.output("error", 1);
    for stage in stages {
        g.child(&stage.name, &stage::module(stage, network));
    }
    for pair in stages.windows(2) {
        g.stream(&format!("{}.m", pair[0].name), &format!("{}.s", pair[1].name));
    }
    for port in ["s_axis_tdata", "s_axis_tvalid", "s_axis_tlast"] {
        g.link(port, &format!("{}.{port}", first.name));
    }
    for port in ["s_axis_tready", "error"] {
        g.link(&format!("{}.{port}", first.name), port);
    }
    for port in ["m_axis_tdata", "m_axis_tvalid", "m_axis_tlast"] {
        g.link(&format!("{}.{port}", last.name), port);
    }
    g.link("m_axis_tready", &format!("{}.m_axis_tready", last.name));
    g.build()
}
