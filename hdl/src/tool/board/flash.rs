//! Builds a source of words from the configuration flash: wakes it, and reads one row of words from an
//! address on, once after reset. Any serial flash serves: mode 0, commands 0xAB and 0x03, high bit first.

use crate::rtl::{Kernel, Module, Value, any_of, bits_for, cat, lit, set, when};

/// Number of clocks that a flash gets to wake up: 10 us at 100 MHz, where flashes ask for a few us.
const WAKING: u64 = 1024;
const WAKE: u64 = 0xab << 24;
const READ: u64 = 0x03 << 24;

/// Reads `words` words of 32 bits, high byte first, from byte `offset` on, a bit every two clocks. To the
/// circuit `boot_data`/`boot_valid`; from it `booted`, `boot_failed` and `error`, of which it makes `reset`
/// for what must wait and `lamp` for what is wrong.
pub fn reader(offset: u32, words: usize) -> Module {
    assert!(offset < 1 << 24 && words > 0, "{words} words at {offset:#x}");
    let note = format!(
        "Reads {words} words of 32 bits, high byte first, from byte 0x{offset:06x} of the flash: wakes it \
         (0xAB), waits {WAKING}\n\
         clocks, reads (0x03). A bit every two clocks; miso is taken at the end of the high half."
    );
    let mut k = Kernel::new("dq_flash", &note);
    let miso = k.input("miso", 1);
    let [sck, cs, mosi] = ["sck", "cs", "mosi"].map(|name| k.output(name, 1));
    let (data, valid) = (k.output("boot_data", 32), k.output("boot_valid", 1));
    let [booted, failed, error] = ["booted", "boot_failed", "error"].map(|name| k.input(name, 1));
    let [reset, lamp] = ["reset", "lamp"].map(|name| k.output(name, 1));

    let [waking, pause, asking, reading, done] = [0u64, 1, 2, 3, 4];
    let state = k.reg("state", 3, Some(waking));
    k.comment(state, "0: waking it, 1: pause, 2: asking, 3: reading, 4: done.");
    let is = |value: u64| state.eq_to(value);
    let selected = k.wire("selected", any_of([is(waking), is(asking), is(reading)]));
    let half = k.reg("half", 1, Some(0));
    k.next(half, None, selected & half.not());
    let left = k.reg("left", bits_for(WAKING - 1), Some(7));
    k.comment(left, "Bits, or clocks of the pause, that are left after this one.");
    let step = k.wire("step", half | is(pause));
    let last = k.wire("last", step & left.eq_to(0));
    let count = k.reg("count", bits_for(words as u64 - 1), Some(0));
    let word_ends = k.wire("word_ends", last & is(reading));
    let row_ends = k.wire("row_ends", word_ends & count.eq_to(words as u64 - 1));
    let one = lit(1, left.width());
    let go = |value: u64, bits: u64| [set(state, lit(value, 3)), set(left, lit(bits - 1, left.width()))];
    k.clocked([
        when(step, [set(left, left.sub(one, left.width()))]),
        when(last & is(waking), go(pause, WAKING)),
        when(last & is(pause), go(asking, 32)),
        when(last & is(asking), go(reading, 32)),
        when(word_ends, [set(left, lit(31, left.width())), set(count, count.inc())]),
        when(row_ends, [set(state, lit(done, 3))]),
    ]);
    let out = k.reg("out", 32, Some(WAKE));
    k.clocked([
        when(half, [set(out, cat([out.slice(0, 31), lit(0, 1)]))]),
        when(last & is(pause), [set(out, lit(READ | u64::from(offset), 32))]),
    ]);
    let word = k.reg("word", 32, None);
    k.next(word, Some(half.into()), cat([word.slice(0, 31), miso.into()]));
    let whole = k.reg("whole", 1, Some(0));
    k.next(whole, None, word_ends);

    for (port, value) in [
        (sck, half.expr()),
        (cs, selected.not()),
        (mosi, out.bit(31)),
        (data, word.expr()),
        (valid, whole.expr()),
        (reset, booted.not()),
        (lamp, error | failed),
    ] {
        k.drive(port, value);
    }
    k.build()
}
