//! Cuts and extends values to a width, and gives the words and styles of memories.

use crate::device::Family;
use crate::plan::data::Memory;
use crate::rtl::{Expr, Style, Value, lit, slit, words};

/// Returns `value` (a net, a slice of one, or anything of which bits can be taken) in `width` bits, modulo
/// 2^width; unsigned.
pub fn fit(value: impl Into<Expr>, signed: bool, width: usize) -> Expr {
    let value = value.into();
    match (value.width() >= width, signed) {
        (true, _) => value.slice(0, width),
        (false, true) => value.sext(width).unsigned(),
        (false, false) => value.zext(width),
    }
}

/// Returns `value` modulo 2^width as an unsigned literal; one that is negative and fits is printed as such.
pub fn literal(value: i64, width: usize) -> Expr {
    assert!(width <= 64);
    let modulo = value as u64 & words::mask(width);
    match value < 0 && words::sign_extend(modulo, width) == value {
        true => slit(value, width).unsigned(),
        false => lit(modulo, width),
    }
}

pub fn style(memory: Memory) -> Style {
    match memory {
        Memory::Auto | Memory::Stream => Style::Auto,
        Memory::Block => Style::Block,
        Memory::Distributed => Style::Distributed,
        Memory::Spram => Style::Spram,
    }
}

/// Returns the style of a memory that is written: LUT RAM where `family` has it.
pub fn ram_style(memory: Memory, family: Family) -> Style {
    match style(memory) {
        Style::Distributed if !family.has_lut_ram() => Style::Registers,
        style => style,
    }
}

/// Returns the words of a ROM from the fields of each word, low bits first: (value modulo 2^bits, bits).
pub fn rom_words(word_bits: usize, rows: impl Iterator<Item = Vec<(i64, usize)>>) -> Vec<u64> {
    let stride = words::words_for(word_bits);
    let mut data = vec![];
    for fields in rows {
        let start = data.len();
        data.resize(start + stride, 0);
        let mut at = 0;
        for (value, bits) in fields {
            words::or_at(&mut data[start..], at, &[value as u64 & words::mask(bits)], bits);
            at += bits;
        }
        assert!(at == word_bits, "a word of {at} bits, not {word_bits}");
    }
    data
}
