//! Defines the instructions of the flat machine. They are never run here.

use crate::rtl::ir::expr::{Bin, Reduce};

/// Describes one instruction. Operands are places of first words in the state. `to` is none of them, except
/// in a `Mux` whose register keeps its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Copy {
        to: u32,
        a: u32,
    },
    Not {
        to: u32,
        a: u32,
        mask: u64,
    },
    And {
        to: u32,
        a: u32,
        b: u32,
    },
    Or {
        to: u32,
        a: u32,
        b: u32,
    },
    Xor {
        to: u32,
        a: u32,
        b: u32,
    },
    Add {
        to: u32,
        a: u32,
        b: u32,
        mask: u64,
    },
    Sub {
        to: u32,
        a: u32,
        b: u32,
        mask: u64,
    },
    Mul {
        to: u32,
        a: u32,
        b: u32,
        mask: u64,
    },
    Eq {
        to: u32,
        a: u32,
        b: u32,
    },
    Ne {
        to: u32,
        a: u32,
        b: u32,
    },
    Lt {
        to: u32,
        a: u32,
        b: u32,
    },
    Le {
        to: u32,
        a: u32,
        b: u32,
    },
    /// Compares signed values, which are shifted up so that the sign is in bit 63.
    LtSigned {
        to: u32,
        a: u32,
        b: u32,
        shift: u32,
    },
    LeSigned {
        to: u32,
        a: u32,
        b: u32,
        shift: u32,
    },
    Mux {
        to: u32,
        cond: u32,
        a: u32,
        b: u32,
    },
    All {
        to: u32,
        a: u32,
        mask: u64,
    },
    Any {
        to: u32,
        a: u32,
    },
    Parity {
        to: u32,
        a: u32,
    },
    Field {
        to: u32,
        a: u32,
        shift: u32,
        mask: u64,
    },
    /// Takes a field that lies in two words.
    FieldSplit {
        to: u32,
        a: u32,
        shift: u32,
        mask: u64,
    },
    /// Extends a value, or a field of one word, by its sign: it is shifted up to bit 63 and back down.
    Sext {
        to: u32,
        a: u32,
        up: u8,
        down: u8,
        mask: u64,
    },
    /// Puts `a` above the lowest `shift` bits, which are 0.
    Up {
        to: u32,
        a: u32,
        shift: u32,
    },
    /// Puts `a` above the lowest `shift` bits, which are `b`.
    Join {
        to: u32,
        a: u32,
        b: u32,
        shift: u32,
    },
    Zero {
        to: u32,
        words: u32,
    },
    OrShifted {
        to: u32,
        a: u32,
        shift: u32,
    },
    /// Adds `a` by OR, shifted, where it reaches into two words.
    OrSplit {
        to: u32,
        a: u32,
        shift: u32,
    },
    OrWide {
        to: u32,
        a: u32,
        offset: u32,
        width: u32,
    },
    CopyWide {
        to: u32,
        a: u32,
        words: u32,
    },
    NotWide {
        to: u32,
        a: u32,
        width: u32,
    },
    BinWide {
        to: u32,
        a: u32,
        b: u32,
        width: u32,
        op: Bin,
    },
    CompareWide {
        to: u32,
        a: u32,
        b: u32,
        width: u32,
        op: Bin,
        signed: bool,
    },
    MuxWide {
        to: u32,
        cond: u32,
        a: u32,
        b: u32,
        words: u32,
    },
    ReduceWide {
        to: u32,
        a: u32,
        width: u32,
        op: Reduce,
    },
    SliceWide {
        to: u32,
        a: u32,
        words: u32,
        offset: u32,
        width: u32,
    },
    ExtWide {
        to: u32,
        a: u32,
        from: u32,
        width: u32,
        signed: bool,
    },
    /// Reads a word of an array; 0 beyond its end.
    Load {
        to: u32,
        array: u32,
        addr: u32,
    },
    /// Writes a word of an array, after all loads of this edge.
    Store {
        array: u32,
        addr: u32,
        data: u32,
    },
    Jump {
        to: u32,
    },
    JumpUnless {
        cond: u32,
        to: u32,
    },
    JumpUnlessEqual {
        index: u32,
        value: u32,
        to: u32,
    },
}

impl Op {
    /// Returns the target of an instruction that makes a value of one word, and what it reads; nothing for
    /// others.
    pub fn narrow(&mut self) -> Option<(&mut u32, [u32; 3])> {
        Some(match self {
            Op::Not { to, a, .. }
            | Op::All { to, a, .. }
            | Op::Any { to, a }
            | Op::Parity { to, a }
            | Op::Field { to, a, .. }
            | Op::FieldSplit { to, a, .. }
            | Op::Sext { to, a, .. }
            | Op::Up { to, a, .. }
            | Op::ReduceWide { to, a, .. } => (to, [*a; 3]),
            Op::And { to, a, b }
            | Op::Or { to, a, b }
            | Op::Xor { to, a, b }
            | Op::Add { to, a, b, .. }
            | Op::Sub { to, a, b, .. }
            | Op::Mul { to, a, b, .. }
            | Op::Eq { to, a, b }
            | Op::Ne { to, a, b }
            | Op::Lt { to, a, b }
            | Op::Le { to, a, b }
            | Op::LtSigned { to, a, b, .. }
            | Op::LeSigned { to, a, b, .. }
            | Op::Join { to, a, b, .. }
            | Op::CompareWide { to, a, b, .. } => (to, [*a, *b, *b]),
            Op::Mux { to, cond, a, b } => (to, [*cond, *a, *b]),
            _ => return None,
        })
    }
}
