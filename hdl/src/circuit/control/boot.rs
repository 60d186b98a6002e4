//! Builds the loader of memories that configuration cannot fill: it takes words from a flash, one after
//! another, to the stages that wait for them. Until the last word has been checked all stages are held in
//! reset.
//!
//! The reset is needed since a window would otherwise pass its padding on at once, before there are weights.
//! In every simulation the SPRAM starts with noise and is loaded.

use crate::rtl::{Kernel, Module, Value, addr_bits, all_of, lit, set, when};
use crate::stage::parameters::Loader;

/// Returns the loader of a circuit of this `identity` whose memories have such (bits, words). `boot_data` and
/// `boot_valid` bring the identity, the words of all memories in pieces, and of these pieces the sum and the
/// sum of the sums so far ([`super::Image::boot_words`]), a piece whenever it is valid. `is_booted` rises
/// with the right sums, `has_failed` with a wrong identity or sum, both until reset. (A CRC of 32 bits at
/// once would be the larger half of this circuit.) Ports `write<i>`, `at<i>`, `word<i>` lead to memory i,
/// `reset` to the stages.
pub fn module(identity: u32, memories: &[(usize, usize)]) -> Module {
    let note = format!(
        "Fills {} memories from flash: identity, pieces of 32 bits, their sum, the sum of their sums. \
         reset holds the stages.",
        memories.len()
    );
    let mut k = Kernel::new("dq_boot", &note);
    let (data_in, valid_in) = (k.input("boot_data", 32), k.input("boot_valid", 1));
    let valid = k.reg("valid", 1, Some(0));
    k.next(valid, None, valid_in);
    let data = k.reg("data", 32, None);
    k.next(data, Some(valid_in.into()), data_in);

    let [identity_now, pieces_now, sum_now, sums_now] = [0u64, 1, 2, 3];
    let section = k.reg("section", 2, Some(identity_now));
    k.comment(section, "0: identity, 1: pieces, 2: their sum, 3: the sum of their sums.");
    let [booted, failed] = ["booted", "failed"].map(|name| k.reg(name, 1, Some(0)));
    let take = k.wire("take", all_of([valid.expr(), booted.not(), failed.not()]));
    let is = |value: u64| section.eq_to(value);
    let piece = k.wire("piece", take & is(pieces_now));
    let loader = Loader::new(&mut k, memories, piece, data, None);
    let go = |value: u64| set(section, lit(value, 2));
    k.clocked([
        when(take & is(identity_now), [go(pieces_now)]),
        when(loader.ends.clone(), [go(sum_now)]),
        when(take & is(sum_now), [go(sums_now)]),
    ]);
    let [sum, sums] = ["sum", "sums"].map(|name| k.reg(name, 32, Some(0)));
    let next = k.wire("sum_next", sum.add(data, 32));
    k.clocked([when(piece, [set(sum, next), set(sums, sums.add(next, 32))])]);
    let wanted = vec![lit(identity.into(), 32), lit(0, 32), sum.expr(), sums.expr()];
    let wanted = k.select("wanted", section, wanted);
    let right = k.wire("right", data.eq(wanted));
    k.clocked([when(all_of([take.expr(), is(sums_now), right.expr()]), [set(booted, lit(1, 1))])]);
    k.clocked([when(all_of([take.expr(), piece.not(), right.not()]), [set(failed, lit(1, 1))])]);

    for (name, value) in
        [("is_booted", booted.expr()), ("has_failed", failed.expr()), ("reset", booted.not())]
    {
        let port = k.output(name, 1);
        k.drive(port, value);
    }
    for (i, &(bits, words)) in memories.iter().enumerate() {
        let [write, at, word] = ["write", "at", "word"].map(|name| format!("{name}{i}"));
        let write = k.output(&write, 1);
        k.drive(write, loader.writes[i]);
        let at = k.output(&at, addr_bits(words));
        k.drive(at, loader.at.slice(0, addr_bits(words)));
        let word = k.output(&word, bits);
        k.drive(word, loader.word(bits));
    }
    k.build()
}
