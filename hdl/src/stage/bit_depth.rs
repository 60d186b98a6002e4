//! Fewer levels for a pixel: rounded to a multiple, by three additions a lane.

use super::sum::{self, Term};
use super::{Inlet, delayed, outlet::Outlet};
use crate::pipeline::Stage;
use crate::rtl::{Expr, Kernel, Module, Value, lanes};
use dq_net::Range;

/// Cycles from a beat to its own, for `bits` bits.
pub fn latency(bits: usize) -> u64 {
    if bits == 8 { 1 } else { 4 }
}

/// Pixels of 8 bits to levels of `bits`.
pub fn module(stage: &Stage, bits: usize) -> Module {
    let (from, to) = (stage.input, stage.output);
    let note = format!(
        "Feature squeezing: pixel p as the level round(p (2^{bits} - 1) / 255), {} lanes.\n\
         With t = p 2^{bits} - p + 128 that is (t + (t >> 8)) >> 8. Latency {}, one beat a cycle.",
        from.count, stage.latency
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, from.width());
    let outlet = Outlet::new(&mut k, stage);
    let beat = inlet.take(&mut k, outlet.free);
    if bits == 8 {
        outlet.finish(&mut k, beat, beat, inlet.data);
        return k.build();
    }
    let top = (1i64 << bits) - 1;
    let exact = Range::new(128, 255 * top + 128);
    let level = |lane: usize| -> Expr {
        let pixel = inlet.data.lane(lane, from.bits);
        let mut terms = Term::product(pixel, Range::levels(8), top);
        terms.push(Term::constant(128));
        let t = sum::sum(&mut k, &format!("lane{lane}"), terms, 2, exact);
        let high = exact.hi >> 8;
        let whole = Range::new(128, exact.hi + high);
        let high = Range::new(0, high);
        let terms = [(t.expr(), exact), (t.slice(8, t.width() - 8), high)].map(|(value, range)| Term {
            value,
            range,
            shift: 0,
            negative: false,
        });
        let level = sum::sum(&mut k, &format!("level{lane}"), terms.into(), 1, whole);
        k.unused(level.slice(0, 8));
        level.slice(8, to.bits)
    };
    let levels: Vec<Expr> = (0..from.count).map(level).collect();
    let push = delayed(&mut k, "push", beat, 3);
    outlet.finish(&mut k, beat, push, lanes(levels));
    k.build()
}
