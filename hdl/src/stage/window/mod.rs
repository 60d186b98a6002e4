//! Builds the line buffer: it stores rows in a ring and replays windows, frame after frame without a gap.
//!
//! The window is the one stage that replays: convolutions, dense layers and pools read their taps from its
//! line buffer.

mod contract;
mod loops;
mod scan;
pub mod shape;
mod store;

use super::contract::{apart, meet};
use super::encoding::{Encode, record};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::Site;
use super::stream::Inlet;
use super::word::ram_style;
use crate::device::Resources;
use crate::memory::{banks, cost, parts};
use crate::pipeline::build::{Build, Draft, Stream};
use crate::rtl::{Kernel, Module, Read, Value, Write, addr_bits, cat, lit, set};
use dq_net::Shape;
use dq_net::layer::window::Axis;
use scan::Scan;
use shape::{Window, words};
use store::{Reads, Store};

/// Cycles from the issue of a tap to its beat, where the line buffer's output needs no register.
const LATENCY: u64 = 3;

/// Describes windows over a map, in front of a multiply-accumulate or a pool.
pub struct Windows {
    /// The map on which the windows lie, and the one that they give.
    pub map: Shape,
    pub to: Shape,
    /// The windows along rows and along columns.
    pub axes: (Axis, Axis),
    /// Level of the padding.
    pub level: u64,
    /// Number of groups of channels, and how often each window of a group is replayed.
    pub groups: usize,
    pub folds: usize,
}

/// Adds the window that gives `windows` of `stream`, on the lanes and with the line buffer that the plan
/// chooses.
pub fn lower(windows: Windows, stream: Stream, build: &mut Build) -> (Stream, Window) {
    let Windows { map, to, axes: (rows, columns), level, groups, folds } = windows;
    let stream = build.convert("", stream, build.entry.simd);
    let chunks = map.channels / groups / build.entry.simd;
    let output = [to.height, to.width];
    let mut window = Window { map, rows, columns, output, groups, folds, chunks, ring: 0, level };
    // The ring holds the rows in use and those that arrive meanwhile, so that a frame's end does not wait for
    // the next frame.
    window.ring =
        rows.kernel.min(map.height) + rows.stride.min(map.height).max(window.jump().max(0) as usize);
    let inputs = [stream];
    let draft = Draft { memory: build.entry.lines, ..build.draft("_window", &inputs, stream.lanes) };
    (build.push(draft, window), window)
}

impl Kind for Window {
    fn schedule(&self) -> Schedule {
        Schedule::Window(*self)
    }

    fn latency(&self, site: &Site) -> u64 {
        let (words, width, family) = (words(self), site.input.width(), site.family);
        let late = banks::is_late(words, width, site.memory, family)
            || parts::in_parts(words, width, site.memory, family);
        LATENCY + u64::from(late)
    }

    fn module_name(&self, site: &Site) -> String {
        site.name.clone()
    }

    fn cost(&self, site: &Site) -> Resources {
        let words = words(self);
        let padding = self.columns.before + self.columns.after;
        let position = addr_bits(self.map.height + self.ring) + addr_bits(self.map.width + padding);
        let address = addr_bits(words);
        let counters = self.loops().into_iter().chain([self.pixel_beats()]);
        let loops: usize = counters.filter(|&n| n > 1).map(addr_bits).sum();
        let (width, place, family) = (site.output.width(), site.memory, site.family);
        let lut = 12 * position + 9 * address + 3 * loops;
        // What comes from block RAM is chosen in the FIFO's own LUTs.
        let lut = if banks::in_blocks(words, width, place) { lut - 25 } else { lut + width };
        // Where nothing is padded, no beat is compared with the edges of the map.
        let is_padded = padding + self.rows.before + self.rows.after > 0;
        let lut = if is_padded { lut } else { lut.saturating_sub(65) };
        let ff = 3 * position + 4 * address + loops + 20 + parts::registers(words, width, place, family);
        Resources::logic(lut, ff).plus(cost::ram(width, words, place, family))
    }

    fn encode(&self) -> String {
        let mut fields: Vec<(&str, &dyn Encode)> = vec![
            ("map", &self.map),
            ("rows", &self.rows),
            ("columns", &self.columns),
            ("output", &self.output),
            ("groups", &self.groups),
            ("folds", &self.folds),
            ("chunks", &self.chunks),
            ("ring", &self.ring),
        ];
        // As before there were other levels than 0.
        if self.level != 0 {
            fields.push(("level", &self.level));
        }
        format!("Window({})", record("Window", &fields))
    }

    fn module(&self, site: &Site) -> Module {
        let w = self;
        let width = site.input.width();
        let mut k = Kernel::new(&self.module_name(site), &note(site, w));
        let inlet = Inlet::new(&mut k, width);
        let outlet = Outlet::new(&mut k, site);
        let store = Store::new(&mut k, &inlet, w);
        let scan = Scan::new(&mut k, w);

        // A tap in the padding needs nothing, and any other tap needs its pixel; the last tap of a frame
        // needs the whole frame.
        let padded = scan.padded(&mut k, w);
        // A pixel of an earlier row or column is there: one comparison, so that there is one chain of carries.
        let tap = k.wire("tap_at", cat([scan.row.value, scan.column.value]));
        let there = tap.lt(k.wire("write_front", cat([store.rows, store.column])));
        let whole = store.rows.ge(lit((w.rows.before + w.map.height) as u64, store.rows.width()));
        let written = k.wire("written", padded.into_iter().fold(there, |any, padded| any | padded));
        let frame_end = k.wire("at_frame_end", scan.frame_end());
        let go = k.wire("go", outlet.free & written & (!frame_end | whole));
        let row_end = k.wire("row_ends", go & scan.row_end());
        let ends = k.wire("frame_ends", go & frame_end);
        store.count(&mut k, w, Reads { frame_ends: ends, row_ends: row_end, release: scan.release(w) });
        let read_at = scan.address(&mut k, w);
        scan.advance(&mut k, w, go);

        let issue1 = k.reg("issue1", 1, Some(0));
        k.comment(issue1, "Pipeline: address, read, FIFO.");
        let issue2 = k.reg("issue2", 1, Some(0));
        let address1 = k.reg("address1", read_at.width(), None);
        k.clocked([set(issue1, go), set(address1, read_at)]);
        k.next(issue2, None, issue1);
        let write = Write { enable: store.beat.into(), addr: store.address.value(), data: inlet.data.into() };
        // The registers of a level of 0 are called as they were before there were others.
        let name = if w.level == 0 { "zero" } else { "level" };
        let outside = padded.map(|padded| {
            let outside1 = k.reg(&format!("{name}1"), 1, None);
            let outside2 = k.reg(&format!("{name}2"), 1, None);
            k.clocked([set(outside1, padded), set(outside2, outside1)]);
            (outside1, outside2)
        });
        let enable = outside.map_or(issue1.expr(), |(outside1, _)| issue1 & !outside1);
        let in_parts = parts::in_parts(words(w), width, site.memory, site.family);
        let line = if in_parts {
            parts::ram(
                &mut k,
                parts::Ram {
                    name: "lines",
                    words: words(w),
                    bits: width,
                    write: &write,
                    address: address1,
                    enable,
                    family: site.family,
                },
            )
        } else {
            let read = Read::Sync { enable, addr: address1.into() };
            k.contract_wire("f_lines_meet", meet(&write, &read));
            k.ram("lines", width, words(w), ram_style(site.memory, site.family), write, read)
        };
        let (mut line, mut push, mut outside) = (line, issue2, outside.map(|(_, outside2)| outside2));
        if site.latency == LATENCY + 1 {
            // The line buffer took a cycle more, or its output is late and gets a register.
            push = k.reg("issue3", 1, Some(0));
            k.next(push, None, issue2);
            if !in_parts {
                line = k.held("line", line);
            }
            outside = outside.map(|outside| k.held(&format!("{name}3"), outside));
        }
        let level = match w.level {
            0 => lit(0, width),
            level => lit(level, site.input.bits).repeat(site.input.count),
        };
        let data = outside.map_or(line.expr(), |outside| outside.mux(level, line));
        outlet.finish(&mut k, go, push, data);
        if !in_parts {
            k.contract(&apart("lines"));
        }
        k.contract(&contract::taps(w, padded.is_some()));
        if padded.is_some() && w.level != 0 {
            k.contract(&contract::padding(w.level, site));
        }
        k.build()
    }
}

fn note(site: &Site, w: &Window) -> String {
    format!(
        "Windows of {} rows x {} columns, stride {} x {}, over a map of {}; {} x {} output pixels.\n\
         Padding with level {}: {} {} {} {} (top, bottom, left, right). A ring of {} rows is written\n\
         ahead, over the end of a frame.\n\
         Order of beats: output row, column, group ({}), replay ({}), chunk of channels ({}), kernel row,\n\
         kernel column, the last fastest; {} lanes of {} bits.\n\
         Latency {}, one beat a cycle.",
        w.rows.kernel,
        w.columns.kernel,
        w.rows.stride,
        w.columns.stride,
        w.map.to_string().replace('×', " x "),
        w.output[0],
        w.output[1],
        w.level,
        w.rows.before,
        w.rows.after,
        w.columns.before,
        w.columns.after,
        w.ring,
        w.groups,
        w.folds,
        w.chunks,
        site.input.count,
        site.input.bits,
        site.latency,
    )
}
