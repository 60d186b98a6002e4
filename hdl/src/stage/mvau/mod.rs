//! The matrix-vector unit: weights from a ROM, one dot product a PE, accumulators.

mod accumulate;
mod fetch;

pub use crate::memory::banks::levels;

use super::dot::Dot;
use super::parameters::{LOAD_PORTS, SPRAM_PORTS};
use crate::pipeline::{Mvau, Stage};
use crate::rtl::{Group, Module};
use dq_net::Wire;
use dq_net::layer::Layer;

/// The dot product of one PE, for accumulators of `bits`.
pub fn dot(mvau: &Mvau, bits: usize) -> Dot {
    let Mvau { simd, level_bits, weight_bits, mac, .. } = *mvau;
    Dot { mac, simd, level_bits, weight_bits, bits }
}

/// The unit of `layer`, a convolution or a dense layer that reads `input`.
pub fn module(stage: &Stage, mvau: &Mvau, layer: &Layer, input: Wire) -> Module {
    let Mvau { pe, simd, taps, folds, level_bits, weight_bits, .. } = *mvau;
    let dot = dot(mvau, stage.output.bits);
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
    let fetch_module = fetch::module(stage, mvau, layer, input);
    g.child("fetch", &fetch_module);
    g.child("accumulate", &accumulate::module(stage, mvau, dot, layer));
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
    for port in LOAD_PORTS.iter().chain(&SPRAM_PORTS) {
        if let Some(inner) = fetch_module.port(port) {
            g.input(port, inner.width);
            g.link(port, &format!("fetch.{port}"));
        }
    }
    g.build()
}
