//! ROMs in LUTs that are read at speed: parts of what one LUT holds, then a multiplexer, a register after each. Slices of
//! the word have addresses of their own, so that no register reaches far.

use crate::device::Family;
use crate::rtl::{Expr, Kernel, Read, Sig, Style, Value, addr_bits, lanes, lit, words};

/// Bits of the word that one register of the address reaches.
const SLICE: usize = 32;
/// Cycles from the address to the word: its copies, the parts, the multiplexer.
pub const LATENCY: u64 = 3;

/// The word of `bits` bits at `address` of `data`, [`LATENCY`] cycles later. `file` names the images.
pub fn rom(
    k: &mut Kernel,
    name: &str,
    (data, bits): (&[u64], usize),
    address: Expr,
    family: Family,
    file: &dyn Fn(&str) -> String,
) -> Sig {
    let low = addr_bits(family.lut_words()).min(address.width());
    let high = address.width() - low;
    let slices = (0..bits).step_by(SLICE).map(|at| {
        let (name, width) = (format!("{name}_{}", at / SLICE), SLICE.min(bits - at));
        let copy = k.copy(&format!("{name}_at"), address.clone());
        let data = words::columns(data, bits, at, width);
        let parts = data.chunks(words::words_for(width) << low).enumerate().map(|(p, data)| {
            let part = format!("{name}_{p}");
            let held = data.len() / words::words_for(width);
            let read = Read::Sync { enable: lit(1, 1), addr: copy.slice(0, addr_bits(held)) };
            k.rom(&part, width, data.to_vec(), Style::Distributed, read, &file(&part))
        });
        let mut parts: Vec<Sig> = parts.collect();
        let chosen = if high == 0 {
            parts.remove(0)
        } else {
            let part = k.copy(&format!("{name}_part"), copy.slice(low, high));
            k.select(&format!("{name}_d"), part, parts.into_iter().map(|part| part.expr()).collect())
        };
        k.held(&name, chosen)
    });
    let slices = slices.collect();
    side_by_side(k, name, slices)
}

/// The word that `slices` are, the lowest first.
pub fn side_by_side(k: &mut Kernel, name: &str, slices: Vec<Sig>) -> Sig {
    match slices[..] {
        [one] => one,
        _ => k.wire(&format!("{name}_word"), lanes(slices)),
    }
}
