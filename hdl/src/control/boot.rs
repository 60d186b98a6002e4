//! The loader of memories that configuration cannot fill: words from a flash, in one row, to the stages that wait for them.
//! Until the last of them has been checked all stages are held in reset.

use super::port::crc_next;
use crate::rtl::{Kernel, Module, Value, addr_bits, all_of, lit, set, when};
use crate::stage::Loader;

/// The loader of a circuit of this `identity` whose memories have such (bits, words). `boot_data` and `boot_valid` bring the
/// identity, the words of all memories in pieces and the checksum of these pieces ([`super::Image::boot_words`]), a piece whenever
/// it is valid. `is_booted` rises with the right checksum, `has_failed` with a wrong identity or checksum, both until reset.
/// To memory i: `write<i>`, `at<i>`, `word<i>`; to the stages `reset`.
pub fn module(identity: u32, memories: &[(usize, usize)]) -> Module {
    let note = format!(
        "Fills {} memories from flash: identity, pieces of 32 bits, CRC-32 of the pieces. reset holds the stages until then.",
        memories.len()
    );
    let mut k = Kernel::new("dq_boot", &note);
    let (data_in, valid_in) = (k.input("boot_data", 32), k.input("boot_valid", 1));
    let valid = k.reg("valid", 1, Some(0));
    k.next(valid, None, valid_in);
    let data = k.reg("data", 32, None);
    k.next(data, Some(valid_in.into()), data_in);

    let [identity_now, pieces_now, checksum_now] = [0u64, 1, 2];
    let section = k.reg("section", 2, Some(identity_now));
    k.comment(section, "0: identity, 1: pieces, 2: checksum.");
    let [booted, failed] = ["booted", "failed"].map(|name| k.reg(name, 1, Some(0)));
    let take = k.wire("take", all_of([valid.expr(), booted.not(), failed.not()]));
    let is = |value: u64| section.eq_to(value);
    let piece = k.wire("piece", take & is(pieces_now));
    let loader = Loader::new(&mut k, memories, piece, data, None);
    let go = |value: u64| set(section, lit(value, 2));
    k.clocked([
        when(take & is(identity_now), [go(pieces_now)]),
        when(loader.ends.clone(), [go(checksum_now)]),
    ]);
    let crc = k.reg("crc", 32, Some(0xffff_ffff));
    let next = crc_next(crc, data);
    k.next(crc, Some(piece.into()), next);
    let known = k.wire("known", data.eq_to(identity.into()));
    let right = k.wire("right", data.eq(crc.not()));
    let at_end = k.wire("at_end", take & is(checksum_now));
    k.clocked([when(at_end & right, [set(booted, lit(1, 1))])]);
    let refused = (take & is(identity_now) & !known) | (at_end & !right);
    k.clocked([when(refused, [set(failed, lit(1, 1))])]);

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
