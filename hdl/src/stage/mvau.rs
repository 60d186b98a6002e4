//! The matrix-vector unit: weights from a ROM, one dot product a PE, accumulators.

use super::dot::{self, Dot};
use super::parameters::{LOAD_PORTS, Parameters};
use super::{Counter, Inlet, fit, outlet::Outlet, rom_words, style};
use crate::pipeline::{Mvau, Stage};
use crate::rtl::{Group, Kernel, Module, Read, Value, lanes, lit, set};
use dq_net::Wire;
use dq_net::layer::Layer;

/// The unit of `layer`, a convolution or a dense layer that reads `input`.
pub fn module(stage: &Stage, mvau: &Mvau, layer: &Layer, input: Wire) -> Module {
    let Mvau { pe, simd, taps, folds, level_bits, weight_bits } = *mvau;
    let dot = Dot { simd, level_bits, weight_bits, bits: stage.output.bits };
    let note = format!(
        "Multiply-accumulate: {pe} PEs x {simd} inputs; {folds} folds of outputs, {taps} beats each.\n\
         Weights of {weight_bits} bits, levels of {level_bits}, exact accumulators of {} bits.\n\
         Beats in: fold, chunk of channels, kernel row, kernel column; out: {pe} outputs of each fold.\n\
         Latency {} from the last beat of a fold, one beat a cycle.",
        stage.output.bits, stage.latency
    );
    let mut g = Group::new(&stage.module_name(), &note);
    g.stream_in("s", stage.input.width());
    g.stream_out("m", stage.output.width());
    let fetch_module = fetch(stage, mvau, weights(mvau, layer, input));
    g.child("fetch", &fetch_module);
    g.child("accumulate", &accumulate(stage, mvau, dot));
    g.stream("s", "fetch.s");
    g.stream("accumulate.m", "m");
    let dot = dot.module();
    for p in 0..pe {
        g.child(&format!("pe{p}"), &dot);
        g.link("fetch.x", &format!("pe{p}.x"));
        g.link(&format!("fetch.w{p}"), &format!("pe{p}.w"));
        g.link(&format!("pe{p}.dot"), &format!("accumulate.dot{p}"));
    }
    for flag in ["spend", "dot_valid", "dot_first", "dot_last"] {
        g.link(&format!("fetch.{flag}"), &format!("accumulate.{flag}"));
    }
    g.link("accumulate.room", "fetch.room");
    if stage.controlled {
        for port in LOAD_PORTS {
            g.input(port, fetch_module.port(port).expect("a loader").width);
            g.link(port, &format!("fetch.{port}"));
        }
    }
    g.build()
}

/// The ROM's words: fold, chunk, kernel row, kernel column; PE 0 and input 0 in the low bits. −1/+1 is 0/1.
fn weights(mvau: &Mvau, layer: &Layer, input: Wire) -> Vec<u64> {
    let Mvau { pe, simd, folds, weight_bits, .. } = *mvau;
    // Kernel rows, columns and channels of one output, and the weight at a place of them.
    let dense_map = input.shape;
    let (rows, columns, channels) = match layer {
        Layer::Conv(conv) => (conv.weights.dim().1, conv.weights.dim().2, conv.weights.dim().3),
        Layer::Dense(_) => dense_map.dim(),
        _ => unreachable!("no weights"),
    };
    let weight = |output: usize, ky: usize, kx: usize, c: usize| match layer {
        Layer::Conv(conv) => conv.weights[[output, ky, kx, c]],
        Layer::Dense(dense) => dense.weights[[output, (ky * columns + kx) * channels + c]],
        _ => unreachable!("no weights"),
    };
    let places = (0..folds).flat_map(|fold| {
        (0..channels / simd).flat_map(move |chunk| {
            (0..rows).flat_map(move |ky| (0..columns).map(move |kx| (fold, chunk, ky, kx)))
        })
    });
    let rows = places.map(|(fold, chunk, ky, kx)| {
        let of_pe = |p: usize| (0..simd).map(move |i| (fold * pe + p, chunk * simd + i));
        (0..pe)
            .flat_map(of_pe)
            .map(|(output, c)| {
                let value = i64::from(weight(output, ky, kx, c));
                (if weight_bits == 1 { i64::from(value > 0) } else { value }, weight_bits)
            })
            .collect()
    });
    rom_words(pe * simd * weight_bits, rows)
}

/// Counts beats and reads the weights.
fn fetch(stage: &Stage, mvau: &Mvau, weights: Vec<u64>) -> Module {
    let Mvau { pe, simd, taps, folds, weight_bits, .. } = *mvau;
    let name = &stage.name;
    let file = format!("{name}_weights.mem");
    let note = format!(
        "Weights of {name}: {} words of {pe} PEs x {simd} inputs x {weight_bits} bits, PE 0 and input 0 in the low bits.\n\
         Word order: fold, chunk of channels, kernel row, kernel column. Latency 1, one beat a cycle.",
        folds * taps
    );
    let mut k = Kernel::new(&format!("{name}_fetch"), &note);
    let inlet = Inlet::new(&mut k, stage.input.width());
    let room = k.input("room", 1);
    let x = k.output("x", stage.input.width());
    let w: Vec<_> = (0..pe).map(|p| k.output(&format!("w{p}"), simd * weight_bits)).collect();
    let [spend, valid, first, last] =
        ["spend", "dot_valid", "dot_first", "dot_last"].map(|name| k.output(name, 1));

    let tap = Counter::new(&mut k, "tap", taps);
    let address = Counter::new(&mut k, "address", folds * taps);
    let last_tap = k.wire("last_tap", tap.last());
    let beat = inlet.take(&mut k, !last_tap | room);
    tap.clock(&mut k, beat);
    address.clock(&mut k, beat);
    k.drive(spend, beat & last_tap);
    let read = Read::Sync { enable: beat.into(), addr: address.value() };
    let mut parameters = Parameters::new(stage.controlled);
    let style = style(stage.memory);
    let words = parameters.rom(&mut k, "weights", pe * simd * weight_bits, weights, style, read, &file);
    for (p, port) in w.into_iter().enumerate() {
        k.drive(port, words.lane(p, simd * weight_bits));
    }
    let x1 = k.reg("x", stage.input.width(), None);
    k.next(x1, Some(beat.into()), inlet.data);
    k.drive(x, x1);
    let valid1 = k.reg("valid", 1, Some(0));
    let (first1, last1) = (k.reg("first", 1, None), k.reg("last", 1, None));
    k.clocked([set(valid1, beat), set(first1, tap.first()), set(last1, last_tap)]);
    k.drive(valid, valid1);
    k.drive(first, first1);
    k.drive(last, last1);
    parameters.finish(&mut k);
    k.build()
}

/// Adds up the dot products of a fold and gives the sums.
fn accumulate(stage: &Stage, mvau: &Mvau, dot: Dot) -> Module {
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
    let outlet = Outlet::new(&mut k, stage.output.width(), stage.depth);
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
