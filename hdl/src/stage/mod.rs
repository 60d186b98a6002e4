//! The stages as hardware: one file a kind, each a function from its row of the pipeline to a module on [`crate::rtl`].
//! Latency and depth are those of the pipeline; tests hold the netlist to them. Never decides what a layer means.

mod argmax;
mod bias;
pub(crate) mod bit_depth;
mod contract;
pub(crate) mod dot;
mod egress;
pub(crate) mod encoding;
pub(crate) mod flat;
mod fork;
mod global_sum;
mod ingress;
pub(crate) mod median;
pub(crate) mod mix;
pub(crate) mod mvau;
mod outlet;
mod parameters;
mod reduce;
pub(crate) mod rescale;
pub(crate) mod step;
mod sum;
mod width;
pub(crate) mod window;

pub use parameters::{LOAD_PORTS, Loader, SPRAM_PORTS};

use crate::device::Family;
use crate::pipeline::{Kind, Stage};
use crate::plan::Memory;
use crate::rtl::{Expr, Kernel, Module, Sig, Style, Value, addr_bits, lit, set, when};
use crate::rtl::{Stmt, words};
use dq_net::layer::Layer;
use dq_net::{Network, Wire};

/// The module of `stage`. It has the streams `s` and `m`; ingress and egress have AXI4-Stream on their outer side.
pub fn module(stage: &Stage, network: &Network) -> Module {
    let layer = &network.nodes()[stage.node].layer;
    match (&stage.kind, layer) {
        (Kind::Ingress { beats }, _) => ingress::module(stage, *beats),
        (Kind::Egress { beats }, _) => egress::module(stage, *beats),
        (Kind::Fork, _) => fork::module(stage),
        (Kind::Narrow { ratio }, _) => width::narrow(stage, *ratio),
        (Kind::Widen { ratio }, _) => width::widen(stage, *ratio),
        (Kind::Window(window), _) => window::module(stage, window),
        (Kind::Mvau(mvau), _) => mvau::module(stage, mvau, layer, input_wire(network, stage)),
        (Kind::Step { folds, range }, Layer::Step(step)) => step::module(stage, *folds, step, *range),
        (Kind::Reduce { fold, taps }, _) => reduce::module(stage, *fold, *taps),
        (Kind::Mix { ranges, .. }, Layer::Mix(mix)) => mix::module(stage, mix, *ranges),
        (Kind::Rescale { folds, range, .. }, Layer::Rescale(rescale)) => {
            rescale::module(stage, *folds, rescale, *range)
        }
        (Kind::BitDepth { bits }, _) => bit_depth::module(stage, *bits),
        (Kind::Median { height, width, chunks }, _) => median::module(stage, *height, *width, *chunks),
        (Kind::GlobalSum { pixels, chunks }, _) => global_sum::module(stage, *pixels, *chunks),
        (Kind::Bias { .. }, Layer::Logits(logits)) => bias::module(stage, logits),
        (Kind::ArgMax { classes }, _) => argmax::module(stage, *classes),
        (Kind::Step { .. } | Kind::Bias { .. } | Kind::Mix { .. } | Kind::Rescale { .. }, _) => {
            unreachable!("a stage of another layer")
        }
    }
}

fn input_wire(network: &Network, stage: &Stage) -> Wire {
    network.wire(network.sources(stage.node)[0])
}

/// The incoming stream of a kernel.
struct Inlet {
    data: Sig,
    valid: Sig,
    ready: Sig,
}

impl Inlet {
    fn new(k: &mut Kernel, width: usize) -> Self {
        Self::named(k, "s", width)
    }

    fn named(k: &mut Kernel, name: &str, width: usize) -> Self {
        let data = k.input(&format!("{name}_data"), width);
        let valid = k.input(&format!("{name}_valid"), 1);
        Inlet { data, valid, ready: k.output(&format!("{name}_ready"), 1) }
    }

    /// Takes a beat wherever `ready` (of registers alone) is high; gives the wire `beat`: one moves now.
    fn take(&self, k: &mut Kernel, ready: impl Into<Expr>) -> Sig {
        let ready = k.wire("ready", ready);
        k.drive(self.ready, ready);
        k.wire("beat", self.valid & ready)
    }
}

/// Takes a beat of `x` and one of `y` at once, wherever both are there and `ready` (of registers alone) is high; gives
/// the wire `beat`. That the ready of one follows the valid of the other is no path through the stage: both come from
/// registers of the stages before.
fn take_both(k: &mut Kernel, x: &Inlet, y: &Inlet, ready: Sig) -> Sig {
    k.drive(x.ready, y.valid & ready);
    k.drive(y.ready, x.valid & ready);
    k.wire("beat", x.valid & y.valid & ready)
}

/// `flag`, `cycles` cycles later, low after reset.
fn delayed(k: &mut Kernel, name: &str, flag: Sig, cycles: usize) -> Sig {
    (1..=cycles).fold(flag, |before, cycle| {
        let reg = k.reg(&format!("{name}{cycle}"), 1, Some(0));
        k.next(reg, None, before);
        reg
    })
}

/// A counter over `count` states that needs no register where there is only one.
struct Counter {
    reg: Option<Sig>,
    count: usize,
}

impl Counter {
    fn new(k: &mut Kernel, name: &str, count: usize) -> Self {
        Counter { reg: (count > 1).then(|| k.reg(name, addr_bits(count), Some(0))), count }
    }

    fn first(&self) -> Expr {
        self.reg.map_or(lit(1, 1), |reg| reg.eq_to(0))
    }

    fn last(&self) -> Expr {
        self.reg.map_or(lit(1, 1), |reg| reg.eq_to(self.count as u64 - 1))
    }

    /// As an address of [`addr_bits`]`(count)` bits.
    fn value(&self) -> Expr {
        self.reg.map_or(lit(0, 1), Into::into)
    }

    fn clear(&self) -> Vec<Stmt> {
        self.reg.iter().map(|&reg| set(reg, lit(0, reg.width()))).collect()
    }

    fn increment(&self) -> Vec<Stmt> {
        self.reg.iter().map(|&reg| set(reg, reg.inc())).collect()
    }

    /// Advances in every cycle in which `enable` is high.
    fn clock(&self, k: &mut Kernel, enable: Sig) {
        if self.reg.is_some() {
            k.clocked([when(enable, self.advance())]);
        }
    }

    /// To the next state, and from the last to the first.
    fn advance(&self) -> Vec<Stmt> {
        if self.count.is_power_of_two() {
            return self.increment();
        }
        let next = |reg: Sig| self.last().mux(lit(0, reg.width()), reg.inc());
        self.reg.iter().map(|&reg| set(reg, next(reg))).collect()
    }
}

/// `value` (a net, a slice of one, or anything of which bits can be taken) in `width` bits, modulo 2^width; unsigned.
fn fit(value: impl Into<Expr>, signed: bool, width: usize) -> Expr {
    let value = value.into();
    match (value.width() >= width, signed) {
        (true, _) => value.slice(0, width),
        (false, true) => value.sext(width).unsigned(),
        (false, false) => value.zext(width),
    }
}

/// `value` modulo 2^width, as a literal.
fn literal(value: i64, width: usize) -> Expr {
    assert!(width <= 64);
    lit(value as u64 & words::mask(width), width)
}

fn style(memory: Memory) -> Style {
    match memory {
        Memory::Auto => Style::Auto,
        Memory::Block => Style::Block,
        Memory::Distributed => Style::Distributed,
        Memory::Spram => Style::Spram,
    }
}

/// Of a memory that is written: LUT RAM where `family` has it.
fn ram_style(memory: Memory, family: Family) -> Style {
    match style(memory) {
        Style::Distributed if !family.has_lut_ram() => Style::Registers,
        style => style,
    }
}

/// The words of a ROM from the fields of each word, low bits first: (value modulo 2^bits, bits).
fn rom_words(word_bits: usize, rows: impl Iterator<Item = Vec<(i64, usize)>>) -> Vec<u64> {
    let stride = words::words_for(word_bits);
    let mut data = vec![];
    for fields in rows {
        let start = data.len();
        data.resize(start + stride, 0);
        let mut at = 0;
        for (value, bits) in fields {
            words::or_at(&mut data[start..], at, &[value as u64 & words::mask(bits)], bits);
            at += bits;
        }
        assert!(at == word_bits, "a word of {at} bits, not {word_bits}");
    }
    data
}
