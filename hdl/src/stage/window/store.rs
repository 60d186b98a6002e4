//! Builds the writing side of the line buffer: where the next beat goes, and which rows are there.

use super::shape::{Window, column_bits, held_bits, row_bits};
use crate::rtl::{Expr, Kernel, Sig, Value, lit, set, when};
use crate::stage::counter::Counter;
use crate::stage::stream::Inlet;
use crate::stage::word::literal;

/// Holds the writing side.
pub struct Store {
    pub beat: Sig,
    pub address: Counter,
    /// Number of rows of the reader's frame that are written, and the column that is being written; both plus
    /// the padding before.
    pub rows: Sig,
    pub column: Sig,
    row_written: Sig,
    held: Sig,
}

/// Says what the reading side is done with.
pub struct Reads {
    /// High where the frame being read ends.
    pub frame_ends: Sig,
    /// High where an output row ends; `release` is the number of rows that are no longer needed then.
    pub row_ends: Sig,
    pub release: Expr,
}

impl Store {
    pub fn new(k: &mut Kernel, inlet: &Inlet, w: &Window) -> Self {
        let held = k.reg("held", held_bits(w), Some(0));
        k.comment(held, "Writing: whole rows held, address, chunk, column, rows of the frame being read.");
        let beat = inlet.take(k, held.ne(lit(w.ring as u64, held.width())));
        let address = Counter::new(k, "write_at", super::shape::words(w));
        address.clock(k, beat);
        let chunk = Counter::new(k, "write_chunk", w.pixel_beats());
        chunk.clock(k, beat);
        let before = w.columns.before;
        let column_bits = column_bits(w);
        let column = k.reg("write_column", column_bits, Some(before as u64));
        let pixel = k.wire("pixel_written", beat & chunk.last());
        let column_last = column.eq_to((before + w.map.width - 1) as u64);
        let row_written = k.wire("row_written", pixel & column_last);
        k.clocked([
            when(pixel, [set(column, column.inc())]),
            when(row_written, [set(column, lit(before as u64, column_bits))]),
        ]);
        let rows = k.reg("rows", row_bits(w), Some(w.rows.before as u64));
        Store { beat, address, rows, column, row_written, held }
    }

    /// Keeps the counts of rows: those that are written and those that the reading side is done with.
    pub fn count(&self, k: &mut Kernel, w: &Window, reads: Reads) {
        let Reads { frame_ends: ends, row_ends: row_end, release } = reads;
        let bits = self.rows.width();
        // Two sums side by side, one of which is chosen: the end of a frame is known late.
        let height = w.map.height as i64;
        let more = k.wire("rows_more", self.rows.add(self.row_written.zext(bits), bits));
        let change = self.row_written.mux(literal(1 - height, bits), literal(-height, bits));
        let less = k.wire("rows_less", self.rows.add(change, bits));
        k.next(self.rows, None, ends.mux(less, more));
        // Rows are released a cycle later, so that a row is never written in the cycle in which its last tap
        // is read. The number of rows and whether they are released have registers of their own: `row_ends` is
        // the last net of a cycle to be known.
        let bits = self.held.width();
        let row_ended = k.reg("row_ended", 1, Some(0));
        k.next(row_ended, None, row_end);
        let passed = match release.literal() {
            Some(_) => release,
            None => k.held("rows_passed", release).expr(),
        };
        let released = k.wire("released", row_ended.mux(passed, lit(0, bits)));
        let held = self.held.add(self.row_written.zext(bits), bits);
        k.next(self.held, None, held.sub(released, bits));
    }
}
