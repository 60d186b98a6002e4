//! Builds packets over a line of bytes: frames in, answers out. docs/uart.md is the protocol; this is its
//! hardware, and [`super::protocol`] has the bytes as a host makes and reads them.

use super::protocol::{self, ANSWER_MARK, FRAME_MARK};
use crate::pipeline::Lanes;
use crate::rtl::{self, Expr, Kernel, Module, Sig, Value, addr_bits, all_of, bits_for, cat, lit, set, when};

/// Most answers that may be due at once.
const DUE: usize = 16;

/// Bytes to pixels: `data`/`valid` from the receiver, `s_axis_*` to the circuit (a pixel a beat, the low bits
/// of a byte in each of `lanes`; `pixels` a frame), and for each packet `due_*` with its number and faults. A
/// packet that pauses for `patience` clocks is ended.
pub fn receiver(lanes: Lanes, pixels: usize, patience: u64) -> Module {
    let channels = lanes.count;
    let mut k = Kernel::new("dq_packet_in", &receiver_note(channels, pixels, patience));
    let (data, valid) = (k.input("data", 8), k.input("valid", 1));
    let m_data = k.output("m_data", lanes.width().next_multiple_of(8));
    let (m_valid, m_last) = (k.output("m_valid", 1), k.output("m_last", 1));
    let m_ready = k.input("m_ready", 1);

    // The state says where in a packet the next byte stands.
    let [hunting, marked, numbered, pixel, crc_high, crc_low] = [0u64, 1, 2, 3, 4, 5];
    let state = k.reg("state", 3, Some(hunting));
    k.comment(state, "0: no mark yet, 1: half of it, 2: number, 3: pixels, 4 and 5: CRC.");
    let is = |value: u64| state.eq_to(value);
    let idle = k.reg("idle", bits_for(patience), Some(0));
    // Whether patience is out stands in a register: the counter is wide, and much hangs on its end.
    let waited = k.reg("waited", 1, Some(0));
    let patience_ends = idle.eq_to(patience - 1) & valid.not();
    let late = k.wire("late", waited & state.ne(lit(hunting, 3)) & valid.not());
    k.next(waited, None, (waited | patience_ends) & valid.not() & late.not());
    k.clocked([
        when(waited.not(), [set(idle, idle.inc())]),
        when(valid, [set(idle, lit(0, idle.width()))]),
        when(late, [set(idle, lit(0, idle.width()))]),
    ]);

    let channel = k.reg("channel", addr_bits(channels), Some(0));
    let position = k.reg("position", addr_bits(pixels), Some(0));
    let in_pixels = k.wire("in_pixels", valid & is(pixel));
    let pixel_end = k.wire("pixel_end", in_pixels & channel.eq_to(channels as u64 - 1));
    let frame_end = k.wire("frame_end", pixel_end & position.eq_to(pixels as u64 - 1));
    // A late packet leaves the frame to the circuit: one more beat, with tlast, unless all pixels are there.
    let cut = k.wire("cut", late & is(pixel));
    let clear = |reg: Sig| set(reg, lit(0, reg.width()));
    k.clocked([
        when(in_pixels, [set(channel, channel.inc())]),
        when(pixel_end, [clear(channel), set(position, position.inc())]),
        when(frame_end.expr() | cut, [clear(channel), clear(position)]),
    ]);
    let [high, low] = FRAME_MARK.map(u64::from);
    let second = k.wire("second", valid & is(marked) & data.eq_to(low));
    let go = |value: u64| set(state, lit(value, 3));
    k.clocked([
        when(valid & is(marked), [go(hunting)]),
        when(valid & (is(hunting) | is(marked)) & data.eq_to(high), [go(marked)]),
        when(second, [go(numbered)]),
        when(valid & is(numbered), [go(pixel)]),
        when(frame_end, [go(crc_high)]),
        when(valid & is(crc_high), [go(crc_low)]),
        when(valid & is(crc_low), [go(hunting)]),
        when(late, [go(hunting)]),
    ]);

    let number = k.reg("number", 8, None);
    k.next(number, Some(valid & is(numbered)), data);
    let crc = k.reg("crc", 16, None);
    let next = crc_next(&mut k, crc, data);
    k.clocked([
        when(second, [set(crc, lit(protocol::CRC_START.into(), 16))]),
        when(valid & state.ge(lit(numbered, 3)), [set(crc, next)]),
    ]);
    // The CRC over a packet and its own CRC is 0.
    let wrong = k.wire("wrong", next.any());

    let width = 8 * channels;
    let beat = whole_pixel(&mut k, data, channels, in_pixels);
    let held = k.reg("held", width, None);
    let (held_valid, held_last) = (k.reg("held_valid", 1, Some(0)), k.reg("held_last", 1, None));
    let put = k.wire("put", pixel_end | cut);
    k.clocked([
        when(held_valid & m_ready, [set(held_valid, lit(0, 1))]),
        when(put, [set(held_valid, lit(1, 1)), set(held_last, frame_end | cut)]),
    ]);
    k.next(held, Some(put.into()), beat);
    let levels = levels_of(&mut k, held, lanes);
    k.drive(m_data, levels);
    k.drive(m_valid, held_valid);
    k.drive(m_last, held_last);

    let overrun = k.reg("overrun", 1, Some(0));
    let done = k.wire("done", valid & is(crc_low) | (late & state.ge(lit(pixel, 3))));
    k.clocked([
        when(done, [set(overrun, lit(0, 1))]),
        when(all_of([put.expr(), held_valid.expr(), m_ready.not()]), [set(overrun, lit(1, 1))]),
    ]);
    let faults = cat([overrun.expr(), late.expr(), wrong & late.not()]);
    let due = cat([faults, number.expr()]);
    tell(&mut k, due, done);
    k.build()
}

/// Gives `due` where `done` is high, a cycle later: the sender is far.
fn tell(k: &mut Kernel, due: Expr, done: Sig) {
    let data = k.output("due_data", due.width());
    let valid = k.output("due_valid", 1);
    let held = k.held("due", due);
    let told = k.reg("due_valid", 1, Some(0));
    k.next(told, None, done);
    k.drive(data, held);
    k.drive(valid, told);
}

/// Says what the receiver is, for its file.
fn receiver_note(channels: usize, pixels: usize, patience: u64) -> String {
    format!(
        "Packets to frames: mark, number, {pixels} pixels of {channels} bytes, CRC-16. Pixels leave as they \
         come; what the\n\
         CRC says follows with the packet's number. A packet that pauses for {patience} clocks is ended: \
         the circuit\n\
         completes its frame. A pixel that finds the circuit not ready is lost (overrun)."
    )
}

/// Returns the pixel whose last byte is `data`; `taken` says when a byte of it moves on.
fn whole_pixel(k: &mut Kernel, data: Sig, channels: usize, taken: Sig) -> Expr {
    if channels == 1 {
        return data.into();
    }
    let rest = 8 * (channels - 1);
    let earlier = k.reg("earlier", rest, None);
    let joined = k.wire("joined", cat([data, earlier]));
    k.next(earlier, Some(taken.into()), joined.slice(8, rest));
    joined.into()
}

/// Returns the lanes of a pixel of bytes, filled up to whole bytes.
fn levels_of(k: &mut Kernel, pixel: Sig, lanes: Lanes) -> Expr {
    if lanes.bits == 8 {
        return pixel.into();
    }
    let byte = |c: usize, first: usize, bits: usize| pixel.slice(8 * c + first, bits);
    (0..lanes.count).for_each(|c| k.unused(byte(c, lanes.bits, 8 - lanes.bits)));
    let mut parts: Vec<Expr> = (0..lanes.count).map(|c| byte(c, 0, lanes.bits)).collect();
    let filled = lanes.width().next_multiple_of(8) - lanes.width();
    if filled > 0 {
        parts.push(lit(0, filled));
    }
    rtl::lanes(parts)
}

/// Returns the sender, which turns answers into bytes: for each frame, `beats` beats of `bytes` bytes from
/// the circuit and a due number go to the transmitter.
pub fn sender(beats: usize, bytes: usize) -> Module {
    let note = format!(
        "Answers to packets: mark, number, status, {beats} values of {bytes} bytes (low byte first), \
         CRC-16.\n\
         Status: bit 0 wrong CRC, bit 1 packet ended early, bit 2 overrun, bit 3 the circuit's sticky error."
    );
    let mut k = Kernel::new("dq_packet_out", &note);
    let due = k.input("due_data", 8 + 3);
    let due_valid = k.input("due_valid", 1);
    let error = k.input("error", 1);
    let s_data = k.input("s_data", 8 * bytes);
    let s_valid = k.input("s_valid", 1);
    let s_ready = k.output("s_ready", 1);
    let m_data = k.output("m_data", 8);
    let m_valid = k.output("m_valid", 1);
    let m_ready = k.input("m_ready", 1);

    // The numbers that are due wait in a small FIFO.
    let count = k.reg("due_count", bits_for(DUE as u64), Some(0));
    let (head, tail) = (k.reg("due_in", addr_bits(DUE), Some(0)), k.reg("due_out", addr_bits(DUE), Some(0)));
    let waiting: Vec<Sig> = (0..DUE).map(|i| k.reg(&format!("due{i}"), 8 + 3, None)).collect();
    for (i, &slot) in waiting.iter().enumerate() {
        k.next(slot, Some(due_valid & head.eq_to(i as u64)), due);
    }
    // The choice is registered: the line takes many clocks per byte, and a packet's first two bytes are
    // marks.
    let chosen = k.select("chosen", tail, waiting.iter().map(|&slot| slot.into()).collect());
    let now = k.held("now", chosen);

    // A packet is mark, mark, number, status, values, CRC, CRC.
    let values = beats * bytes;
    let length = 4 + values + 2;
    let at = k.reg("at", addr_bits(length), Some(0));
    let byte = k.reg("byte", addr_bits(bytes), Some(0));
    let in_values = k.reg("in_values", 1, Some(0));
    k.comment(in_values, "The byte is one of the values.");
    let open = k.wire("open", (in_values & s_valid) | (in_values.not() & count.any()));
    let moves = k.wire("moves", open & m_ready);
    let end = k.wire("ends", moves & at.eq_to(length as u64 - 1));
    let value_byte = k.wire("value_byte", moves & in_values);
    let value_end = k.wire("value_end", value_byte & byte.eq_to(bytes as u64 - 1));
    let clear = |reg: Sig| set(reg, lit(0, reg.width()));
    k.clocked([when(moves, [set(at, at.inc())]), when(end, [clear(at)])]);
    k.clocked([
        when(moves & at.eq_to(3), [set(in_values, lit(1, 1))]),
        when(moves & at.eq_to(3 + values as u64), [set(in_values, lit(0, 1))]),
    ]);
    k.clocked([when(value_byte, [set(byte, byte.inc())]), when(value_end, [clear(byte)])]);
    let one = lit(1, count.width());
    k.clocked([
        when(due_valid & end.not(), [set(count, count.inc())]),
        when(end & due_valid.not(), [set(count, count.sub(one, count.width()))]),
    ]);
    k.next(head, Some(due_valid.into()), head.inc());
    k.next(tail, Some(end.into()), tail.inc());

    let parts: Vec<Expr> = (0..bytes).map(|i| s_data.lane(i, 8)).collect();
    let part = k.select("part", byte, parts);
    let crc = k.reg("crc", 16, None);
    let [high, low] = ANSWER_MARK.map(|mark| lit(mark.into(), 8));
    let status = cat([lit(0, 4), error.expr(), now.slice(8, 3)]);
    let fixed = vec![high, low, now.slice(0, 8), status];
    let head_byte = k.select("head_byte", at.slice(0, 2), fixed);
    let is_crc = k.wire("is_crc", at.ge(lit(4 + values as u64, at.width())));
    let crc_byte = at.eq_to(length as u64 - 1).mux(crc.slice(0, 8), crc.slice(8, 8));
    let out = is_crc.mux(crc_byte, in_values.mux(part, head_byte));
    let out = k.wire("out", out);
    // The byte is summed a cycle after it was sent, long before the next one.
    let sent = k.held("sent", out);
    let [summed, starts] = ["summed", "starts"].map(|name| k.reg(name, 1, Some(0)));
    k.next(summed, None, moves & is_crc.not());
    k.next(starts, None, moves & at.eq_to(1));
    let next = crc_next(&mut k, crc, sent);
    k.clocked([
        when(summed, [set(crc, next)]),
        when(starts, [set(crc, lit(protocol::CRC_START.into(), 16))]),
    ]);
    k.drive(m_data, out);
    k.drive(m_valid, open);
    k.drive(s_ready, value_end);
    k.build()
}

/// Returns `crc` after `byte`: it is linear, so each bit is the exclusive or of those bits whose own CRC has
/// it.
fn crc_next(k: &mut Kernel, crc: Sig, byte: Sig) -> Sig {
    let bits = (0..16).rev().map(|out| {
        let of_crc = (0..16).filter(|&i| protocol::crc_step(1 << i, 0) >> out & 1 == 1).map(|i| crc.bit(i));
        let of_byte = (0..8).filter(|&i| protocol::crc_step(0, 1 << i) >> out & 1 == 1).map(|i| byte.bit(i));
        of_crc.chain(of_byte).reduce(|a, b| a ^ b).expect("no bit of a CRC is constant")
    });
    let value = cat(bits);
    k.wire("crc_next", value)
}
