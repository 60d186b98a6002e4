//! Says what memories cost: RAMs, ROMs and FIFOs, from their width and depth.

use super::{banks, parts};
use crate::device::{Family, Resources};
use crate::plan::data::Memory;
use crate::rtl::addr_bits;

/// Returns the cost of a RAM of `words` words of `width` bits.
pub fn ram(width: usize, words: usize, place: Memory, family: Family) -> Resources {
    if !banks::in_blocks(words, width, place) {
        return family.small_ram(width, words);
    }
    // Blocks stacked beyond the deepest shape share their data lines through multiplexers.
    let blocks = |&(depth, bits): &(usize, usize)| (words.div_ceil(depth) * width.div_ceil(bits), depth);
    let (bram, depth) = family.shapes().iter().map(blocks).min().expect("there are shapes");
    let stacked = words.div_ceil(depth) - 1;
    Resources { bram: bram as u64, lut: (width * stacked) as u64, ..Resources::default() }
}

/// Returns the cost of a ROM of `words` words of `width` bits: in LUTs as many words of one bit each as a
/// LUT has, and their multiplexer, which is none for as many LUTs as have one of their own.
pub fn rom(width: usize, words: usize, place: Memory, family: Family) -> Resources {
    if banks::in_blocks(words, width, place) {
        return ram(width, words, Memory::Block, family);
    }
    let luts = words.div_ceil(family.lut_words());
    let joins = if family.has_late_block_ram() { luts.div_ceil(parts::PART_LUTS) / 2 } else { luts / 3 };
    Resources::logic(width * (luts + joins), width)
}

/// Returns the cost of an output FIFO: its memory, in block RAM where it is `deep`, pointers and counts.
pub fn fifo(width: usize, depth: usize, deep: bool, family: Family) -> Resources {
    let counters = 4 * addr_bits(depth) + 2;
    let place = if deep { Memory::Block } else { Memory::Distributed };
    ram(width, depth, place, family).plus(Resources::logic(2 * counters + 6, counters))
}

/// Returns the cost of a ROM of weights: its banks, and a multiplexer of four ways per level with a register
/// behind each.
pub fn banked(word: usize, words: usize, place: Memory, family: Family) -> Resources {
    if place == Memory::Stream {
        // A word that came is held beside the levels that it belongs to.
        return Resources::logic(0, word);
    }
    let bank_words = banks::bank_words(words, word, place, family);
    let (full, rest) = (words / bank_words, words % bank_words);
    let (mut lut, mut ff) = (0, 0);
    let mut joined = words.div_ceil(bank_words);
    if joined > 1 && banks::is_late(words, word, place, family) {
        ff += word * joined;
    }
    ff += word * joined * banks::steps(words, word, place, family);
    while joined > 1 {
        // Two LUTs and their own multiplexer choose one of four.
        lut += 2 * word * (joined / banks::WAYS) + word * (joined % banks::WAYS).saturating_sub(1);
        joined = joined.div_ceil(banks::WAYS);
        ff += word * joined;
    }
    if bank_words >= words {
        ff += word * banks::levels(words, word, place, family) as usize;
    }
    let joins = Resources::logic(lut, ff);
    if place == Memory::Spram {
        // A multiplexer between the addresses of reading and loading.
        let blocks = words.div_ceil(banks::SPRAM_WORDS) * word.div_ceil(banks::SPRAM_BITS);
        let address = Resources::logic(addr_bits(words), 0);
        return Resources { spram: blocks as u64, ..joins.plus(address) };
    }
    if banks::in_blocks(words, word, place) {
        let blocks = Resources { bram: banks::blocks(words, word, place, family) as u64, ..joins };
        let last = match banks::rest_luts(words, word, place, family) {
            0 => Resources::default(),
            luts => Resources::logic(luts, word * rest.div_ceil(family.lut_words())),
        };
        return blocks.plus(last);
    }
    let bank = rom(word, bank_words, Memory::Distributed, family);
    let last = if rest > 0 { rom(word, rest, Memory::Distributed, family) } else { Resources::default() };
    let parts = match parts::bank_levels(words, word, place, family) {
        0 => 0,
        _ => word * (parts::rom_registers(bank_words, family) - 1) * words.div_ceil(bank_words),
    };
    (0..full).fold(joins.plus(last).plus(Resources::logic(0, parts)), |sum, _| sum.plus(bank))
}

/// Returns the LUTs that hold a ROM of weights, where it lies in LUTs; else 0.
pub fn lut_rom(word: usize, words: usize, place: Memory, family: Family) -> u64 {
    if banks::in_blocks(words, word, place) || matches!(place, Memory::Spram | Memory::Stream) {
        return 0;
    }
    (word * words.div_ceil(family.lut_words())) as u64
}
