//! The label: the index of the largest score, the lowest on ties.

use super::{Counter, Inlet, outlet::Outlet};
use crate::pipeline::Stage;
use crate::rtl::{Kernel, Module, Value, set, when};

/// One class a beat in, one label out.
pub fn module(stage: &Stage, classes: usize) -> Module {
    let note = format!(
        "Label: index of the largest of {classes} scores, one a beat, the lowest index on ties.\n\
         Latency 2 from the last score, one score a cycle."
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, stage.input.bits);
    let outlet = Outlet::new(&mut k, stage);
    let class = Counter::new(&mut k, "class", classes);
    let last = k.wire("last", class.last());
    let beat = inlet.take(&mut k, !last | outlet.free);
    class.clock(&mut k, beat);
    let best = k.reg("best", stage.input.bits, None);
    let label = k.reg("label", stage.output.bits, None);
    let above = if stage.input.signed { inlet.data.signed().gt(best.signed()) } else { inlet.data.gt(best) };
    let better = k.wire("better", class.first() | above);
    k.clocked([when(beat & better, [set(best, inlet.data), set(label, class.value())])]);
    let spend = k.wire("spend", beat & last);
    let push = k.reg("push", 1, Some(0));
    k.next(push, None, spend);
    outlet.finish(&mut k, spend, push, label);
    k.build()
}
