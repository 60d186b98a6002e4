//! Builds the 2 x 2 median, the lower of the two middle values, with a line buffer of one row and the column
//! before.

use super::contract::{apart, meet};
use super::counter::Counter;
use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::Site;
use super::stream::{Inlet, delayed};
use super::word::ram_style;
use crate::device::Resources;
use crate::memory::cost;
use crate::pipeline::build::{Build, Stream};
use crate::plan::data::Memory;
use crate::rtl::{Expr, Kernel, Module, Read, Sig, Style, Value, Write, lanes};
use dq_net::layer::{self, Kind as _};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Takes the median over maps.
#[derive(Debug)]
pub struct Median {
    /// Number of rows of a map.
    pub height: usize,
    /// Number of pixels of a row.
    pub width: usize,
    /// Number of beats per pixel.
    pub chunks: usize,
}

impl Hardware for layer::Median {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::in_step(true)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let lanes = node.inputs[0].lanes;
        let Shape { height, width, channels } = node.to.shape;
        build.add("", &node.inputs, lanes, Median { height, width, chunks: channels / lanes.count })
    }
}

impl Kind for Median {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        5
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_median", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        let bits = site.input.width();
        Resources::logic(12 * bits, 8 * bits + 20)
            .plus(cost::ram(bits, self.width * self.chunks, site.memory, site.family))
            .plus(cost::ram(2 * bits, self.chunks, Memory::Distributed, site.family))
    }

    fn encode(&self) -> String {
        record("Median", &[("height", &self.height), ("width", &self.width), ("chunks", &self.chunks)])
    }

    fn module(&self, site: &Site) -> Module {
        let Median { height, width, chunks } = *self;
        let lanes_in = site.input;
        let mut k = Kernel::new(&self.module_name(site), &self.note(site));
        let inlet = Inlet::new(&mut k, lanes_in.width());
        let outlet = Outlet::new(&mut k, site);
        let beat = inlet.take(&mut k, outlet.free);
        let [row, column, chunk] = [("row", height), ("column", width), ("chunk", chunks)]
            .map(|(name, count)| Counter::new(&mut k, name, count));
        chunk.clock(&mut k, beat);
        // A map of one row or column needs no counter of rows or columns.
        if height * width > 1 {
            let pixel_end = k.wire("pixel_end", beat & chunk.last());
            column.clock(&mut k, pixel_end);
            if height > 1 {
                let row_ends = k.wire("row_ends", pixel_end & column.last());
                row.clock(&mut k, row_ends);
            }
        }

        // The pixel above comes from the line buffer a cycle later; the pixel itself is written behind it,
        // so that no word is read and written in one cycle.
        let here = k.held("here", inlet.data.expr());
        let first_row = k.held("first_row", row.first());
        let first_column = k.held("first_column", column.first());
        let valid = delayed(&mut k, "valid_read", beat, 1);
        let line = self.line(&mut k, site, Pixel { here, valid, beat });
        let above = k.wire("above", first_row.mux(here, line));

        // The column's two pixels are put in order, lane by lane: the low one first.
        let mut sorted = vec![];
        for lane in 0..lanes_in.count {
            let (a, b) = (here.lane(lane, lanes_in.bits), above.lane(lane, lanes_in.bits));
            sorted.extend(order(&mut k, &format!("pair{lane}"), a, b));
        }
        let pair = k.held("pair", lanes(sorted));
        let first_column = k.held("first_column_paired", first_column.expr());
        let valid = delayed(&mut k, "valid_paired", valid, 1);
        let before = self.before(&mut k, pair, valid);
        let left = k.wire("left", first_column.mux(pair, before));

        let medians = medians(&mut k, site, pair, left);
        let push = delayed(&mut k, "push", valid, 2);
        outlet.finish(&mut k, beat, push, medians);
        if width * chunks > 1 {
            k.contract(&apart("lines"));
        }
        k.build()
    }
}

impl Median {
    fn note(&self, site: &Site) -> String {
        let Median { height, width, chunks } = self;
        format!(
            "Median of 2 x 2 pixels, the lower of the two middle values: rows y - 1, y and columns x - 1, \
             x, the border\n\
             replicated; maps of {height} rows x {width} columns, a pixel in {chunks} beats of {} lanes of \
             {} bits.\n\
             Latency {}, one beat a cycle.",
            site.input.count, site.input.bits, site.latency
        )
    }

    /// Returns the pixel above, from a line buffer of one row.
    fn line(&self, k: &mut Kernel, site: &Site, pixel: Pixel) -> Sig {
        let (Pixel { here, valid, beat }, width) = (pixel, site.input.width());
        let words = self.width * self.chunks;
        if words == 1 {
            let line = k.reg("line", width, None);
            k.next(line, Some(valid.into()), here);
            line
        } else {
            let place = Counter::new(k, "place", words);
            place.clock(k, beat);
            let written = k.held("write_at", place.value());
            let write = Write { enable: valid.into(), addr: written.into(), data: here.into() };
            let read = Read::Sync { enable: beat.into(), addr: place.value() };
            k.contract_wire("f_lines_meet", meet(&write, &read));
            k.ram("lines", width, words, ram_style(site.memory, site.family), write, read)
        }
    }

    /// Returns the pair of the column before.
    fn before(&self, k: &mut Kernel, pair: Sig, valid: Sig) -> Expr {
        if self.chunks == 1 {
            let before = k.reg("before", pair.width(), None);
            k.next(before, Some(valid.into()), pair);
            before.expr()
        } else {
            let at = Counter::new(k, "pair_at", self.chunks);
            at.clock(k, valid);
            let write = Write { enable: valid.into(), addr: at.value(), data: pair.into() };
            let read = Read::Async { addr: at.value() };
            k.ram("befores", pair.width(), self.chunks, Style::Auto, write, read).expr()
        }
    }
}

/// Holds a pixel, in the cycle in which the one above it is read.
struct Pixel {
    here: Sig,
    /// High where `here` is a pixel; `beat` is high a cycle before, where the pixel's beat moves.
    valid: Sig,
    beat: Sig,
}

/// Returns the lower median of each lane of two ordered pairs, two cycles later.
fn medians(k: &mut Kernel, site: &Site, pair: Sig, left: Sig) -> Sig {
    let lanes_of = site.input;
    // The second smallest of two ordered pairs is the least of the larger low one and of both high ones.
    let mut candidates: Vec<Expr> = vec![];
    for lane in 0..lanes_of.count {
        let value = |of: Sig, i: usize| of.lane(2 * lane + i, lanes_of.bits);
        let low = order(k, &format!("low{lane}"), value(pair, 0), value(left, 0));
        let high = order(k, &format!("high{lane}"), value(pair, 1), value(left, 1));
        candidates.extend([low[1].clone(), high[0].clone()]);
    }
    let candidates = k.held("candidates", lanes(candidates));
    let medians: Vec<Expr> = (0..lanes_of.count)
        .map(|lane| {
            let value = |i: usize| candidates.lane(2 * lane + i, lanes_of.bits);
            order(k, &format!("middle{lane}"), value(0), value(1))[0].clone()
        })
        .collect();
    k.held("medians", lanes(medians))
}

/// Returns the smaller and the larger of two unsigned values.
fn order(k: &mut Kernel, name: &str, a: Expr, b: Expr) -> [Expr; 2] {
    let swap = k.wire(name, (&a).gt(&b));
    [swap.mux(&b, &a), swap.mux(&a, &b)]
}
