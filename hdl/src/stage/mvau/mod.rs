//! Builds the matrix-vector unit of convolutions and dense layers: weights from a ROM or from outside, one
//! dot product per PE, accumulators.

mod accumulate;
mod fetch;
mod flat;
mod outlets;
pub mod shape;
pub mod starts;
mod take;
pub mod weights;

use super::dot::{self, Dot};
use super::encoding::{Encode, record};
use super::hardware::{self, Hardware, Limits, Node, Rules};
use super::kind::{Kind, Schedule, Unrolled};
use super::parameters::{LOAD_PORTS, SPRAM_PORTS};
use super::site::{Lanes, Site};
use super::weight_port::{self, shape::WeightPort};
use super::window::{self, Windows};
use crate::device::Resources;
use crate::memory::cost;
use crate::pipeline::build::{Build, Draft, Stream};
use crate::pipeline::detector::PASSES;
use crate::plan::data::Memory;
use crate::rtl::{Group, Module, addr_bits};
use dq_net::layer::window::Axis;
use dq_net::layer::{Conv, Dense};
use dq_net::{Range, Shape, Wire};
use shape::Mvau;
use std::sync::Arc;
use weights::Weights;

/// Holds a matrix-vector unit and its weights.
#[derive(Debug)]
pub struct Unit {
    /// The way its sums are folded.
    pub mvau: Mvau,
    /// Its weights.
    pub weights: Weights,
    /// Lanes of the stream that brings them, where they come from outside: a word, and zeros above it.
    pub port: Option<Lanes>,
}

impl Hardware for Conv {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        let (outputs, _, _, inputs) = self.weights.dim();
        let limits = Limits { outputs: outputs / self.groups, inputs };
        let weights = hardware::Weights { count: self.weights.len(), bits: self.weight_bits.into() };
        Rules::folded(limits, Some(weights))
    }

    fn widest(&self, inputs: &[Wire], _own: Range) -> Range {
        let (_, rows, columns, channels) = self.weights.dim();
        any_dot(rows * columns * channels, self.weight_bits, inputs[0].range)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let (map, to) = (node.from[0].shape, node.to.shape);
        let folds = self.rules(map, to).limits.map_or(1, |limits| limits.outputs / build.entry.pe);
        let (axes, groups) = (self.axes(), self.groups);
        let level = u64::try_from(self.pad_level).expect("checked: a level");
        let windows = Windows { map, to, axes, level, groups, folds };
        lower(windows, self.weight_bits, Weights::Conv(self), node, build)
    }
}

impl Hardware for Dense {
    fn rules(&self, from: Shape, _to: Shape) -> Rules {
        let limits = Limits { outputs: self.weights.dim().0, inputs: from.channels };
        let weights = hardware::Weights { count: self.weights.len(), bits: self.weight_bits.into() };
        Rules::folded(limits, Some(weights))
    }

    fn widest(&self, inputs: &[Wire], _own: Range) -> Range {
        any_dot(self.weights.dim().1, self.weight_bits, inputs[0].range)
    }

    /// Reads the whole map as one window.
    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let (map, to) = (node.from[0].shape, node.to.shape);
        let axis = |kernel| Axis { kernel, stride: 1, before: 0, after: 0 };
        let axes = (axis(map.height), axis(map.width));
        let folds = self.weights.dim().0 / build.entry.pe;
        let windows = Windows { map, to, axes, level: 0, groups: 1, folds };
        lower(windows, self.weight_bits, Weights::Dense(self, map), node, build)
    }
}

/// Returns the bounds of a sum of `count` products of levels within `input` and any weights of `bits` bits.
fn any_dot(count: usize, bits: u8, input: Range) -> Range {
    let (lo, hi) = if bits == 1 { (-1, 1) } else { (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1) };
    let most = count as i64 * input.hi.max(0);
    Range::new(lo * most, hi * most)
}

/// Adds a window and the unit behind it.
fn lower(windows: Windows, weight_bits: u8, weights: Weights, node: &Node, build: &mut Build) -> Stream {
    let (groups, folds, (rows, columns)) = (windows.groups, windows.folds, windows.axes);
    let (pe, simd) = (build.entry.pe, build.entry.simd);
    let mut mvau = Mvau {
        pe,
        simd,
        taps: windows.map.channels / groups / simd * rows.kernel * columns.kernel,
        folds: groups * folds,
        level_bits: node.from[0].range.bits() as usize,
        weight_bits: weight_bits.into(),
        mac: build.entry.mac,
    };
    let output = Lanes::new(pe, node.to.range);
    mvau.mac = dot::choose(&mvau, output.bits, build.goal.family, build.loads());
    // The port stands before the window: a window and the stage behind it are neighbours.
    let words = (build.entry.memory == Memory::Stream).then(|| {
        let (dot, weights) = (dot(&mvau, output.bits), weights.clone());
        let passes = if build.goal.detects { PASSES } else { 1 };
        let rounds = windows.to.height * windows.to.width * passes;
        weight_port::lower(WeightPort { mvau, dot, weights, bits: 0, ratio: 1, rounds }, build)
    });
    let stream = window::lower(windows, node.inputs[0], build).0;
    let inputs: Vec<Stream> = [stream].into_iter().chain(words).collect();
    let port = words.map(|words| words.lanes);
    let draft = build.draft("", &inputs, output);
    build.push(Draft { controlled: build.loads(), ..draft }, Unit { mvau, weights, port })
}

/// Returns the dot product of one PE, for accumulators of `bits`.
fn dot(mvau: &Mvau, bits: usize) -> Dot {
    let Mvau { simd, level_bits, weight_bits, mac, .. } = *mvau;
    Dot { mac, simd, level_bits, weight_bits, bits }
}

impl Kind for Unit {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: self.mvau.taps, tail: 1 }
    }

    /// Sums up the weights, the dot product, the accumulator and the FIFO.
    fn latency(&self, site: &Site) -> u64 {
        dot(&self.mvau, site.output.bits).latency() + 3 + fetch::levels(site, &self.mvau)
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_mvau", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        let Mvau { pe, taps, folds, .. } = self.mvau;
        let (words, acc) = (self.mvau.words(), site.output.bits);
        let dot = dot(&self.mvau, acc);
        let (lut, ff) = dot.cost(site.family);
        let logic = Resources::logic(
            pe * (lut + 2 * acc) + 3 * addr_bits(words) + 12,
            pe * (ff + acc) + site.input.width() + addr_bits(words) + addr_bits(taps) + 16,
        );
        let logic = Resources { dsp: (pe * dot.multipliers()) as u64, ..logic };
        // A single word of weights is a constant, which synthesis folds into the sums.
        if words == 1 && !site.controlled && !matches!(site.memory, Memory::Spram | Memory::Stream) {
            return Resources { lut: logic.lut * 3 / 10, ff: logic.ff * 2 / 5, ..logic };
        }
        let starts = if dot.knows_weights() && folds > 1 {
            starts::cost(pe * acc, folds, site.memory, site.family)
        } else {
            Resources::default()
        };
        logic.plus(cost::banked(self.mvau.word(), words, site.memory, site.family)).plus(starts)
    }

    fn encode(&self) -> String {
        let Mvau { pe, simd, taps, folds, level_bits, weight_bits, mac } = &self.mvau;
        let fields: [(&str, &dyn Encode); 7] = [
            ("pe", pe),
            ("simd", simd),
            ("taps", taps),
            ("folds", folds),
            ("level_bits", level_bits),
            ("weight_bits", weight_bits),
            ("mac", mac),
        ];
        format!("Mvau({})", record("Mvau", &fields))
    }

    fn unit(&self) -> Option<Mvau> {
        Some(self.mvau)
    }

    fn property(&self) -> &'static str {
        match self.port {
            None => "stream, dot products by definition",
            Some(_) => "stream, dot products by definition, a word with each beat of levels",
        }
    }

    fn unrolled(&self, site: &Site) -> Option<Unrolled> {
        flat::unrolled(site, &self.module_name(site), self)
    }

    fn module(&self, site: &Site) -> Module {
        let Mvau { pe, simd, taps, folds, level_bits, weight_bits, .. } = self.mvau;
        let dot = dot(&self.mvau, site.output.bits);
        let note = format!(
            "Multiply-accumulate: {pe} PEs x {simd} inputs; {folds} folds of outputs, {taps} beats each.\n\
             Weights of {weight_bits} bits, levels of {level_bits}, exact accumulators of {} bits.\n\
             Beats in: fold, chunk of channels, kernel row, kernel column; out: {pe} outputs of each fold.\n\
             Latency {} from the last beat of a fold, one beat a cycle.",
            site.output.bits, site.latency
        );
        let mut g = Group::new(&self.module_name(site), &note);
        let fetch_module = match self.port {
            Some(port) => take::module(site, &self.mvau, port),
            None => fetch::module(site, &self.mvau, dot, &self.weights),
        };
        for port in 0..site.sources.len() {
            let name = site.input_port(port);
            let data = fetch_module.port(&format!("{name}_data")).expect("the unit's own inputs");
            g.stream_in(name, data.width);
        }
        g.stream_out("m", site.output.width());
        g.child("fetch", &fetch_module);
        g.child("accumulate", &accumulate::module(site, &self.mvau, dot, &self.weights));
        for port in 0..site.sources.len() {
            let name = site.input_port(port);
            g.stream(name, &format!("fetch.{name}"));
        }
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
}
