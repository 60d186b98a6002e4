//! The AXI4-Stream input: counts the beats of a frame and resynchronizes on `tlast`.

use super::{Counter, outlet::Outlet};
use crate::pipeline::Stage;
use crate::rtl::{Kernel, Module, Value, lit, set, when};

/// Frames of `beats` beats.
pub fn module(stage: &Stage, beats: usize) -> Module {
    let width = stage.input.width();
    let padded = width.next_multiple_of(8);
    let note = format!(
        "AXI4-Stream input: frames of {beats} beats of {width} bits, tlast on the last beat.\n\
         Early tlast: the frame is completed with zero beats. Late tlast: beats are dropped up to and with it.\n\
         Either sets error until reset; the frames that follow are not shifted.\n\
         {}Latency 1, one beat a cycle.",
        if stage.controlled { "hold keeps beats from moving.\n" } else { "" }
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let tdata = k.input("s_axis_tdata", padded);
    let tvalid = k.input("s_axis_tvalid", 1);
    let tready = k.output("s_axis_tready", 1);
    let tlast = k.input("s_axis_tlast", 1);
    let error = k.output("error", 1);
    let outlet = Outlet::new(&mut k, stage);
    if padded > width {
        k.unused(tdata.slice(width, padded - width));
    }

    let fill = k.reg("fill", 1, Some(0));
    k.comment(fill, "Completing a frame that ended early, dropping the rest of one that ended late.");
    let drop = k.reg("drop", 1, Some(0));
    let error_q = k.reg("error", 1, Some(0));
    k.drive(error, error_q);
    let position = Counter::new(&mut k, "position", beats);
    let last = k.wire("last", position.last());
    let mut open = !fill & (drop | outlet.free);
    if stage.controlled {
        open = open & k.input("hold", 1).not();
    }
    let ready = k.wire("ready", open);
    k.drive(tready, ready);
    let moves = k.wire("moves", tvalid & ready);
    let beat = k.wire("beat", moves & !drop);
    let give = k.wire("give", beat | (fill & outlet.free));
    position.clock(&mut k, give);
    let early = k.wire("early", beat & tlast & !last);
    let late = k.wire("late", beat & !tlast & last);
    k.clocked([when(give & last, [set(fill, lit(0, 1))]), when(early, [set(fill, lit(1, 1))])]);
    k.clocked([when(moves & tlast, [set(drop, lit(0, 1))]), when(late, [set(drop, lit(1, 1))])]);
    k.next(error_q, Some(early | late), lit(1, 1));
    let data = k.wire("data", fill.mux(lit(0, width), tdata.slice(0, width)));
    outlet.finish(&mut k, give, give, data);
    k.build()
}
