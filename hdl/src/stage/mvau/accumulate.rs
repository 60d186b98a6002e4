//! The accumulators: add up the dot products of a fold and give the sums.

use crate::pipeline::{Mvau, Stage};
use crate::rtl::{Kernel, Module, Value, lanes, lit, set};
use crate::stage::dot::{self, Dot};
use crate::stage::{fit, outlet::Outlet};

/// Adds up the dot products of a fold and gives the sums.
pub fn module(stage: &Stage, mvau: &Mvau, dot: Dot) -> Module {
    let (bits, dot_bits) = (stage.output.bits, dot.result_bits());
    let delay = dot::latency(dot.simd, dot.weight_bits) as usize;
    let note = format!(
        "Accumulators of {}: {} lanes of {bits} bits, from the first to the last beat of a fold; output FIFO.\n\
         The flags come {delay} cycles before their dot products.",
        stage.name, mvau.pe
    );
    let mut k = Kernel::new(&format!("{}_accumulate", stage.name), &note);
    let sums: Vec<_> = (0..mvau.pe).map(|p| k.input(&format!("dot{p}"), dot_bits)).collect();
    let flags = ["spend", "dot_valid", "dot_first", "dot_last"].map(|name| k.input(name, 1));
    let [spend, valid, first, last] = flags;
    let room = k.output("room", 1);
    let outlet = Outlet::new(&mut k, stage);
    k.drive(room, outlet.free);
    let mut now = [valid, first, last];
    for d in 1..=delay {
        let next = ["valid", "first", "last"]
            .map(|name| k.reg(&format!("{name}{d}"), 1, (name == "valid").then_some(0)));
        k.clocked(now.iter().zip(next).map(|(&from, to)| set(to, from)).collect::<Vec<_>>());
        now = next;
    }
    let [valid, first, last] = now;
    let mut accumulators = vec![];
    for (p, &sum) in sums.iter().enumerate() {
        let acc = k.reg(&format!("acc{p}"), bits, None);
        let before = k.wire(&format!("before{p}"), first.mux(lit(0, bits), acc));
        k.next(acc, Some(valid.into()), before.add(fit(sum, true, bits), bits));
        accumulators.push(acc);
    }
    let push = k.reg("push", 1, Some(0));
    k.next(push, None, valid & last);
    outlet.finish(&mut k, spend, push, lanes(accumulators));
    k.build()
}
