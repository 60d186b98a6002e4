//! The scores: each class's bias added to its accumulator.

use super::{Counter, Inlet, fit, literal, outlet::Outlet, parameters::Parameters, rom_words, style};
use crate::pipeline::Stage;
use crate::rtl::{Kernel, Module, Read, Value, set, when};
use dq_net::layer::Logits;

/// One class a beat, class 0 first.
pub fn module(stage: &Stage, logits: &Logits) -> Module {
    let (from, to) = (stage.input, stage.output);
    let classes = logits.bias.len();
    let note = format!(
        "Scores of {classes} classes, one a beat: accumulator ({} bits) + bias = score ({} bits{}).\n\
         Latency {}, one beat a cycle.",
        from.bits,
        to.bits,
        if to.signed { ", signed" } else { "" },
        stage.latency
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let inlet = Inlet::new(&mut k, from.bits);
    let outlet = Outlet::new(&mut k, stage);
    let taken = inlet.take(&mut k, outlet.free);
    let class = Counter::new(&mut k, "class", classes);
    class.clock(&mut k, taken);
    let mut parameters = Parameters::new(stage.controlled);
    let (beat, acc, bias) = if stage.controlled {
        // Read from a memory, a cycle later.
        let words = rom_words(to.bits, logits.bias.iter().map(|&bias| vec![(bias.into(), to.bits)]));
        let read = Read::Sync { enable: taken.into(), addr: class.value() };
        let file = format!("{}_bias.mem", stage.name);
        let bias = parameters.rom(&mut k, "bias", to.bits, words, style(stage.memory), read, &file);
        let (read, acc) = (k.reg("read", 1, Some(0)), k.reg("acc", from.bits, None));
        k.clocked([set(read, taken), when(taken, [set(acc, inlet.data)])]);
        (read, acc, bias)
    } else {
        let table = logits.bias.iter().map(|&bias| literal(bias.into(), to.bits)).collect();
        (taken, inlet.data, k.select("bias", class.value(), table))
    };
    if from.bits > to.bits {
        k.unused(acc.slice(to.bits, from.bits - to.bits));
    }
    let score = k.reg("score", to.bits, None);
    let push = k.reg("push", 1, Some(0));
    let acc = fit(acc, from.signed, to.bits);
    k.clocked([set(push, beat), when(beat, [set(score, acc.add(bias, to.bits))])]);
    outlet.finish(&mut k, taken, push, score);
    parameters.finish(&mut k);
    k.build()
}
