//! Lane conversion by a whole ratio, wider or narrower.

use super::{Counter, Inlet, contract, outlet::Outlet};
use crate::pipeline::Stage;
use crate::rtl::{Expr, Kernel, Module, Read, Style, Value, Write, bits_for, cat, lit, set, when};

/// Each beat as `ratio` narrower ones, the low lanes first. Two input beats are held, so it gives a beat every cycle.
pub fn narrow(stage: &Stage, ratio: usize) -> Module {
    let (wide, width, depth) = (stage.input.width(), stage.output.width(), stage.depth());
    let note = format!(
        "Gives each beat of {wide} bits as {ratio} beats of {width} bits, low bits first.\n\
         Latency 1, one output beat a cycle; holds {depth} input beats."
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, wide);
    let m_data = k.output("m_data", width);
    let m_valid = k.output("m_valid", 1);
    let m_ready = k.input("m_ready", 1);
    let count = k.reg("count", bits_for(depth as u64), Some(0));
    k.comment(count, "Input beats held.");
    let ready = count.ne(lit(depth as u64, count.width()));
    let beat = inlet.take(&mut k, ready);
    let valid = k.wire("valid", count.any());
    let part = Counter::new(&mut k, "part", ratio);
    let moves = k.wire("moves", valid & m_ready);
    part.clock(&mut k, moves);
    let pop = k.wire("pop", moves & part.last());
    let one = lit(1, count.width());
    k.clocked([
        when(beat & !pop, [set(count, count.inc())]),
        when(!beat & pop, [set(count, count.sub(one, count.width()))]),
    ]);
    let head = Counter::new(&mut k, "fifo_in", depth);
    let tail = Counter::new(&mut k, "fifo_out", depth);
    head.clock(&mut k, beat);
    tail.clock(&mut k, pop);
    let write = Write { enable: beat.into(), addr: head.value(), data: inlet.data.into() };
    let held = k.ram("held", wide, depth, Style::Auto, write, Read::Async { addr: tail.value() });
    let parts: Vec<Expr> = (0..ratio).map(|i| held.lane(i, width)).collect();
    let data = k.select("data", part.value(), parts);
    k.drive(m_data, data);
    k.drive(m_valid, valid);
    k.contract(&contract::ring(depth, "m_ready", "m_valid", &["m_data"]));
    k.build()
}

/// `ratio` beats as one, the first in the low lanes.
pub fn widen(stage: &Stage, ratio: usize) -> Module {
    let (width, wide) = (stage.input.width(), stage.output.width());
    let note = format!(
        "Joins {ratio} beats of {width} bits to one of {wide} bits, the first in the low bits.\n\
         Latency 1 from the last of them, one input beat a cycle."
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, width);
    let outlet = Outlet::new(&mut k, stage);
    let part = Counter::new(&mut k, "part", ratio);
    let last = k.wire("last", part.last());
    let beat = inlet.take(&mut k, !last | outlet.free);
    part.clock(&mut k, beat);
    let earlier = k.reg("earlier", width * (ratio - 1), None);
    k.comment(earlier, "The beats before this one, the oldest in the low bits.");
    let joined = k.wire("joined", cat([inlet.data, earlier]));
    k.next(earlier, Some(beat.into()), joined.slice(width, wide - width));
    let push = k.wire("push", beat & last);
    outlet.finish(&mut k, push, push, joined);
    k.build()
}
