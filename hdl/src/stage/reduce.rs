//! The largest or the sum of the beats of a window, lane by lane.

use super::{Counter, Inlet, fit, outlet::Outlet};
use crate::pipeline::{Fold, Stage};
use crate::rtl::{Expr, Kernel, Module, Value, lanes, set, when};

/// Joins `taps` beats to one.
pub fn module(stage: &Stage, fold: Fold, taps: usize) -> Module {
    let (from, to) = (stage.input, stage.output);
    let what = match fold {
        Fold::Max => "Largest",
        Fold::Sum => "Sum",
    };
    let note = format!(
        "{what} of {taps} consecutive beats, in each of {} lanes ({} bits in, {} out).\n\
         Latency 2 from the last of them, one input beat a cycle.",
        from.count, from.bits, to.bits
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, from.width());
    let outlet = Outlet::new(&mut k, stage);
    let tap = Counter::new(&mut k, "tap", taps);
    let last = k.wire("last", tap.last());
    let beat = inlet.take(&mut k, !last | outlet.free);
    tap.clock(&mut k, beat);
    let mut results: Vec<Expr> = vec![];
    for lane in 0..to.count {
        let acc = k.reg(&format!("acc{lane}"), to.bits, None);
        let x = fit(inlet.data.lane(lane, from.bits), from.signed, to.bits);
        let x = k.wire(&format!("x{lane}"), x);
        let joined = match fold {
            Fold::Sum => acc.add(x, to.bits),
            Fold::Max => {
                let above = if from.signed { x.signed().gt(acc.signed()) } else { x.gt(acc) };
                above.mux(x, acc)
            }
        };
        // With one tap the condition is constant and nothing else remains.
        k.clocked([when(beat, [set(acc, tap.first().mux(x, joined))])]);
        results.push(acc.into());
    }
    let spend = k.wire("spend", beat & last);
    let push = k.reg("push", 1, Some(0));
    k.next(push, None, spend);
    outlet.finish(&mut k, spend, push, lanes(results));
    k.build()
}
