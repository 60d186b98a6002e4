//! Defines what the compiler makes of a netlist, as plain data: places of nets, arrays, instructions, and
//! what depends on what.

use super::ops::Op;
use std::ops::Range;

/// Says where a net lives: its first word, and its width in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub at: usize,
    pub width: usize,
}

/// Holds a memory or a constant table.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub data: Vec<u64>,
    /// Number of `u64`s per word.
    pub stride: usize,
    pub words: usize,
    pub width: usize,
    /// Whether it powers up with contents.
    pub filled: bool,
}

/// Holds what the compiler makes of a netlist.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Initial state: inputs, registers, their next values, other nets, constants, temporaries.
    pub state: Vec<u64>,
    pub inputs: Vec<(String, Place)>,
    pub registers: Range<usize>,
    pub shadow: usize,
    pub undefined: Vec<Place>,
    pub arrays: Vec<Array>,
    pub leaf_of_array: Vec<usize>,
    pub comb: Vec<Op>,
    pub edge: Vec<Op>,
    pub activity: Activity,
}

/// Lists the combinational instructions of one leaf, in a row.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub leaf: usize,
    pub ops: Range<usize>,
    /// The leaf's nets that other leaves read.
    pub watches: Range<usize>,
}

/// Lists the clocked part of one leaf.
#[derive(Clone, Debug)]
pub(crate) struct Clocked {
    pub ops: Range<usize>,
    pub registers: Range<usize>,
    /// Registers that other leaves read.
    pub watches: Range<usize>,
}

/// Describes a value that leaves read, and where the value that they saw is kept.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub at: usize,
    pub words: usize,
    pub saved: usize,
    pub readers: Range<usize>,
}

/// Holds the order of a netlist's instructions, and what depends on what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    pub segments: Vec<Segment>,
    pub leaves: Vec<Clocked>,
    /// Watched values. The inputs stand first, in their order.
    pub watches: Vec<Watch>,
    /// Numbers of the leaves that read; watches refer to ranges of this list.
    pub readers: Vec<usize>,
    /// Number of words of all watches.
    pub saved: usize,
}
