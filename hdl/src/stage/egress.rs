//! The AXI4-Stream output: a FIFO, lanes extended to whole bytes, `tlast` at the end of a frame, and `tuser` where
//! the top bit of a value is one.

use super::contract;
use super::counter::Counter;
use super::encoding::record;
use super::fifo::{Fifo, Ports};
use super::kind::{Kind, Schedule};
use super::site::{Lanes, Site};
use super::stream::Inlet;
use crate::device::Resources;
use crate::rtl::{Kernel, Module, Value, addr_bits};

/// The output of frames, lanes extended to whole bytes.
#[derive(Debug)]
pub struct Egress {
    /// Beats of a frame.
    pub beats: usize,
    /// Whether the top bit of a value leaves as `tuser`.
    pub user: bool,
}

impl Egress {
    /// Returns the lanes of `tdata` for values of `lanes`: whole bytes.
    pub fn output(&self, lanes: Lanes) -> Lanes {
        Lanes { bits: (lanes.bits - usize::from(self.user)).next_multiple_of(8), ..lanes }
    }
}

impl Kind for Egress {
    fn schedule(&self) -> Schedule {
        Schedule::Split { ratio: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, _site: &Site) -> String {
        "dq_egress".into()
    }

    fn cost(&self, _site: &Site) -> Resources {
        Resources::logic(addr_bits(self.beats) + 4, addr_bits(self.beats))
    }

    fn encode(&self) -> String {
        // A circuit without the bit is what it was before there was one.
        match self.user {
            false => record("Egress", &[("beats", &self.beats)]),
            true => record("Egress", &[("beats", &self.beats), ("user", &self.user)]),
        }
    }

    fn module(&self, site: &Site) -> Module {
        let (lanes, padded, depth) = (site.input, site.output.bits, site.depth());
        assert!(lanes.count == 1, "one value per beat");
        let sign = if lanes.signed { "sign" } else { "zero" };
        let bits = lanes.bits - usize::from(self.user);
        let user = if self.user { "; its top bit is tuser" } else { "" };
        let note = format!(
            "AXI4-Stream output: frames of {} beats, tlast on the last; one value of {bits} bits a beat,\n\
             {sign}-extended to {padded}{user}. Latency {}, one beat a cycle; holds {depth} beats.",
            self.beats, site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, lanes.bits);
        let tdata = k.output("m_axis_tdata", padded);
        let tvalid = k.output("m_axis_tvalid", 1);
        let tuser = self.user.then(|| k.output("m_axis_tuser", 1));
        let tready = k.input("m_axis_tready", 1);
        let tlast = k.output("m_axis_tlast", 1);
        let free = k.later("free", 1, false);
        let beat = inlet.take(&mut k, free);
        let valid = k.later("valid", 1, false);
        let held = k.later("held", lanes.bits, false);
        let (spend, push, data) = (beat.into(), beat.into(), inlet.data.into());
        let fifo = Fifo { width: lanes.bits, depth, delay: 0, block: false };
        fifo.build(&mut k, "", Ports { free, spend, push, data, out: held, valid, ready: tready.into() });
        let position = Counter::new(&mut k, "position", self.beats);
        if self.beats > 1 {
            let pop = k.wire("pop", valid & tready);
            position.clock(&mut k, pop);
        }
        let value = if self.user { held.slice(0, bits) } else { held.into() };
        k.drive(tdata, if lanes.signed { value.sext(padded).unsigned() } else { value.zext(padded) });
        if let Some(tuser) = tuser {
            k.drive(tuser, held.bit(bits));
        }
        k.drive(tvalid, valid);
        k.drive(tlast, position.last());
        let offered = ["m_axis_tdata", "m_axis_tlast", "m_axis_tuser"];
        let offered = if self.user { &offered[..] } else { &offered[..2] };
        k.contract(&contract::offers("", "m_axis_tvalid", "m_axis_tready", offered));
        k.contract(&contract::shows("m_axis_tvalid", "valid"));
        k.build()
    }
}
