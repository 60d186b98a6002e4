//! Builds the verdict of a detector: the label of an image, and whether that of its squeezed form differs.

use super::contract;
use super::counter::Counter;
use super::encoding::record;
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use super::stream::Inlet;
use crate::device::Resources;
use crate::rtl::{Kernel, Module, Value, cat, lit};

const TEMPLATE: &str = include_str!("compare.contract.v");

/// Takes two labels, the image's own and that of its squeezed form, and gives one beat: the own label in the
/// low bits, the flag in the top bit.
#[derive(Debug)]
pub struct Compare;

impl Compare {
    /// Returns the lanes of its output for labels of `label`: whole bytes, the top bit of which is the flag.
    pub fn verdict(label: Lanes) -> Lanes {
        Lanes { bits: (label.bits + 1).next_multiple_of(8), ..label }
    }
}

impl Kind for Compare {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 2, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, site: &Site) -> String {
        site.name.clone()
    }

    fn cost(&self, site: &Site) -> Resources {
        let bits = site.input.bits;
        Resources::logic(bits + 4, bits + 1)
    }

    fn encode(&self) -> String {
        record("Compare", &[])
    }

    fn module(&self, site: &Site) -> Module {
        let (from, to) = (site.input.bits, site.output.bits);
        let note = format!(
            "Detector: of two labels of {from} bits, that of the image and that of its squeezed form, one \
             beat: the first\n\
             label in the low bits, and in bit {} whether they differ. Latency {} from the second label.",
            to - 1,
            site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, from);
        let outlet = Outlet::new(&mut k, site);
        let pass = Counter::new(&mut k, "pass", 2);
        let beat = inlet.take(&mut k, pass.first() | outlet.free);
        pass.clock(&mut k, beat);
        let own = k.reg("own", from, None);
        k.next(own, Some(beat & pass.first()), inlet.data);
        let spend = k.wire("spend", beat & pass.last());
        let differs = k.wire("differs", inlet.data.ne(own));
        let zeros = (to - 1 - from > 0).then(|| lit(0, to - 1 - from));
        let verdict = [Some(differs.into()), zeros, Some(own.into())];
        outlet.finish(&mut k, spend, spend, cat(verdict.into_iter().flatten()));
        let values = vec![("top", (from - 1).to_string()), ("flag", (to - 1).to_string())];
        k.contract(&contract::fill(TEMPLATE, "compare", &values));
        k.build()
    }
}
