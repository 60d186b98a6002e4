//! Cuts a ROM of weights into banks, by what a block RAM holds at each of its depths, so that the fewest
//! blocks are used and no bank needs a multiplexer of its own.
//!
//! A pipelined multiplexer joins the banks. Block RAM is late on ECP5 and 7-series: its word needs most of a
//! cycle to come out, so it goes to a register before anything else, and its address comes from a register. A
//! bank that would waste a block lies in LUTs instead.

use crate::device::Family;
use crate::plan::data::Memory;

/// Number of banks that one level of the multiplexer joins.
pub const WAYS: usize = 4;
/// Number of blocks that one register of the address reaches.
pub const NEAR_BLOCKS: usize = 8;
/// Number of blocks above which a ROM's address passes one more register on its way; twice as many add
/// another.
const FAR_BLOCKS: usize = 2 * NEAR_BLOCKS;
const MOST_STEPS: usize = 2;
/// Words of a bank of LUTs. Deeper ROMs are cut, so that the banks' own multiplexers stay shallow.
const LUT_WORDS: usize = 256;
/// Most words, or most bits, of a ROM that lies in LUTs where the tools decide.
const AUTO_WORDS: usize = 64;
const AUTO_BITS: usize = 2048;

/// Number of words of an SPRAM.
pub const SPRAM_WORDS: usize = 1 << 14;
/// Number of words of all SPRAMs of a device, stacked.
pub const MOST_SPRAM_WORDS: usize = 4 * SPRAM_WORDS;
pub const SPRAM_BITS: usize = 16;

/// Returns whether a ROM of `words` words of `bits` bits lies in block RAM.
pub fn in_blocks(words: usize, bits: usize, memory: Memory) -> bool {
    match memory {
        Memory::Block => true,
        Memory::Distributed | Memory::Spram | Memory::Stream => false,
        Memory::Auto => words > AUTO_WORDS && words * bits > AUTO_BITS,
    }
}

/// Returns the words of a bank, the last one aside; a power of two where there is more than one.
pub fn bank_words(words: usize, bits: usize, memory: Memory, family: Family) -> usize {
    if let Memory::Spram | Memory::Stream = memory {
        return words;
    }
    if !in_blocks(words, bits, memory) {
        return if words <= 2 * LUT_WORDS { words } else { LUT_WORDS };
    }
    // The cheapest depth is taken: least area first, then fewest banks.
    let cost = |&&(depth, _): &&(usize, usize)| {
        let (blocks, luts) = in_banks(words, bits, depth, family);
        (blocks * family.block_price() + luts, words.div_ceil(depth))
    };
    let (depth, _) = family.shapes().iter().min_by_key(cost).expect("there are shapes");
    (*depth).min(words)
}

/// Returns the LUTs of the last bank, of fewer words than the others, where it lies in LUTs because it would
/// waste its blocks; else 0.
pub fn rest_luts(words: usize, bits: usize, memory: Memory, family: Family) -> usize {
    if in_blocks(words, bits, memory) {
        in_banks(words, bits, bank_words(words, bits, memory, family), family).1
    } else {
        0
    }
}

/// Returns the blocks of a ROM.
pub fn blocks(words: usize, bits: usize, memory: Memory, family: Family) -> usize {
    if in_blocks(words, bits, memory) {
        in_banks(words, bits, bank_words(words, bits, memory, family), family).0
    } else {
        0
    }
}

/// Returns the bits of the ROMs that a bank of `words` words of `bits` bits is made of side by side, each
/// one block RAM: left to themselves, tools take blocks of a wider shape and a multiplexer behind them.
pub fn slice_bits(words: usize, bits: usize, memory: Memory, family: Family) -> usize {
    let shapes = family.shapes();
    let shape = shapes.iter().position(|&(depth, _)| depth >= words);
    match shape {
        Some(shape) if shape > 0 && in_blocks(words, bits, memory) => bits.min(shapes[shape].1),
        _ => bits,
    }
}

/// Returns whether a memory's word goes to a register before anything else.
pub fn is_late(words: usize, bits: usize, memory: Memory, family: Family) -> bool {
    family.has_late_block_ram() && in_blocks(words, bits, memory)
}

/// Returns the steps that the address takes to the blocks, and their words back, beyond the usual one: as
/// many blocks lie all over the device.
pub fn steps(words: usize, bits: usize, memory: Memory, family: Family) -> usize {
    if is_late(words, bits, memory, family) {
        (blocks(words, bits, memory, family).saturating_sub(1) / FAR_BLOCKS).min(MOST_STEPS)
    } else {
        0
    }
}

/// Returns the registers around the banks: one per level of the multiplexer behind them, and where block RAM
/// is late one between and one before, for the address; more of each where they are far.
pub fn levels(words: usize, bits: usize, memory: Memory, family: Family) -> u64 {
    let mut banks = words.div_ceil(bank_words(words, bits, memory, family));
    let mut levels = 2 * u64::from(is_late(words, bits, memory, family));
    levels += 2 * steps(words, bits, memory, family) as u64;
    while banks > 1 {
        banks = banks.div_ceil(WAYS);
        levels += 1;
    }
    if in_blocks(words, bits, memory) || memory == Memory::Spram { levels.max(1) } else { levels }
}

/// Returns the number of blocks, and of LUTs of a last bank that is cheaper in LUTs.
fn in_banks(words: usize, bits: usize, depth: usize, family: Family) -> (usize, usize) {
    let (full, rest) = (words / depth, words % depth);
    let blocks = full * blocks_of_bank(depth, bits, family.shapes());
    if rest == 0 {
        return (blocks, 0);
    }
    let held = rest.div_ceil(family.lut_words());
    let (luts, last) = (bits * (held + held / 2), blocks_of_bank(rest, bits, family.shapes()));
    // One multiplexer joins what single LUTs hold.
    let cheaper = full > 0 && held <= WAYS && luts < last * family.block_price();
    if cheaper { (blocks, luts) } else { (blocks + last, 0) }
}

/// Returns the blocks of one bank: side by side, at the widest shape that is deep enough; one above the
/// other beyond the deepest.
pub fn blocks_of_bank(words: usize, bits: usize, shapes: &[(usize, usize)]) -> usize {
    let fits =
        shapes.iter().filter(|(depth, _)| *depth >= words).map(|(_, width)| bits.div_ceil(*width)).min();
    let (deepest, width) = shapes[shapes.len() - 1];
    fits.unwrap_or(words.div_ceil(deepest) * bits.div_ceil(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_banks_are_used() {
        // Each row is words, bits, blocks: dense and deep, wide and shallow, just over a depth (a rest of few
        // words lies in LUTs, one of many does not).
        for (words, bits, wanted) in [
            (73_728, 16, 72),
            (9_216, 64, 36),
            (65_536, 4, 16),
            (65_536, 8, 32),
            (512, 36, 1),
            (513, 36, 1),
            (1_088, 256, 15),
            (1_152, 256, 23),
            (300, 7, 1),
        ] {
            assert_eq!(blocks(words, bits, Memory::Block, Family::Ecp5), wanted, "{words} x {bits}");
        }
    }

    #[test]
    fn families_have_blocks_of_their_own() {
        assert_eq!(blocks(1_152, 2, Memory::Block, Family::Ice40), 1);
        assert_eq!(blocks(73_728, 16, Memory::Block, Family::Xc7), 36);
    }

    #[test]
    fn levels_follow_from_the_banks() {
        assert_eq!(levels(512, 36, Memory::Block, Family::Ecp5), 2);
        assert_eq!(levels(256, 16, Memory::Block, Family::Ice40), 1);
        assert_eq!(
            (
                bank_words(73_728, 16, Memory::Block, Family::Ecp5),
                levels(73_728, 16, Memory::Block, Family::Ecp5)
            ),
            (16_384, 8)
        );
        assert_eq!(
            (
                bank_words(576, 256, Memory::Distributed, Family::Ecp5),
                levels(576, 256, Memory::Distributed, Family::Ecp5)
            ),
            (256, 1)
        );
        assert_eq!(levels(144, 512, Memory::Distributed, Family::Ecp5), 0);
    }
}
