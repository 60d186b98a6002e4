//! The line buffer: stores rows in a ring and replays windows, frame after frame without a gap.

mod contract;
mod scan;
mod store;

use super::{Inlet, outlet::Outlet, ram_style};
use crate::device::Family;
use crate::memory::{banks, parts};
use crate::pipeline::{Stage, Window};
use crate::plan::Memory;
use crate::rtl::{Kernel, Module, Read, Value, Write, addr_bits, bits_for, lit, set};
use scan::Scan;
use store::Store;

/// Cycles from the issue of a tap to its beat, where the line buffer's output needs no register.
const LATENCY: u64 = 3;

/// Latency of `w` on beats of so many bits.
pub fn latency(w: &Window, width: usize, lines: Memory, family: Family) -> u64 {
    let words = words(w);
    let late = banks::is_late(words, width, lines, family) || parts::in_parts(words, width, lines, family);
    LATENCY + u64::from(late)
}

/// Words of the line buffer.
fn words(w: &Window) -> usize {
    w.ring * w.map.width * w.pixel_beats()
}

/// Windows of `w`.
pub fn module(stage: &Stage, w: &Window) -> Module {
    let width = stage.input.width();
    let mut k = Kernel::new(&stage.module_name(), &note(stage, w));
    let inlet = Inlet::new(&mut k, width);
    let outlet = Outlet::new(&mut k, stage);
    let store = Store::new(&mut k, &inlet, w);
    let scan = Scan::new(&mut k, w);

    // A tap in the padding needs nothing; another one needs its pixel; the last of a frame, the whole frame.
    let padded = scan.padded(&mut k, w);
    let below = scan.row.value.lt(store.rows);
    let in_row = scan.row.value.eq(store.rows) & scan.column.value.lt(store.column);
    let whole = store.rows.ge(lit((w.rows.before + w.map.height) as u64, store.rows.width()));
    let written = k.wire("written", padded.into_iter().fold(below | in_row, |any, padded| any | padded));
    let frame_end = k.wire("at_frame_end", scan.frame_end());
    let go = k.wire("go", outlet.free & written & (!frame_end | whole));
    let row_end = k.wire("row_ends", go & scan.row_end());
    let ends = k.wire("frame_ends", go & frame_end);
    store.count(&mut k, w, ends, scan.release(w), row_end);
    let read_at = scan.address(&mut k, w);
    scan.advance(&mut k, w, go);

    let issue1 = k.reg("issue1", 1, Some(0));
    k.comment(issue1, "Pipeline: address, read, FIFO.");
    let issue2 = k.reg("issue2", 1, Some(0));
    let address1 = k.reg("address1", read_at.width(), None);
    k.clocked([set(issue1, go), set(address1, read_at)]);
    k.next(issue2, None, issue1);
    let write = Write { enable: store.beat.into(), addr: store.address.value(), data: inlet.data.into() };
    let zero = padded.map(|padded| {
        let zero1 = k.reg("zero1", 1, None);
        let zero2 = k.reg("zero2", 1, None);
        k.clocked([set(zero1, padded), set(zero2, zero1)]);
        (zero1, zero2)
    });
    let enable = zero.map_or(issue1.expr(), |(zero1, _)| issue1 & !zero1);
    let in_parts = parts::in_parts(words(w), width, stage.memory, stage.family);
    let line = if in_parts {
        parts::ram(&mut k, "lines", (words(w), width), &write, (enable, address1), stage.family)
    } else {
        let read = Read::Sync { enable, addr: address1.into() };
        k.ram("lines", width, words(w), ram_style(stage.memory, stage.family), write, read)
    };
    let (mut line, mut push, mut zero) = (line, issue2, zero.map(|(_, zero2)| zero2));
    if stage.latency == LATENCY + 1 {
        // The line buffer took a cycle more, or its output is late and gets a register.
        push = k.reg("issue3", 1, Some(0));
        k.next(push, None, issue2);
        if !in_parts {
            line = k.held("line", line);
        }
        zero = zero.map(|zero| k.held("zero3", zero));
    }
    let data = zero.map_or(line.expr(), |zero| zero.mux(lit(0, width), line));
    outlet.finish(&mut k, go, push, data);
    k.contract(&contract::taps(w, padded.is_some()));
    k.build()
}

fn note(stage: &Stage, w: &Window) -> String {
    format!(
        "Windows of {} rows x {} columns, stride {} x {}, over a map of {}; {} x {} output pixels.\n\
         Padding with level 0: {} {} {} {} (top, bottom, left, right). A ring of {} rows is written\n\
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
        w.rows.before,
        w.rows.after,
        w.columns.before,
        w.columns.after,
        w.ring,
        w.groups,
        w.folds,
        w.chunks,
        stage.input.count,
        stage.input.bits,
        stage.latency,
    )
}

/// Bits of a biased row: rows written ahead included.
fn row_bits(w: &Window) -> usize {
    let taps = (w.output[0] - 1) * w.rows.stride + w.rows.kernel;
    bits_for((w.rows.before + w.map.height + w.ring).max(taps) as u64)
}

/// Bits of the rows held: below zero where a stride skips rows that are not written yet.
fn held_bits(w: &Window) -> usize {
    bits_for((w.ring + w.rows.stride) as u64)
}

fn column_bits(w: &Window) -> usize {
    let taps = (w.output[1] - 1) * w.columns.stride + w.columns.kernel;
    bits_for((w.columns.before + w.map.width).max(taps) as u64)
}

fn address_bits(w: &Window) -> usize {
    addr_bits(words(w))
}

/// `columns` × beats of a pixel, modulo the address.
fn offset(w: &Window, columns: i64) -> u64 {
    (columns * w.pixel_beats() as i64).rem_euclid(1 << address_bits(w)) as u64
}
