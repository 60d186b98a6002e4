//! Converts a stream to fewer lanes, by a whole ratio.

use super::contract;
use super::counter::Counter;
use super::encoding::record;
use super::kind::{Kind, Schedule};
use super::site::Site;
use super::stream::Inlet;
use crate::device::Resources;
use crate::rtl::{Expr, Kernel, Module, Read, Style, Value, Write, addr_bits, bits_for, lit, set, when};

/// Gives each beat as several narrower ones, low lanes first. It holds two input beats, so it gives a beat
/// every cycle.
#[derive(Debug)]
pub struct Narrow {
    /// Number of output beats per input beat.
    pub ratio: usize,
}

impl Kind for Narrow {
    fn schedule(&self) -> Schedule {
        Schedule::Split { ratio: self.ratio }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, site: &Site) -> String {
        format!("dq_narrow_{}x{}_d{}", site.output.width(), self.ratio, site.depth())
    }

    fn cost(&self, site: &Site) -> Resources {
        Resources::logic(site.output.width() * self.ratio.div_ceil(2) + 6, addr_bits(self.ratio))
    }

    fn encode(&self) -> String {
        record("Narrow", &[("ratio", &self.ratio)])
    }

    fn module(&self, site: &Site) -> Module {
        let (wide, width, depth, ratio) = (site.input.width(), site.output.width(), site.depth(), self.ratio);
        let note = format!(
            "Gives each beat of {wide} bits as {ratio} beats of {width} bits, low bits first.\n\
             Latency {}, one output beat a cycle; holds {depth} input beats.",
            site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, wide);
        let m_data = k.output("m_data", width);
        let m_valid = k.output("m_valid", 1);
        let m_ready = k.input("m_ready", 1);
        let count = k.reg("count", bits_for(depth as u64), Some(0));
        k.comment(count, "Input beats held.");
        let ready = count.ne(lit(depth as u64, count.width()));
        let beat = inlet.take(&mut k, ready);
        let valid = k.wire("valid", count.any());
        let part = Counter::new(&mut k, "part", ratio);
        let moves = k.wire("moves", valid & m_ready);
        part.clock(&mut k, moves);
        let pop = k.wire("pop", moves & part.last());
        let one = lit(1, count.width());
        k.clocked([
            when(beat & !pop, [set(count, count.inc())]),
            when(!beat & pop, [set(count, count.sub(one, count.width()))]),
        ]);
        let head = Counter::new(&mut k, "fifo_in", depth);
        let tail = Counter::new(&mut k, "fifo_out", depth);
        head.clock(&mut k, beat);
        tail.clock(&mut k, pop);
        let write = Write { enable: beat.into(), addr: head.value(), data: inlet.data.into() };
        let held = k.ram("held", wide, depth, Style::Auto, write, Read::Async { addr: tail.value() });
        let parts: Vec<Expr> = (0..ratio).map(|i| held.lane(i, width)).collect();
        let data = k.select("data", part.value(), parts);
        k.drive(m_data, data);
        k.drive(m_valid, valid);
        k.contract(&contract::ring(depth, "m_ready", "m_valid", &["m_data"]));
        k.build()
    }
}
