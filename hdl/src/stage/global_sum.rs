//! Sums each channel over a frame.

use super::counter::Counter;
use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use super::stream::Inlet;
use super::word::fit;
use crate::device::Resources;
use crate::memory::cost;
use crate::pipeline::build::{Build, Stream};
use crate::plan::data::Memory;
use crate::rtl::{Expr, Kernel, Module, Read, Style, Value, Write, addr_bits, lanes, lit, set, when};
use dq_net::layer::{self, Kind as _};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Sums each channel of a frame.
#[derive(Debug)]
pub struct GlobalSum {
    /// Number of pixels per frame.
    pub pixels: usize,
    /// Number of beats per pixel.
    pub chunks: usize,
}

impl Hardware for layer::GlobalSum {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::in_step(false)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let count = node.inputs[0].lanes.count;
        let Shape { height, width, channels } = node.from[0].shape;
        let kind = GlobalSum { pixels: height * width, chunks: channels / count };
        build.add("", &node.inputs, Lanes::new(count, node.to.range), kind)
    }
}

impl Kind for GlobalSum {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: self.pixels * self.chunks, tail: self.chunks }
    }

    /// Returns one: the FIFO is as deep for one beat of sums as for several, which come one after the other.
    fn spacing(&self) -> usize {
        1
    }

    fn latency(&self, _site: &Site) -> u64 {
        2
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_global_sum", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        let width = site.output.width();
        Resources::logic(2 * width + 10, width + addr_bits(self.pixels) + addr_bits(self.chunks) + 1)
            .plus(cost::ram(width, self.chunks, Memory::Distributed, site.family))
    }

    fn encode(&self) -> String {
        record("GlobalSum", &[("pixels", &self.pixels), ("chunks", &self.chunks)])
    }

    fn module(&self, site: &Site) -> Module {
        let GlobalSum { pixels, chunks } = *self;
        let (from, to) = (site.input, site.output);
        let note = format!(
            "Sum of each channel over {pixels} pixels; the channels come in {chunks} beats of {} lanes.\n\
             Gives the {chunks} beats of sums with the last pixel. Latency {}, one input beat a cycle.",
            from.count, site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, from.width());
        let outlet = Outlet::new(&mut k, site);
        let chunk = Counter::new(&mut k, "chunk", chunks);
        let pixel = Counter::new(&mut k, "pixel", pixels);
        let last = k.wire("last", pixel.last());
        let beat = inlet.take(&mut k, !last | outlet.free);
        chunk.clock(&mut k, beat);
        if pixels > 1 {
            let pixel_end = k.wire("pixel_end", beat & chunk.last());
            pixel.clock(&mut k, pixel_end);
        }
        let x: Vec<Expr> =
            (0..to.count).map(|lane| fit(inlet.data.lane(lane, from.bits), from.signed, to.bits)).collect();
        let sums: Expr = if pixels == 1 {
            lanes(x)
        } else {
            let first = k.wire("first", pixel.first());
            let next = k.later("next_totals", to.width(), false);
            let write = Write { enable: beat.into(), addr: chunk.value(), data: next.into() };
            let held =
                k.ram("totals", to.width(), chunks, Style::Auto, write, Read::Async { addr: chunk.value() });
            let add = |(lane, x): (usize, Expr)| {
                let before = first.mux(lit(0, to.bits), held.lane(lane, to.bits));
                let before = k.wire(&format!("before{lane}"), before);
                k.wire(&format!("total{lane}"), before.add(x, to.bits)).expr()
            };
            let sums: Vec<Expr> = x.into_iter().enumerate().map(add).collect();
            k.drive(next, lanes(sums));
            next.into()
        };
        let out = k.reg("out", to.width(), None);
        let spend = k.wire("spend", beat & last);
        let push = k.reg("push", 1, Some(0));
        k.clocked([set(push, spend), when(spend, [set(out, sums)])]);
        outlet.finish(&mut k, spend, push, out);
        k.build()
    }
}
