//! Builds a UART of 8 data bits, no parity, one stop bit: `clocks` clock cycles per bit. There is no flow
//! control.

use crate::rtl::{Kernel, Module, Value, addr_bits, cat, lit, set, when, when_else};

/// Receiver: `rx` (asynchronous), `data` with `valid` high for one cycle a byte. A byte whose stop bit is low
/// is dropped, and `broken` is high for one cycle.
pub fn receiver(clocks: usize) -> Module {
    let note = format!(
        "UART receiver, 8N1, {clocks} clocks a bit. The line passes two registers; each bit is sampled in \
         its middle."
    );
    let mut k = Kernel::new("dq_uart_rx", &note);
    let rx = k.input("rx", 1);
    let (data, valid, broken) = (k.output("data", 8), k.output("valid", 1), k.output("broken", 1));
    let (first, line) = (k.reg("first", 1, Some(1)), k.reg("line", 1, Some(1)));
    k.clocked([set(first, rx), set(line, first)]);

    let bits = addr_bits(clocks);
    let busy = k.reg("busy", 1, Some(0));
    let timer = k.reg("timer", bits, Some(0));
    let bit = k.reg("bit", 4, Some(0));
    k.comment(bit, "0: start bit, 1 to 8: data, 9: stop bit.");
    let byte = k.reg("byte", 8, None);
    let (valid_q, broken_q) = (k.reg("valid", 1, Some(0)), k.reg("broken", 1, Some(0)));
    let tick = k.wire("tick", busy & timer.eq_to(0));
    let start = k.wire("start", busy.not() & line.not());
    let stop = k.wire("stop", tick & bit.eq_to(9));
    let false_start = k.wire("false_start", tick & bit.eq_to(0) & line);
    let one = lit(1, bits);
    k.clocked([
        when(busy, [set(timer, timer.sub(one, bits))]),
        when(tick, [set(timer, lit(clocks as u64 - 1, bits)), set(bit, bit.inc())]),
        when(start, [set(timer, lit(clocks as u64 / 2 - 1, bits)), set(bit, lit(0, 4))]),
    ]);
    k.clocked([when(start, [set(busy, lit(1, 1))]), when(stop.expr() | false_start, [set(busy, lit(0, 1))])]);
    k.next(byte, Some(tick.into()), cat([line.expr(), byte.slice(1, 7)]));
    // The last shift before the stop bit completes the byte.
    let whole = k.reg("whole", 8, None);
    k.next(whole, Some(tick & bit.eq_to(8)), cat([line.expr(), byte.slice(1, 7)]));
    k.unused(byte.bit(0));
    k.clocked([set(valid_q, stop & line), set(broken_q, stop & line.not())]);
    k.drive(data, whole);
    k.drive(valid, valid_q);
    k.drive(broken, broken_q);
    k.build()
}

/// Transmitter: a stream of bytes to `tx`.
pub fn transmitter(clocks: usize) -> Module {
    let note = format!("UART transmitter, 8N1, {clocks} clocks a bit.");
    let mut k = Kernel::new("dq_uart_tx", &note);
    let data = k.input("s_data", 8);
    let valid = k.input("s_valid", 1);
    let ready = k.output("s_ready", 1);
    let tx = k.output("tx", 1);
    let bits = addr_bits(clocks);
    let left = k.reg("left", 4, Some(0));
    k.comment(left, "Bits still to be sent, the one on the line included.");
    let timer = k.reg("timer", bits, Some(0));
    let frame = k.reg("frame", 10, Some(0x3ff));
    let idle = k.reg("idle", 1, Some(1));
    k.comment(idle, "No bit is left.");
    let take = k.wire("take", valid & idle);
    let next = k.wire("next", idle.not() & timer.eq_to(0));
    k.clocked([when_else(
        take,
        [
            set(frame, cat([lit(1, 1), data.expr(), lit(0, 1)])),
            set(left, lit(10, 4)),
            set(idle, lit(0, 1)),
            set(timer, lit(clocks as u64 - 1, bits)),
        ],
        [when_else(
            next,
            [
                set(frame, cat([lit(1, 1), frame.slice(1, 9)])),
                set(left, left.sub(lit(1, 4), 4)),
                set(idle, left.eq_to(1)),
                set(timer, lit(clocks as u64 - 1, bits)),
            ],
            [set(timer, timer.sub(lit(1, bits), bits))],
        )],
    )]);
    k.drive(ready, idle);
    k.drive(tx, frame.bit(0));
    k.build()
}
