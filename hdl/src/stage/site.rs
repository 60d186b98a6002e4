//! Where a stage stands in the graph: its streams, FIFOs, memories and device family. All that a kind of
//! stage may know of its surroundings.

use crate::device::Family;
use crate::plan::data::Memory;
use dq_net::Range;

/// An output of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The stage, by its place in the list.
    pub stage: usize,
    /// Which of its outputs: 0 but for a fork.
    pub port: usize,
}

/// The lanes of a stream: lane 0 in the low bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// Lanes of a beat.
    pub count: usize,
    /// Bits of a lane.
    pub bits: usize,
    /// Whether a lane is two's complement.
    pub signed: bool,
}

/// Where a stage stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Instance name: the node's own for the stage that computes it.
    pub name: String,
    /// The node it belongs to.
    pub node: usize,
    /// What enters each input: nothing at the ingress, two streams at a mix, else one.
    pub sources: Vec<Source>,
    /// Beats it takes (a mix at its first input).
    pub input: Lanes,
    /// Beats it gives, at each output.
    pub output: Lanes,
    /// Cycles from the issue of an operation until its beat can leave a FIFO of LUT RAM.
    pub latency: u64,
    /// Beats that the FIFO of each output holds, those in flight included (where beats are split: input
    /// beats). One output each, but for a fork.
    pub depths: Vec<usize>,
    /// Where its memories live.
    pub memory: Memory,
    /// What it is built for: shapes of memories follow.
    pub family: Family,
    /// Whether the control port reaches it: parameters that can be loaded, an input that can be held.
    pub controlled: bool,
}

/// FIFOs of more words and more bits than these are block RAM where the tools decide.
const DEEP_WORDS: usize = 64;
const DEEP_BITS: usize = 2048;
/// FIFOs of fewer words are never block RAM.
const BLOCK_WORDS: usize = 16;

impl Lanes {
    /// Returns `count` lanes that carry `range`.
    pub fn new(count: usize, range: Range) -> Self {
        Self { count, bits: range.bits() as usize, signed: range.signed() }
    }

    /// Returns the bits of a beat.
    pub fn width(&self) -> usize {
        self.count * self.bits
    }
}

impl Site {
    /// Returns the beats that the FIFO of its first, mostly only, output holds.
    pub fn depth(&self) -> usize {
        self.depths[0]
    }

    /// Returns whether an output FIFO at output `port` is block RAM with a registered output.
    pub(crate) fn has_deep_fifo(&self, port: usize) -> bool {
        let (width, depth) = (self.output.width(), self.depths[port]);
        match self.memory {
            Memory::Auto => depth > DEEP_WORDS && width * depth > DEEP_BITS,
            Memory::Block => depth >= BLOCK_WORDS,
            Memory::Distributed | Memory::Spram => false,
        }
    }

    /// Returns the name of the stream at input `port`: `x` and `y` where two come in.
    pub fn input_port(&self, port: usize) -> &'static str {
        if self.sources.len() > 1 { ["x", "y"][port] } else { "s" }
    }

    /// Returns the name of the stream at output `port`, numbered where there are several.
    pub fn output_port(&self, port: usize) -> String {
        if self.depths.len() > 1 { format!("m{port}") } else { "m".into() }
    }
}
