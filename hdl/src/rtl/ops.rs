//! The instructions of the flat machine. Never run here.

use super::expr::{Bin, Reduce};

/// One instruction. Operands are first words in the state; `to` is never one of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
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
    /// Shifted up, the sign stands in bit 63.
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
    /// A field over two words.
    FieldSplit {
        to: u32,
        a: u32,
        shift: u32,
        mask: u64,
    },
    /// Shifted up to bit 63 and back down with the sign: the extension of a value or of a field of one word.
    Sext {
        to: u32,
        a: u32,
        up: u8,
        down: u8,
        mask: u64,
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
    /// An OR over two words.
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
    /// A word of an array; 0 beyond its end.
    Load {
        to: u32,
        array: u32,
        addr: u32,
    },
    /// Takes effect after all loads of this edge.
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
