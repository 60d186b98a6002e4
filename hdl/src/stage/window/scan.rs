//! Builds the reading side of the line buffer: loops over output pixels, replays and taps, without a
//! multiplication.

use super::loops::{LOOPS, Loops, OUT_COLUMN, OUT_ROW};
use super::shape::{Window, address_bits, column_bits, held_bits, offset, row_bits};
use crate::rtl::{Expr, Kernel, Sig, Stmt, Value, addr_bits, any_of, lit, set, when};
use crate::stage::counter::Counter;
use crate::stage::word::literal;

/// Holds one axis of the reading position.
pub struct Walk {
    output: Counter,
    tap: Counter,
    /// Row or column of the tap, plus the padding before it; `base` is that of the window's first tap, always the
    /// first of the map where it is `None`.
    pub value: Sig,
    base: Option<Sig>,
}

impl Walk {
    fn new(k: &mut Kernel, name: &str, outputs: usize, taps: usize, bits: usize) -> Self {
        Walk {
            output: Counter::new(k, &format!("out_{name}"), outputs),
            tap: Counter::new(k, &format!("tap_{name}"), taps),
            value: k.reg(name, bits, Some(0)),
            base: (outputs > 1).then(|| k.reg(&format!("{name}_base"), bits, Some(0))),
        }
    }

    fn base(&self) -> Expr {
        self.base.map_or(lit(0, self.value.width()), Into::into)
    }

    /// Sets the position of the window's first tap, and of the tap, to `first`.
    fn start(&self, first: Expr) -> Vec<Stmt> {
        both(self.base, self.value, first)
    }
}

/// Holds the reading side: where the next operation reads.
pub struct Scan {
    pub row: Walk,
    pub column: Walk,
    group: Counter,
    replay: Counter,
    chunk: Counter,
    /// Number of the chunk within the whole pixel.
    channel: Counter,
    /// Slot of the ring that holds the tap's row; `slot_base` is that of the window's first row.
    slot: Counter,
    slot_base: Counter,
    /// Column of the tap × beats of a pixel, modulo the address; `offset_base` is that of the window's first
    /// column, always that of the first where it is `None`.
    offset: Sig,
    offset_base: Option<Sig>,
    loops: Loops,
}

impl Scan {
    pub fn new(k: &mut Kernel, w: &Window) -> Self {
        let row = Walk::new(k, "row", w.output[0], w.rows.kernel, row_bits(w));
        let column = Walk::new(k, "column", w.output[1], w.columns.kernel, column_bits(w));
        k.comment(row.value, "Reading: tap and first tap of the window, biased by the padding before.");
        let group = Counter::new(k, "group", w.groups);
        let replay = Counter::new(k, "replay", w.folds);
        let chunk = Counter::new(k, "chunk", w.chunks);
        let channel = Counter::new(k, "channel", w.pixel_beats());
        let slot = |k: &mut Kernel, name| {
            let start = (-(w.rows.before as i64)).rem_euclid(w.ring as i64) as u64;
            Counter::of((w.ring > 1).then(|| k.reg(name, addr_bits(w.ring), Some(start))), w.ring)
        };
        let (slot, slot_base) = (slot(k, "slot"), slot(k, "slot_base"));
        let bits = address_bits(w);
        let start = offset(w, -(w.columns.before as i64));
        let offset = k.reg("offset", bits, Some(start));
        let offset_base = (w.output[1] > 1).then(|| k.reg("offset_base", bits, Some(start)));
        let loops = Loops::new(k, w.loops());
        Scan { row, column, group, replay, chunk, channel, slot, slot_base, offset, offset_base, loops }
    }

    /// Returns the counters of the loops, the innermost first.
    fn counters(&self) -> [&Counter; LOOPS] {
        let Scan { row, column, group, replay, chunk, .. } = self;
        [&column.tap, &row.tap, chunk, replay, group, &column.output, &row.output]
    }

    /// Returns whether the tap lies in the padding, where there is any.
    pub fn padded(&self, k: &mut Kernel, w: &Window) -> Option<Sig> {
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

    pub fn row_end(&self) -> Expr {
        self.loops.end(OUT_COLUMN)
    }

    pub fn frame_end(&self) -> Expr {
        self.loops.end(OUT_ROW)
    }

    /// Returns the rows that are needed no more when this output row ends.
    pub fn release(&self, w: &Window) -> Expr {
        let bits = held_bits(w);
        let (before, stride) = (w.rows.before, w.rows.stride);
        let at_end = lit((w.map.height - w.last_row()) as u64, bits);
        if w.output[0] == 1 {
            return at_end;
        }
        let row = self.row.base();
        // A window that starts in the padding releases only the part of the stride that lies on the map.
        let mut inside = lit(stride.min(w.ring) as u64, bits);
        for start in (0..before).step_by(w.rows.stride).rev() {
            let rows = (start + stride).saturating_sub(before);
            inside = row.clone().eq_to(start as u64).mux(lit(rows.min(w.ring) as u64, bits), inside);
        }
        if w.rows.before == 0 && stride == w.map.height - w.last_row() {
            return inside;
        }
        self.row.output.last().mux(at_end, inside)
    }

    /// Returns the address of the tap in the line buffer.
    pub fn address(&self, k: &mut Kernel, w: &Window) -> Expr {
        let bits = address_bits(w);
        let row_beats = w.map.width * w.pixel_beats();
        let starts = (0..w.ring).map(|slot| lit((slot * row_beats) as u64, bits)).collect();
        let start = k.select("slot_start", self.slot.value(), starts);
        let channel = self.channel.reg.map_or(lit(0, bits), |reg| reg.zext(bits));
        start.add(self.offset, bits).add(channel, bits)
    }

    /// Moves to the next tap, where `go`.
    pub fn advance(self, k: &mut Kernel, w: &Window, go: Sig) {
        let (row, column) = (&self.row, &self.column);
        let bits = self.offset.width();
        let place = |walk: &Walk, value: Expr| [set(walk.value, value)];
        let add = |value: Expr, n: u64| {
            let bits = value.width();
            value.add(literal(n as i64, bits), bits)
        };
        let first_offset = lit(offset(w, -(w.columns.before as i64)), bits);
        let offset_base = self.offset_base.map_or(first_offset.clone(), Into::into);

        // The loops are listed from the innermost outwards: what a step of each sets, and what else is set where it
        // ends.
        let next_column_tap = [
            column.tap.increment(),
            place(column, column.value.inc()).into(),
            vec![set(self.offset, add(self.offset.into(), offset(w, 1)))],
        ]
        .concat();
        let first_column_tap = [
            column.tap.clear(),
            place(column, column.base()).into(),
            vec![set(self.offset, offset_base.clone())],
        ]
        .concat();
        let next_row_tap =
            [row.tap.increment(), place(row, row.value.inc()).into(), self.slot.advance()].concat();
        let first_row_tap =
            [row.tap.clear(), place(row, row.base()).into(), copy(&self.slot, self.slot_base.value())]
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
        let next_offset = add(offset_base, offset(w, step as i64));
        let next_pixel = [
            column.output.increment(),
            column.start(add(column.base(), step as u64)),
            self.start_offset(next_offset),
        ]
        .concat();
        let first_pixel = [
            column.output.clear(),
            column.start(lit(0, column.value.width())),
            self.start_offset(first_offset),
        ]
        .concat();
        let next_row = [
            row.output.increment(),
            row.start(add(row.base(), w.rows.stride as u64)),
            self.move_slots(w, w.rows.stride as i64),
        ]
        .concat();
        let next_frame =
            [row.output.clear(), row.start(lit(0, row.value.width())), self.move_slots(w, w.jump() as i64)]
                .concat();

        let steps =
            [next_column_tap, next_row_tap, next_chunk, next_replay, next_group, next_pixel, next_row];
        let ends = [first_column_tap, first_row_tap, vec![], vec![], first_group, first_pixel, next_frame];
        k.clocked([when(go, self.loops.moves(self.counters(), steps, ends))]);
    }

    /// Sets the offsets of the window's first tap and of the tap to `first`.
    fn start_offset(&self, first: Expr) -> Vec<Stmt> {
        both(self.offset_base, self.offset, first)
    }

    /// Sets both slots to that of the window's first row after it moved by `rows`.
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

/// Sets a position of the window's first tap, where it has a register, and that of the tap to `first`.
fn both(base: Option<Sig>, tap: Sig, first: Expr) -> Vec<Stmt> {
    base.into_iter().chain([tap]).map(|reg| set(reg, first.clone())).collect()
}

fn copy(counter: &Counter, value: Expr) -> Vec<Stmt> {
    counter.reg.iter().map(|&reg| set(reg, value.clone())).collect()
}
