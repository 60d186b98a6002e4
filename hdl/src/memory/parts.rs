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

/// Number of LUTs that one register of the address reaches.
const NEAR_LUTS: usize = 64;
/// Number of LUTs per bit of a ROM above which it is read in parts.
const MANY_LUTS: usize = 2;
/// Number of LUTs that an address reaches at most without copies of it.
const FAR_LUTS: usize = 256;
/// Number of LUTs that hold a bit of a part of a ROM: four have multiplexers of their own in the families that
/// read ROMs in parts.
pub const PART_LUTS: usize = 4;

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

/// Returns whether a ROM of `words` words of `bits` bits lies in LUTs, so many that one cycle is too short for
/// them, or that its address reaches too far.
pub fn rom_in_parts(words: usize, bits: usize, memory: Memory, family: Family) -> bool {
    let luts = words.div_ceil(family.lut_words());
    family.has_late_block_ram()
        && !matches!(memory, Memory::Spram | Memory::Stream)
        && !banks::in_blocks(words, bits, memory)
        && words > 1
        && (luts > MANY_LUTS || luts * bits > FAR_LUTS)
}

/// Returns the cycles from the address of a ROM of `words` words to the word: one for the address' copies, one for
/// the parts, and one for the multiplexer where there are several.
pub fn latency(words: usize, family: Family) -> u64 {
    2 + u64::from(words > rom_words(family))
}

/// Returns the registers beyond those of [`banks::levels`] that a word passes where its bank lies in LUTs and is read
/// in parts.
pub fn bank_levels(words: usize, bits: usize, memory: Memory, family: Family) -> u64 {
    let bank = banks::bank_words(words, bits, memory, family);
    if rom_in_parts(bank, bits, memory, family) { latency(bank, family) - 1 } else { 0 }
}

/// Returns the registers that a bit of the word of a ROM of `words` words passes.
pub fn rom_registers(words: usize, family: Family) -> usize {
    let parts = words.div_ceil(rom_words(family));
    if parts > 1 { parts + 1 } else { 1 }
}

/// Returns the words of a part of a ROM.
fn rom_words(family: Family) -> usize {
    PART_LUTS * family.lut_words()
}

/// Returns the word at the address of `rom`, [`latency`] cycles later.
pub fn rom(k: &mut Kernel, rom: Rom) -> Sig {
    let Rom { name, data, bits, address, family, file } = rom;
    let low = addr_bits(rom_words(family)).min(address.width());
    let high = address.width() - low;
    let words = data.len() / words::words_for(bits);
    let slice = NEAR_LUTS / words.div_ceil(family.lut_words()).min(PART_LUTS);
    let slices = (0..bits).step_by(slice).map(|at| {
        let (name, width) = (format!("{name}_{}", at / slice), slice.min(bits - at));
        let copy = k.copy(&format!("{name}_at"), address.clone());
        let data = words::columns(data, bits, at, width);
        let parts = data.chunks(words::words_for(width) << low).enumerate().map(|(p, data)| {
            let part = format!("{name}_{p}");
            let held = data.len() / words::words_for(width);
            let read = Read::Sync { enable: lit(1, 1), addr: copy.slice(0, addr_bits(held)) };
            k.rom(&part, width, data.to_vec(), Style::Distributed, read, &file(&part))
        });
        let mut parts: Vec<Sig> = parts.collect();
        if high == 0 {
            return parts.remove(0);
        }
        let part = k.copy(&format!("{name}_part"), copy.slice(low, high));
        let parts = parts.into_iter().map(|part| part.expr()).collect();
        let chosen = k.select(&format!("{name}_d"), part, parts);
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
