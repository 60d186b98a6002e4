//! Builds memories in LUTs that are read at speed: parts of what one or a few LUTs hold, then a multiplexer,
//! with a register after each. Slices of a ROM's word have addresses of their own, so that no register
//! reaches far.
//!
//! Wires to far places are cut by registers that synthesis may not merge (`Kernel::copy`): addresses of
//! many block RAMs, and memories in LUTs, which are read in parts. On boards the reset is cut so too
//! (`rtl::reset`).

use super::banks;
use crate::device::Family;
use crate::plan::data::Memory;
use crate::rtl::{Expr, Kernel, Read, Sig, Style, Value, Write, addr_bits, lanes, lit, words};

/// Number of bits of the word that one register of the address reaches.
const SLICE: usize = 32;
/// Cycles from the address to the word: one for the address' copies, one for the parts, one for the
/// multiplexer.
pub const LATENCY: u64 = 3;

/// Describes a ROM that is read in parts.
pub struct Rom<'a> {
    pub name: &'a str,
    /// Its words, and bits of each.
    pub data: &'a [u64],
    pub bits: usize,
    pub address: Expr,
    pub family: Family,
    /// Returns the name of the image file of a part, from the part's name.
    pub file: &'a dyn Fn(&str) -> String,
}

/// Returns the word at the address of `rom`, [`LATENCY`] cycles later.
pub fn rom(k: &mut Kernel, rom: Rom) -> Sig {
    let Rom { name, data, bits, address, family, file } = rom;
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

/// Returns the words of a part of a RAM: what a multiplexer of two levels joins.
fn part_words(family: Family) -> usize {
    4 * family.lut_words()
}

/// Returns whether a RAM of `words` words of `bits` bits is one of parts.
pub fn in_parts(words: usize, bits: usize, memory: Memory, family: Family) -> bool {
    family.has_lut_ram() && !banks::in_blocks(words, bits, memory) && words > part_words(family)
}

/// Returns the bits of the registers behind the parts.
pub fn registers(words: usize, bits: usize, memory: Memory, family: Family) -> usize {
    let parts = words.div_ceil(part_words(family));
    if in_parts(words, bits, memory, family) { bits * (parts + 1) } else { 0 }
}

/// Describes a RAM that is read in parts.
pub struct Ram<'a> {
    pub name: &'a str,
    /// Words, and bits of each.
    pub words: usize,
    pub bits: usize,
    pub write: &'a Write,
    /// Address that is read where `enable` is high; it is a register.
    pub address: Sig,
    pub enable: Expr,
    pub family: Family,
}

/// Returns the word at the address of `ram`, two cycles after it.
pub fn ram(k: &mut Kernel, ram: Ram) -> Sig {
    let Ram { name, words, bits, write, address, enable, family } = ram;
    let (part_words, width) = (part_words(family), addr_bits(words));
    let low = addr_bits(part_words);
    let part_of = |address: &Expr| address.clone().slice(low, width - low);
    let parts = (0..words.div_ceil(part_words)).map(|p| {
        let held = part_words.min(words - p * part_words);
        let local = |address: Expr| address.slice(0, addr_bits(held));
        let here = part_of(&write.addr).eq(lit(p as u64, width - low));
        let write = Write {
            enable: write.enable.clone() & here,
            addr: local(write.addr.clone()),
            data: write.data.clone(),
        };
        let read = Read::Sync { enable: enable.clone(), addr: local(address.expr()) };
        k.ram(&format!("{name}_{p}"), bits, held, Style::Distributed, write, read).expr()
    });
    let parts = parts.collect();
    let part = k.held(&format!("{name}_part"), part_of(&address.expr()));
    let chosen = k.select(&format!("{name}_d"), part, parts);
    k.held(name, chosen)
}

/// Returns the word that `slices` are, the lowest first.
pub fn side_by_side(k: &mut Kernel, name: &str, slices: Vec<Sig>) -> Sig {
    match slices[..] {
        [one] => one,
        _ => k.wire(&format!("{name}_word"), lanes(slices)),
    }
}
