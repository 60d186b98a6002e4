//! The sum of each channel over a frame.

use super::{Counter, Inlet, fit, outlet::Outlet};
use crate::pipeline::Stage;
use crate::rtl::{Expr, Kernel, Module, Read, Style, Value, Write, lanes, lit, set, when};

/// Sums over `pixels` pixels of `chunks` beats each.
pub fn module(stage: &Stage, pixels: usize, chunks: usize) -> Module {
    let (from, to) = (stage.input, stage.output);
    let note = format!(
        "Sum of each channel over {pixels} pixels; the channels come in {chunks} beats of {} lanes.\n\
         Gives the {chunks} beats of sums with the last pixel. Latency 2, one input beat a cycle.",
        from.count
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, from.width());
    let outlet = Outlet::new(&mut k, stage);
    let chunk = Counter::new(&mut k, "chunk", chunks);
    let pixel = Counter::new(&mut k, "pixel", pixels);
    let last = k.wire("last", pixel.last());
    let beat = inlet.take(&mut k, !last | outlet.free);
    chunk.clock(&mut k, beat);
    if pixels > 1 {
        let pixel_end = k.wire("pixel_end", beat & chunk.last());
        pixel.clock(&mut k, pixel_end);
    }
    let x: Vec<Expr> =
        (0..to.count).map(|lane| fit(inlet.data.lane(lane, from.bits), from.signed, to.bits)).collect();
    let sums: Expr = if pixels == 1 {
        lanes(x)
    } else {
        let first = k.wire("first", pixel.first());
        let next = k.later("next_totals", to.width(), false);
        let write = Write { enable: beat.into(), addr: chunk.value(), data: next.into() };
        let held =
            k.ram("totals", to.width(), chunks, Style::Auto, write, Read::Async { addr: chunk.value() });
        let add = |(lane, x): (usize, Expr)| {
            let before = first.mux(lit(0, to.bits), held.lane(lane, to.bits));
            let before = k.wire(&format!("before{lane}"), before);
            k.wire(&format!("total{lane}"), before.add(x, to.bits)).expr()
        };
        let sums: Vec<Expr> = x.into_iter().enumerate().map(add).collect();
        k.drive(next, lanes(sums));
        next.into()
    };
    let out = k.reg("out", to.width(), None);
    let spend = k.wire("spend", beat & last);
    let push = k.reg("push", 1, Some(0));
    k.clocked([set(push, spend), when(spend, [set(out, sums)])]);
    outlet.finish(&mut k, spend, push, out);
    k.build()
}
