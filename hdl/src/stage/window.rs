//! The line buffer: stores rows in a ring and replays windows, frame after frame without a gap.

use super::{Counter, Inlet, literal, outlet::Outlet, style};
use crate::pipeline::{Stage, Window};
use crate::rtl::{
    Expr, Kernel, Module, Read, Sig, Stmt, Value, Write, addr_bits, any_of, bits_for, lit, set, when,
    when_else,
};

/// Windows of `w`.
pub fn module(stage: &Stage, w: &Window) -> Module {
    let width = stage.input.width();
    let mut k = Kernel::new(&stage.module_name(), &note(stage, w));
    let inlet = Inlet::new(&mut k, width);
    let outlet = Outlet::new(&mut k, width, stage.depth);
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
    let words = w.ring * w.map.width * w.pixel_beats();
    let write = Write { enable: store.beat.into(), addr: store.address.value(), data: inlet.data.into() };
    let zero = padded.map(|padded| {
        let zero1 = k.reg("zero1", 1, None);
        let zero2 = k.reg("zero2", 1, None);
        k.clocked([set(zero1, padded), set(zero2, zero1)]);
        (zero1, zero2)
    });
    let enable = zero.map_or(issue1.expr(), |(zero1, _)| issue1 & !zero1);
    let read = Read::Sync { enable, addr: address1.into() };
    let line = k.ram("lines", width, words, style(stage.memory), write, read);
    let data = zero.map_or(line.expr(), |(_, zero2)| zero2.mux(lit(0, width), line));
    outlet.finish(&mut k, go, issue2, data);
    k.build()
}

fn note(stage: &Stage, w: &Window) -> String {
    format!(
        "Windows of {} rows x {} columns, stride {} x {}, over a map of {}; {} x {} output pixels.\n\
         Padding with level 0: {} {} {} {} (top, bottom, left, right). A ring of {} rows is written\n\
         ahead, over the end of a frame.\n\
         Order of beats: output row, column, group ({}), replay ({}), chunk of channels ({}), kernel row,\n\
         kernel column, the last fastest; {} lanes of {} bits.\n\
         Latency 3, one beat a cycle.",
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
    )
}

/// The writing side.
struct Store {
    beat: Sig,
    address: Counter,
    /// Rows of the reader's frame that are written, and the column being written; both biased by the padding before.
    rows: Sig,
    column: Sig,
    row_written: Sig,
    held: Sig,
}

impl Store {
    fn new(k: &mut Kernel, inlet: &Inlet, w: &Window) -> Self {
        let held = k.reg("held", held_bits(w), Some(0));
        k.comment(held, "Writing: whole rows held, address, chunk, column, rows of the frame being read.");
        let beat = inlet.take(k, held.ne(lit(w.ring as u64, held.width())));
        let address = Counter::new(k, "write_at", w.ring * w.map.width * w.pixel_beats());
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

    /// Keeps the counts of rows: `ends` the frame being read, `release` rows at each end of an output row.
    fn count(&self, k: &mut Kernel, w: &Window, ends: Sig, release: Expr, row_end: Sig) {
        let bits = self.rows.width();
        let height = lit(w.map.height as u64, bits);
        let more = k.wire("rows_more", self.rows.add(self.row_written.zext(bits), bits));
        let less = more.sub(height, bits);
        k.next(self.rows, None, ends.mux(less, more));
        // A cycle later, so that a row is never written in the cycle in which its last tap is read.
        let bits = self.held.width();
        let released = k.reg("released", bits, Some(0));
        k.next(released, None, row_end.mux(release, lit(0, bits)));
        let held = self.held.add(self.row_written.zext(bits), bits);
        k.next(self.held, None, held.sub(released, bits));
    }
}

/// One axis of the reading position.
struct Walk {
    output: Counter,
    tap: Counter,
    /// The tap's row or column, biased by the padding before; and that of the window's first tap.
    value: Sig,
    base: Sig,
}

impl Walk {
    fn new(k: &mut Kernel, name: &str, outputs: usize, taps: usize, bits: usize) -> Self {
        Walk {
            output: Counter::new(k, &format!("out_{name}"), outputs),
            tap: Counter::new(k, &format!("tap_{name}"), taps),
            value: k.reg(name, bits, Some(0)),
            base: k.reg(&format!("{name}_base"), bits, Some(0)),
        }
    }
}

/// The reading side: where the next operation reads.
struct Scan {
    row: Walk,
    column: Walk,
    group: Counter,
    replay: Counter,
    chunk: Counter,
    /// Chunk within the whole pixel.
    channel: Counter,
    /// Slot of the ring that holds the tap's row; and that of the window's first row.
    slot: Counter,
    slot_base: Counter,
    /// Tap's column × beats of a pixel, modulo the address; and that of the window's first column.
    offset: Sig,
    offset_base: Sig,
}

impl Scan {
    fn new(k: &mut Kernel, w: &Window) -> Self {
        let row = Walk::new(k, "row", w.output[0], w.rows.kernel, row_bits(w));
        let column = Walk::new(k, "column", w.output[1], w.columns.kernel, column_bits(w));
        k.comment(row.value, "Reading: tap and first tap of the window, biased by the padding before.");
        let group = Counter::new(k, "group", w.groups);
        let replay = Counter::new(k, "replay", w.folds);
        let chunk = Counter::new(k, "chunk", w.chunks);
        let channel = Counter::new(k, "channel", w.pixel_beats());
        let slot = |k: &mut Kernel, name| {
            let start = (-(w.rows.before as i64)).rem_euclid(w.ring as i64) as u64;
            let reg = (w.ring > 1).then(|| k.reg(name, addr_bits(w.ring), Some(start)));
            Counter { reg, count: w.ring }
        };
        let (slot, slot_base) = (slot(k, "slot"), slot(k, "slot_base"));
        let bits = address_bits(w);
        let start = offset(w, -(w.columns.before as i64));
        let offset = k.reg("offset", bits, Some(start));
        let offset_base = k.reg("offset_base", bits, Some(start));
        Scan { row, column, group, replay, chunk, channel, slot, slot_base, offset, offset_base }
    }

    /// Whether the tap lies in the padding, where there is any.
    fn padded(&self, k: &mut Kernel, w: &Window) -> Option<Sig> {
        let mut outside = vec![];
        let axes = [
            (&self.row, w.rows, w.output[0], w.map.height),
            (&self.column, w.columns, w.output[1], w.map.width),
        ];
        for (walk, axis, outputs, size) in axes {
            let bits = walk.value.width();
            if axis.before > 0 {
                outside.push(walk.value.lt(lit(axis.before as u64, bits)));
            }
            if (outputs - 1) * axis.stride + axis.kernel > axis.before + size {
                outside.push(walk.value.ge(lit((axis.before + size) as u64, bits)));
            }
        }
        (!outside.is_empty()).then(|| k.wire("padded", any_of(outside)))
    }

    fn row_end(&self) -> Expr {
        let inner = [&self.group, &self.replay, &self.chunk, &self.row.tap, &self.column.tap];
        inner.iter().fold(self.column.output.last(), |all, counter| all & counter.last())
    }

    fn frame_end(&self) -> Expr {
        self.row_end() & self.row.output.last()
    }

    /// Rows that are needed no more when this output row ends.
    fn release(&self, w: &Window) -> Expr {
        let bits = held_bits(w);
        let (before, stride) = (w.rows.before, w.rows.stride);
        let at_end = lit((w.map.height - w.last_row()) as u64, bits);
        if w.output[0] == 1 {
            return at_end;
        }
        let row = self.row.base;
        // A window that starts in the padding releases only the part of the stride that lies on the map.
        let mut inside = lit(stride.min(w.ring) as u64, bits);
        for start in (0..before).step_by(w.rows.stride).rev() {
            let rows = (start + stride).saturating_sub(before);
            inside = row.eq_to(start as u64).mux(lit(rows.min(w.ring) as u64, bits), inside);
        }
        if w.rows.before == 0 && stride == w.map.height - w.last_row() {
            return inside;
        }
        self.row.output.last().mux(at_end, inside)
    }

    /// Address of the tap in the line buffer.
    fn address(&self, k: &mut Kernel, w: &Window) -> Expr {
        let bits = address_bits(w);
        let row_beats = w.map.width * w.pixel_beats();
        let starts = (0..w.ring).map(|slot| lit((slot * row_beats) as u64, bits)).collect();
        let start = k.select("slot_start", self.slot.value(), starts);
        let channel = self.channel.reg.map_or(lit(0, bits), |reg| reg.zext(bits));
        start.add(self.offset, bits).add(channel, bits)
    }

    /// To the next tap, where `go`.
    fn advance(self, k: &mut Kernel, w: &Window, go: Sig) {
        let (row, column) = (&self.row, &self.column);
        let pixel = offset(w, 1);
        let bits = self.offset.width();
        let to = |walk: &Walk, value: Expr| [set(walk.value, value)];
        let add = |sig: Sig, n: u64| sig.add(literal(n as i64, sig.width()), sig.width());

        // From the innermost loop outwards; what a loop resets, the next one moves on.
        let next_column_tap = [
            column.tap.increment(),
            to(column, column.value.inc()).into(),
            vec![set(self.offset, add(self.offset, pixel))],
        ]
        .concat();
        let first_column_tap = [
            column.tap.clear(),
            to(column, column.base.into()).into(),
            vec![set(self.offset, self.offset_base)],
        ]
        .concat();
        let next_row_tap =
            [row.tap.increment(), to(row, row.value.inc()).into(), self.slot.advance()].concat();
        let first_row_tap =
            [row.tap.clear(), to(row, row.base.into()).into(), copy(&self.slot, self.slot_base.value())]
                .concat();

        let next_chunk = [self.chunk.increment(), self.channel.increment()].concat();
        let back = (w.chunks - 1) as u64;
        let channel_back = |counter: &Counter| -> Vec<Stmt> {
            let back = |reg: Sig| reg.sub(lit(back, reg.width()), reg.width());
            counter.reg.iter().map(|&reg| set(reg, back(reg))).collect()
        };
        let next_replay = [self.chunk.clear(), self.replay.increment(), channel_back(&self.channel)].concat();
        let next_group =
            [self.chunk.clear(), self.replay.clear(), self.group.increment(), self.channel.increment()]
                .concat();
        let first_group =
            [self.chunk.clear(), self.replay.clear(), self.group.clear(), self.channel.clear()].concat();

        let step = w.columns.stride;
        let column_base = add(column.base, step as u64);
        let offset_base = self.offset_base.add(lit(offset(w, step as i64), bits), bits);
        let next_pixel = [
            column.output.increment(),
            vec![set(column.base, column_base.clone()), set(column.value, column_base)],
            vec![set(self.offset_base, offset_base.clone()), set(self.offset, offset_base)],
        ]
        .concat();
        let start = lit(offset(w, -(w.columns.before as i64)), bits);
        let zero = lit(0, column.base.width());
        let first_pixel = [
            column.output.clear(),
            vec![set(column.base, zero.clone()), set(column.value, zero)],
            vec![set(self.offset_base, start.clone()), set(self.offset, start)],
        ]
        .concat();
        let row_base = add(row.base, w.rows.stride as u64);
        let next_row = [
            row.output.increment(),
            vec![set(row.base, row_base.clone()), set(row.value, row_base)],
            self.move_slots(w, w.rows.stride as i64),
        ]
        .concat();
        let zero = lit(0, row.base.width());
        let next_frame = [
            row.output.clear(),
            vec![set(row.base, zero.clone()), set(row.value, zero)],
            self.move_slots(w, w.jump() as i64),
        ]
        .concat();

        let rows = choose(&row.output, next_frame, next_row);
        let pixels = choose(&column.output, [first_pixel, rows].concat(), next_pixel);
        let groups = choose(&self.group, [first_group, pixels].concat(), next_group);
        let replays = choose(&self.replay, groups, next_replay);
        let chunks = choose(&self.chunk, replays, next_chunk);
        let row_taps = choose(&row.tap, [first_row_tap, chunks].concat(), next_row_tap);
        let taps = choose(&column.tap, [first_column_tap, row_taps].concat(), next_column_tap);
        k.clocked([when(go, taps)]);
    }

    /// Both slots to that of the window's first row after it moved by `rows`.
    fn move_slots(&self, w: &Window, rows: i64) -> Vec<Stmt> {
        let Some(base) = self.slot_base.reg else { return vec![] };
        let (bits, ring) = (base.width(), w.ring as u64);
        let by = rows.rem_euclid(w.ring as i64) as u64;
        let next = if by == 0 {
            base.expr()
        } else if w.ring.is_power_of_two() {
            base.add(lit(by, bits), bits)
        } else {
            let wrapped = base.sub(lit(ring - by, bits), bits);
            base.ge(lit(ring - by, bits)).mux(wrapped, base.add(lit(by, bits), bits))
        };
        [copy(&self.slot_base, next.clone()), copy(&self.slot, next)].concat()
    }
}

fn copy(counter: &Counter, value: Expr) -> Vec<Stmt> {
    counter.reg.iter().map(|&reg| set(reg, value.clone())).collect()
}

/// `then` at the last state of `counter`, which a counter of one state is always in.
fn choose(counter: &Counter, then: Vec<Stmt>, otherwise: Vec<Stmt>) -> Vec<Stmt> {
    if counter.count == 1 { then } else { vec![when_else(counter.last(), then, otherwise)] }
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
    addr_bits(w.ring * w.map.width * w.pixel_beats())
}

/// `columns` × beats of a pixel, modulo the address.
fn offset(w: &Window, columns: i64) -> u64 {
    (columns * w.pixel_beats() as i64).rem_euclid(1 << address_bits(w)) as u64
}
