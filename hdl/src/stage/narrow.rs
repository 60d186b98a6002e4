//! Converts a stream to fewer lanes, by a whole ratio.

use super::contract;
use super::counter::Counter;
use super::encoding::record;
use super::fifo::{Fifo, Ports};
use super::kind::{Kind, Schedule};
use super::site::Site;
use super::stream::Inlet;
use crate::device::Resources;
use crate::rtl::{Expr, Kernel, Module, Value, addr_bits};

const TEMPLATE: &str = include_str!("narrow.contract.v");

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
        let free = k.later("free", 1, false);
        let beat = inlet.take(&mut k, free);
        let valid = k.later("valid", 1, false);
        let held = k.later("held", wide, false);
        k.comment(held, "The oldest input beat.");
        let part = Counter::new(&mut k, "part", ratio);
        let moves = k.wire("moves", valid & m_ready);
        part.clock(&mut k, moves);
        let ready = k.wire("last_moves", m_ready & part.last()).into();
        let (spend, push, data) = (beat.into(), beat.into(), inlet.data.into());
        let fifo = Fifo { width: wide, depth, delay: 0, block: false };
        fifo.build(&mut k, "", Ports { free, spend, push, data, out: held, valid, ready });
        let parts: Vec<Expr> = (0..ratio).map(|i| held.lane(i, width)).collect();
        let data = k.select("data", part.value(), parts);
        k.drive(m_data, data);
        k.drive(m_valid, valid);
        k.contract(&contract::offers("", "m_valid", "m_ready", &["m_data"]));
        k.contract(&contract::shows("m_valid", "valid"));
        let last = format!("{}'d{}", addr_bits(ratio), ratio - 1);
        k.contract(&contract::fill(TEMPLATE, "parts", &vec![("last", last)]));
        k.build()
    }
}
