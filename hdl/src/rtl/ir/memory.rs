//! Memories: how they are described, and the widths of addresses and counters. Never built here.

use super::expr::{Expr, Sig};

/// A memory with one read port and at most one write port.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub name: String,
    pub word_bits: usize,
    pub words: usize,
    pub style: Style,
    pub write: Option<Write>,
    pub read: Read,
    pub out: Sig,
    /// Contents and file, of a ROM or a filled RAM.
    pub image: Option<RomImage>,
}

impl Memory {
    /// Returns the contents that it powers up with.
    pub fn preset(&self) -> Option<&RomImage> {
        self.image.as_ref().filter(|_| self.style != Style::Spram)
    }

    /// Visits everything that its ports read: net, first bit, number of bits.
    pub fn reads(&self, visit: &mut dyn FnMut(Sig, usize, usize)) {
        match &self.read {
            Read::Sync { enable, addr } => {
                [enable, addr].into_iter().for_each(|value| value.nets(visit));
            }
            Read::Async { addr } => addr.nets(visit),
        }
        if let Some(write) = &self.write {
            [&write.enable, &write.addr, &write.data].into_iter().for_each(|value| value.nets(visit));
        }
    }
}

/// The contents of a memory: `words` words one after another, each of `words_for(word_bits)` `u64`s.
#[derive(Clone, Debug)]
pub(crate) struct RomImage {
    /// The file that holds them; none where they stand in the module itself.
    pub file: Option<String>,
    pub data: Vec<u64>,
}

/// How a memory should be built: an attribute beside its declaration, where the read leaves a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The tools decide.
    Auto,
    /// Block RAM; needs a synchronous read.
    Block,
    /// LUTs. For a RAM with a synchronous read it asks for LUT RAM, which some families (iCE40) lack.
    Distributed,
    /// Flip-flops; RAMs only.
    Registers,
    /// Large single-port RAM (iCE40), whose contents are not there when the circuit starts: they are what is
    /// to be loaded. Needs a synchronous read, never at the edge of a write and at its address.
    Spram,
}

/// The read port of a memory. The address has exactly [`addr_bits`] of its words.
#[derive(Clone, Debug)]
pub enum Read {
    /// Registered: the word at `addr` appears after the clock edge if `enable`, else the output holds.
    Sync {
        /// 1 bit.
        enable: Expr,
        /// Word address.
        addr: Expr,
    },
    /// Combinational.
    Async {
        /// Word address.
        addr: Expr,
    },
}

/// The write port of a memory. A read at the same edge gets the old word.
#[derive(Clone, Debug)]
pub struct Write {
    /// 1 bit.
    pub enable: Expr,
    /// Word address of [`addr_bits`] bits.
    pub addr: Expr,
    /// One word.
    pub data: Expr,
}

/// Returns the address bits of a memory, or the bits of a counter over `count` states: ceil(log2), at least
/// 1.
pub fn addr_bits(count: usize) -> usize {
    (usize::BITS - count.saturating_sub(1).leading_zeros()).max(1) as usize
}

/// Returns the bits that hold every value from 0 to `max`; at least 1.
pub fn bits_for(max: u64) -> usize {
    (u64::BITS - max.leading_zeros()).max(1) as usize
}
