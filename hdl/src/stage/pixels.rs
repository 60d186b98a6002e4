//! Builds pixels of 8 bits from levels of fewer bits, as [`Squeezing`] does: by a table per lane.

use super::encoding::record;
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::Site;
use super::stream::{Inlet, delayed};
use crate::device::Resources;
use crate::rtl::{Expr, Kernel, Module, Value, lanes, lit};
use dq_net::Squeezing;

/// Bits of a pixel's colour.
const PIXEL: usize = 8;

/// Turns levels into the pixels that they stand for.
#[derive(Debug)]
pub struct Pixels {
    /// Bits of a level, 1 to 7.
    pub bits: u8,
}

impl Kind for Pixels {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        2
    }

    fn module_name(&self, site: &Site) -> String {
        site.name.clone()
    }

    fn cost(&self, site: &Site) -> Resources {
        let bits = usize::from(self.bits);
        // Levels of 1, 2 or 4 bits are repeated; others take a table for each bit of a pixel.
        let table = if PIXEL.is_multiple_of(bits) { 0 } else { PIXEL << bits.saturating_sub(4) };
        Resources::logic(site.input.count * table + 2, site.output.width() + 1)
    }

    fn encode(&self) -> String {
        record("Pixels", &[("bits", &usize::from(self.bits))])
    }

    fn module(&self, site: &Site) -> Module {
        let (from, to) = (site.input, site.output);
        let note = format!(
            "Feature squeezing: level l as the pixel round(255 l / (2^{} - 1)), {} lanes.\n\
             Latency {}, one beat a cycle.",
            self.bits, from.count, site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, from.width());
        let outlet = Outlet::new(&mut k, site);
        let beat = inlet.take(&mut k, outlet.free);
        let pixel = |level: i32| lit(Squeezing::pixel(self.bits, level).into(), to.bits);
        let found: Vec<Expr> = (0..from.count)
            .map(|lane| {
                let table = (0..1 << self.bits).map(pixel).collect();
                k.select(&format!("pixel{lane}"), inlet.data.lane(lane, from.bits), table).into()
            })
            .collect();
        let pixels = k.held("pixels", lanes(found));
        let push = delayed(&mut k, "push", beat, 1);
        outlet.finish(&mut k, beat, push, pixels);
        k.build()
    }
}
