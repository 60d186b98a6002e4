//! Says where a stage stands in the graph: its streams, FIFOs, memories and device family. A kind of stage
//! may know nothing else of its surroundings.

use crate::device::Family;
use crate::plan::data::Memory;
use dq_net::Range;

/// Names an output of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The stage, by its place in the list.
    pub stage: usize,
    /// Number of the output: 0 except at a fork.
    pub port: usize,
}

/// Describes the lanes of a stream: lane 0 is in the low bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// Number of lanes per beat.
    pub count: usize,
    /// Bits of a lane.
    pub bits: usize,
    /// Whether a lane is two's complement.
    pub signed: bool,
}

/// Says where a stage stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Instance name. The stage that computes a node has the node's own.
    pub name: String,
    /// Index of the node to which it belongs.
    pub node: usize,
    /// The output that feeds each input: none at the ingress, two where two streams are joined, one
    /// elsewhere.
    pub sources: Vec<Source>,
    /// Lanes of the beats that it takes (at its first input, where it has two).
    pub input: Lanes,
    /// Lanes of the beats that it gives, at each output.
    pub output: Lanes,
    /// Cycles from the issue of an operation until its beat can leave a FIFO of LUT RAM.
    pub latency: u64,
    /// Number of beats that the FIFO of each output holds, those in flight included (where beats are split:
    /// input beats). There is one output, except at a fork.
    pub depths: Vec<usize>,
    /// The place of its memories.
    pub memory: Memory,
    /// The device family, which decides the shapes of memories.
    pub family: Family,
    /// Whether the control port reaches it: parameters that can be loaded, an input that can be held.
    pub controlled: bool,
}

/// Where the tools decide, a FIFO of more words and more bits than these is block RAM.
const DEEP_WORDS: usize = 64;
const DEEP_BITS: usize = 2048;
/// Fewest words of a FIFO that may be block RAM.
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
    /// Returns the name of the file that holds the contents of `memory`: the stage's files are in a folder of
    /// their own. Each is named after the stage as well, since some tools copy all files into one folder.
    pub fn image(&self, memory: &str) -> String {
        format!("images/{0}/{0}_{memory}.mem", self.name)
    }

    /// Returns the beats that the FIFO of its first, mostly only, output holds.
    pub fn depth(&self) -> usize {
        self.depths[0]
    }

    /// Returns whether an output FIFO at output `port` is block RAM with a registered output.
    pub(crate) fn has_deep_fifo(&self, port: usize) -> bool {
        let (width, depth) = (self.output.width(), self.depths[port]);
        match self.memory {
            Memory::Auto | Memory::Stream => depth > DEEP_WORDS && width * depth > DEEP_BITS,
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
