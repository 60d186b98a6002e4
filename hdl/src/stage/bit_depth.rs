//! Builds fewer levels for a pixel: rounded to a multiple, by three additions per lane.

use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use super::stream::{Inlet, delayed};
use super::terms::{self, Term};
use super::word::fit;
use crate::device::Resources;
use crate::pipeline::build::{Build, Stream};
use crate::rtl::{Expr, Kernel, Module, Value, lanes};
use dq_net::layer::{self, Kind as _};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Turns pixels of 8 bits into levels of fewer bits.
#[derive(Debug)]
pub struct BitDepth {
    /// Bits of a level.
    pub bits: usize,
}

impl Hardware for layer::BitDepth {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::in_step(false)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let output = Lanes::new(node.inputs[0].lanes.count, node.to.range);
        build.add("", &node.inputs, output, BitDepth { bits: self.bits.into() })
    }
}

impl Kind for BitDepth {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        if self.bits == 8 { 1 } else { 4 }
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_bit_depth", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        match self.bits {
            8 => Resources::default(),
            bits => terms::cost(site, 3).plus(Resources::logic(0, site.input.count * bits)),
        }
    }

    fn encode(&self) -> String {
        record("BitDepth", &[("bits", &self.bits)])
    }

    fn module(&self, site: &Site) -> Module {
        let (from, to, bits) = (site.input, site.output, self.bits);
        let note = format!(
            "Feature squeezing: pixel p as the level round(p (2^{bits} - 1) / 255), {} lanes.\n\
             With t = p 2^{bits} - p + 128 that is (t + (t >> 8)) >> 8. Latency {}, one beat a cycle.",
            from.count, site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, from.width());
        let outlet = Outlet::new(&mut k, site);
        let beat = inlet.take(&mut k, outlet.free);
        if bits == 8 {
            // The level is the pixel, whose range may be narrower.
            let wide =
                || lanes((0..from.count).map(|at| fit(inlet.data.lane(at, from.bits), false, to.bits)));
            let levels = if from.bits == to.bits { inlet.data.into() } else { wide() };
            outlet.finish(&mut k, beat, beat, levels);
            return k.build();
        }
        let top = (1i64 << bits) - 1;
        let exact = Range::new(128, 255 * top + 128);
        let level =
            |lane: usize| -> Expr {
                let pixel = inlet.data.lane(lane, from.bits);
                let mut terms = Term::product(pixel, Range::levels(from.bits as u8), top);
                terms.push(Term::constant(128));
                let t = terms::sum(&mut k, &format!("lane{lane}"), terms, 2, exact);
                let high = exact.hi >> 8;
                let whole = Range::new(128, exact.hi + high);
                let high = Range::new(0, high);
                let terms = [(t.expr(), exact), (t.slice(8, t.width() - 8), high)]
                    .map(|(value, range)| Term { value, range, shift: 0, negative: false });
                let level = terms::sum(&mut k, &format!("level{lane}"), terms.into(), 1, whole);
                k.unused(level.slice(0, 8));
                level.slice(8, to.bits)
            };
        let levels: Vec<Expr> = (0..from.count).map(level).collect();
        let push = delayed(&mut k, "push", beat, 3);
        outlet.finish(&mut k, beat, push, lanes(levels));
        k.build()
    }
}
