//! Builds the label: the index of the largest score, the lowest on ties.

use super::counter::Counter;
use super::encoding::record;
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::Site;
use super::stream::Inlet;
use crate::device::Resources;
use crate::rtl::{Kernel, Module, Value, addr_bits, set, when};

/// Takes one class per beat, and gives one label.
#[derive(Debug)]
pub struct ArgMax {
    /// Number of classes, one per beat.
    pub classes: usize,
}

impl Kind for ArgMax {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: self.classes, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        2
    }

    fn module_name(&self, site: &Site) -> String {
        site.name.clone()
    }

    fn cost(&self, site: &Site) -> Resources {
        let bits = site.input.bits;
        Resources::logic(2 * bits + 8, bits + 2 * addr_bits(self.classes) + 1)
    }

    fn encode(&self) -> String {
        record("ArgMax", &[("classes", &self.classes)])
    }

    fn module(&self, site: &Site) -> Module {
        let note = format!(
            "Label: index of the largest of {} scores, one a beat, the lowest index on ties.\n\
             Latency {} from the last score, one score a cycle.",
            self.classes, site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, site.input.bits);
        let outlet = Outlet::new(&mut k, site);
        let class = Counter::new(&mut k, "class", self.classes);
        let last = k.wire("last", class.last());
        let beat = inlet.take(&mut k, !last | outlet.free);
        class.clock(&mut k, beat);
        let best = k.reg("best", site.input.bits, None);
        let label = k.reg("label", site.output.bits, None);
        let above =
            if site.input.signed { inlet.data.signed().gt(best.signed()) } else { inlet.data.gt(best) };
        let better = k.wire("better", class.first() | above);
        k.clocked([when(beat & better, [set(best, inlet.data), set(label, class.value())])]);
        let spend = k.wire("spend", beat & last);
        let push = k.reg("push", 1, Some(0));
        k.next(push, None, spend);
        outlet.finish(&mut k, spend, push, label);
        k.build()
    }
}
