//! The scores: each class's bias added to its accumulator.

use super::{Counter, Inlet, fit, literal, outlet::Outlet};
use crate::pipeline::Stage;
use crate::rtl::{Kernel, Module, Value, set, when};
use dq_net::layer::Logits;

/// One class a beat, class 0 first.
pub fn module(stage: &Stage, logits: &Logits) -> Module {
    let (from, to) = (stage.input, stage.output);
    let classes = logits.bias.len();
    let note = format!(
        "Scores of {classes} classes, one a beat: accumulator ({} bits) + bias = score ({} bits{}).\n\
         Latency 2, one beat a cycle.",
        from.bits,
        to.bits,
        if to.signed { ", signed" } else { "" }
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, from.bits);
    let outlet = Outlet::new(&mut k, to.bits, stage.depth);
    let beat = inlet.take(&mut k, outlet.free);
    let class = Counter::new(&mut k, "class", classes);
    class.clock(&mut k, beat);
    let table = logits.bias.iter().map(|&bias| literal(bias.into(), to.bits)).collect();
    let bias = k.select("bias", class.value(), table);
    if from.bits > to.bits {
        k.unused(inlet.data.slice(to.bits, from.bits - to.bits));
    }
    let score = k.reg("score", to.bits, None);
    let push = k.reg("push", 1, Some(0));
    let acc = fit(inlet.data, from.signed, to.bits);
    k.clocked([set(push, beat), when(beat, [set(score, acc.add(bias, to.bits))])]);
    outlet.finish(&mut k, beat, push, score);
    k.build()
}
