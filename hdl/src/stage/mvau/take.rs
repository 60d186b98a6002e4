//! Takes the weights of a unit from outside: a word with each beat of levels, wherever both are there.

use super::outlets::Outlets;
use super::shape::Mvau;
use crate::rtl::{Kernel, Module, Value, set};
use crate::stage::contract::fill;
use crate::stage::counter::Counter;
use crate::stage::join::take_both;
use crate::stage::site::{Lanes, Site};
use crate::stage::stream::Inlet;

/// Builds the kernel, in the place of the one that reads a memory ([`super::fetch`]): `x` and `w<p>` leave
/// together, with their flags. `y`, of the lanes `port`, brings the words, with zeros above them where its
/// beats do not divide a word.
pub fn module(site: &Site, mvau: &Mvau, port: Lanes) -> Module {
    let Mvau { pe, simd, taps, weight_bits, .. } = *mvau;
    let bits = mvau.word();
    let note = format!(
        "Weights of {}, which come in on y: a word of {pe} PEs x {simd} inputs x {weight_bits} bits with each\n\
         beat of levels, PE 0 and input 0 in the low bits. Neither moves without the other.\n\
         Latency 1, one beat a cycle.",
        site.name
    );
    let mut k = Kernel::new(&format!("{}_fetch", site.name), &note);
    let levels = Inlet::named(&mut k, "x", site.input.width());
    let words = Inlet::named(&mut k, "y", port.width());
    let room = k.input("room", 1);
    let outlets = Outlets::new(&mut k, site, mvau);

    let tap = Counter::new(&mut k, "tap", taps);
    let last_tap = k.wire("last_tap", tap.last());
    let open = k.wire("open", !last_tap | room);
    let beat = take_both(&mut k, &levels, &words, open);
    tap.clock(&mut k, beat);
    outlets.spend(&mut k, beat & last_tap);
    if port.width() > bits {
        k.unused(words.data.slice(bits, port.width() - bits));
    }
    let word = k.reg("word", bits, None);
    k.next(word, Some(beat.into()), words.data.slice(0, bits));
    let held = k.reg("x", site.input.width(), None);
    k.next(held, Some(beat.into()), levels.data);
    let flags = [k.reg("valid", 1, Some(0)), k.reg("first", 1, None), k.reg("last", 1, None)];
    k.clocked([set(flags[0], beat), set(flags[1], tap.first()), set(flags[2], last_tap)]);
    outlets.drive(&mut k, held, word, flags);
    k.contract(&fill(include_str!("take.contract.v"), "take", &vec![]));
    k.build()
}
