//! Describes the control port: a small AXI4-Lite slave beside the streams, through which a host reads
//! counters and, where the plan asks for it, loads the parameters of another network of the same shape,
//! without synthesis. [`port`] is the hardware, [`Image`] and [`Master`] are the host's side. Never looks at
//! what a parameter means.
//!
//! The port is optional. What can be loaded is sized for the largest parameters of its bits, and goes
//! through one loader (`stage::parameters`).
#![doc = include_str!("../../../../docs/control.md")]

mod boot;
mod identity;
mod master;
mod port;

pub use boot::module as boot;
pub use identity::identity;
pub use master::{Answer, Master};
pub use port::module;

use crate::pipeline::Stage;
use crate::rtl::{Module, words};

/// Number of bits of a byte address.
pub const ADDRESS_BITS: usize = 12;
/// Lists the byte addresses of the registers.
pub mod address {
    #![expect(missing_docs, reason = "docs/control.md says what each is")]
    pub const IDENTITY: u32 = 0x000;
    pub const SIZE: u32 = 0x004;
    pub const CONTROL: u32 = 0x008;
    pub const STATUS: u32 = 0x00c;
    pub const CYCLES: u32 = 0x010;
    pub const FRAMES_IN: u32 = 0x014;
    pub const FRAMES_OUT: u32 = 0x018;
    pub const LOAD_SELECT: u32 = 0x01c;
    pub const LOAD_DATA: u32 = 0x020;
    pub const LOAD_COUNT: u32 = 0x024;
    pub const CHECKSUM: u32 = 0x028;
    pub const STALLS: u32 = 0x400;
}
/// Bit of `CONTROL` that holds the input.
pub const HOLD: u32 = 1;
/// Bit of `CONTROL` that clears the counters.
pub const CLEAR_COUNTERS: u32 = 2;
/// Bit of `CONTROL` that restarts the checksum.
pub const RESTART_CHECKSUM: u32 = 4;
/// Most stages for which the address map has room.
pub const MAX_STAGES: usize = 768;

/// Holds the parameters of a circuit, as the control port takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// [`identity`] of the circuit that they fit.
    pub identity: u32,
    /// Words of each loadable stage, in stream order.
    pub stages: Vec<Vec<u32>>,
}

/// Describes one transaction on the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The host writes `data` to `address`.
    Write {
        /// Byte address.
        address: u32,
        /// The word to write.
        data: u32,
    },
    /// The host reads `address`, which must give `data`.
    Expect {
        /// Byte address.
        address: u32,
        /// The word that must be read.
        data: u32,
    },
}

impl Image {
    /// Returns the parameters in `modules`, those of the stages in stream order, of a circuit of `stages`.
    pub fn new<'a>(stages: &[Stage], modules: impl Iterator<Item = &'a Module>) -> Image {
        let pieces = |module: &Module| -> Vec<u32> {
            let memories = module.filled_rams().into_iter();
            memories.flat_map(|(bits, data)| to_pieces(bits, data)).collect()
        };
        let words = modules.map(pieces).filter(|words| !words.is_empty()).collect();
        Image { identity: identity(stages), stages: words }
    }

    /// Returns what [`address::CHECKSUM`] reads after all of it was written.
    pub fn checksum(&self) -> u32 {
        !self.stages.iter().flatten().fold(!0, |crc, &word| crc_step(crc, word))
    }

    /// Returns everything that comes from a flash, in order: identity, the words of all stages, their sum,
    /// the sum of their sums.
    pub fn boot_words(&self) -> Vec<u32> {
        let words = self.stages.iter().flatten().copied();
        let (sum, sums) = words.clone().fold((0u32, 0u32), |(sum, sums), word| {
            let sum = sum.wrapping_add(word);
            (sum, sums.wrapping_add(sum))
        });
        std::iter::once(self.identity).chain(words).chain([sum, sums]).collect()
    }

    /// Returns everything that a host does to load it into an idle circuit: checks, writes, checks.
    pub fn accesses(&self) -> Vec<Access> {
        use address::*;
        let write = |address, data| Access::Write { address, data };
        let expect = |address, data| Access::Expect { address, data };
        let mut all = vec![expect(IDENTITY, self.identity), write(CONTROL, HOLD | RESTART_CHECKSUM)];
        for (stage, words) in self.stages.iter().enumerate() {
            all.push(write(LOAD_SELECT, stage as u32));
            all.extend(words.iter().map(|&word| write(LOAD_DATA, word)));
            all.push(expect(LOAD_COUNT, words.len() as u32));
        }
        all.push(expect(CHECKSUM, self.checksum()));
        all.push(write(CONTROL, 0));
        all
    }
}

/// Returns a memory's words in pieces of 32 bits, the low piece of each word first.
fn to_pieces(bits: usize, data: &[u64]) -> Vec<u32> {
    let piece = |word: &[u64], p: usize| (word[p / 2] >> (32 * (p % 2))) as u32;
    let count = bits.div_ceil(32);
    data.chunks(words::words_for(bits)).flat_map(|word| (0..count).map(move |p| piece(word, p))).collect()
}

/// Returns the CRC-32 of IEEE 802.3 (reflected, no inversion here) after one more word.
fn crc_step(crc: u32, word: u32) -> u32 {
    (0..32).fold(crc ^ word, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_common_crc_32() {
        // The CRC-32 is that of the bytes 01 02 03 04 05 06 07 08.
        let image = Image { identity: 0, stages: vec![vec![0x0403_0201], vec![0x0807_0605]] };
        assert_eq!(image.checksum(), 0x3fca_88c5);
    }

    #[test]
    fn words_are_cut_low_piece_first() {
        assert_eq!(to_pieces(40, &[0xab_1234_5678, 0x01_0000_0002]), [0x1234_5678, 0xab, 2, 1]);
        assert_eq!(to_pieces(7, &[5, 100]), [5, 100]);
        assert_eq!(to_pieces(70, &[1 << 63, 0x2a]), [0, 1 << 31, 0x2a]);
    }
}
