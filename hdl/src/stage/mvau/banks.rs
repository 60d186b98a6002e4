//! How a ROM of weights is cut into banks: by what a block RAM holds at its depths, so that the fewest blocks are used
//! and no bank needs a multiplexer of its own.

use crate::plan::Memory;

/// Banks that one level of the multiplexer joins.
pub const WAYS: usize = 4;
/// Depths of a block RAM of 16 kbit, and its bits at each.
const SHAPES: [(usize, usize); 6] = [(512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)];
/// Words of a bank of LUTs: deeper ones are cut, so that their own multiplexers stay shallow.
const LUT_WORDS: usize = 256;
/// ROMs of at most so many words or bits lie in LUTs where the tools decide.
const AUTO_WORDS: usize = 64;
const AUTO_BITS: usize = 2048;

/// Whether a ROM of `words` words of `bits` bits lies in block RAM.
pub fn in_blocks(words: usize, bits: usize, memory: Memory) -> bool {
    match memory {
        Memory::Block => true,
        Memory::Distributed => false,
        Memory::Auto => words > AUTO_WORDS && words * bits > AUTO_BITS,
    }
}

/// Words of a bank, the last one aside; a power of two where there is more than one.
pub fn bank_words(words: usize, bits: usize, memory: Memory) -> usize {
    if !in_blocks(words, bits, memory) {
        return if words <= 2 * LUT_WORDS { words } else { LUT_WORDS };
    }
    // The fewest blocks, then the fewest banks.
    let depth = |&(depth, _): &(usize, usize)| (blocks_in_banks(words, bits, depth), words.div_ceil(depth));
    let (depth, _) = *SHAPES.iter().min_by_key(|shape| depth(shape)).expect("there are shapes");
    depth.min(words)
}

/// Blocks of a ROM.
pub fn blocks(words: usize, bits: usize, memory: Memory) -> usize {
    if in_blocks(words, bits, memory) {
        blocks_in_banks(words, bits, bank_words(words, bits, memory))
    } else {
        0
    }
}

/// Registers behind the banks: one a level of the multiplexer, and at least one behind block RAM, whose own output is
/// late.
pub fn levels(words: usize, bits: usize, memory: Memory) -> u64 {
    let mut banks = words.div_ceil(bank_words(words, bits, memory));
    let mut levels = 0;
    while banks > 1 {
        banks = banks.div_ceil(WAYS);
        levels += 1;
    }
    if in_blocks(words, bits, memory) { levels.max(1) } else { levels }
}

fn blocks_in_banks(words: usize, bits: usize, depth: usize) -> usize {
    let rest = words % depth;
    words / depth * blocks_of_bank(depth, bits) + if rest > 0 { blocks_of_bank(rest, bits) } else { 0 }
}

/// Blocks of one bank: side by side, at the widest shape that is deep enough; one above the other beyond the deepest.
fn blocks_of_bank(words: usize, bits: usize) -> usize {
    let fits =
        SHAPES.iter().filter(|(depth, _)| *depth >= words).map(|(_, width)| bits.div_ceil(*width)).min();
    fits.unwrap_or(words.div_ceil(SHAPES[5].0) * bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_blocks_are_used() {
        // Words, bits, blocks: dense and deep, wide and shallow, just over a depth.
        for (words, bits, wanted) in [
            (73_728, 16, 72),
            (9_216, 64, 36),
            (65_536, 4, 16),
            (65_536, 8, 32),
            (512, 36, 1),
            (513, 36, 2),
            (1_152, 256, 23),
            (300, 7, 1),
        ] {
            assert_eq!(blocks(words, bits, Memory::Block), wanted, "{words} x {bits}");
        }
    }

    #[test]
    fn levels_follow_from_the_banks() {
        assert_eq!(levels(512, 36, Memory::Block), 1);
        assert_eq!((bank_words(73_728, 16, Memory::Block), levels(73_728, 16, Memory::Block)), (16_384, 2));
        assert_eq!(
            (bank_words(576, 256, Memory::Distributed), levels(576, 256, Memory::Distributed)),
            (256, 1)
        );
        assert_eq!(levels(144, 512, Memory::Distributed), 0);
    }
}
