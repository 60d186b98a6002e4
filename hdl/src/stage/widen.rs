//! Converts a stream to more lanes, by a whole ratio.

use super::counter::Counter;
use super::encoding::record;
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::Site;
use super::stream::Inlet;
use crate::device::Resources;
use crate::rtl::{Kernel, Module, Value, addr_bits, cat};

/// Gives several beats as one, the first in the low lanes.
#[derive(Debug)]
pub struct Widen {
    /// Number of input beats per output beat.
    pub ratio: usize,
}

impl Kind for Widen {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: self.ratio, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, site: &Site) -> String {
        format!("dq_widen_{}x{}_d{}", site.input.width(), self.ratio, site.depth())
    }

    fn cost(&self, site: &Site) -> Resources {
        Resources::logic(8, site.output.width() - site.input.width() + addr_bits(self.ratio))
    }

    fn encode(&self) -> String {
        record("Widen", &[("ratio", &self.ratio)])
    }

    fn module(&self, site: &Site) -> Module {
        let (width, wide, ratio) = (site.input.width(), site.output.width(), self.ratio);
        let note = format!(
            "Joins {ratio} beats of {width} bits to one of {wide} bits, the first in the low bits.\n\
             Latency {} from the last of them, one input beat a cycle.",
            site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, width);
        let outlet = Outlet::new(&mut k, site);
        let part = Counter::new(&mut k, "part", ratio);
        let last = k.wire("last", part.last());
        let beat = inlet.take(&mut k, !last | outlet.free);
        part.clock(&mut k, beat);
        let earlier = k.reg("earlier", width * (ratio - 1), None);
        k.comment(earlier, "The beats before this one, the oldest in the low bits.");
        let joined = k.wire("joined", cat([inlet.data, earlier]));
        k.next(earlier, Some(beat.into()), joined.slice(width, wide - width));
        let push = k.wire("push", beat & last);
        outlet.finish(&mut k, push, push, joined);
        k.build()
    }
}
