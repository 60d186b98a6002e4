//! The pipeline: a network and its plan as a graph of stages, plain data. Timing, netlist, Verilog and estimates all
//! read this one list, so they cannot disagree about lanes, latencies or depths. Holds no weights.
//!
//! **The graph.** The list is in topological order: the ingress first, the egress last. Each stage names where its
//! inputs come from ([`Stage::sources`]); every output is read once, and a node that several nodes read ends in a
//! [`Kind::Fork`].
//!
//! **How a stage moves.** Every stage does one operation a cycle at most. An operation issues when its inputs are
//! there and, if it produces a beat, a place is free in the FIFO of each output; the beat can leave `latency` cycles
//! after its operation issued, one more where the FIFO is block RAM. Between the two nothing stalls, and every
//! condition depends on registers alone, so there is no combinational path through a stage in either direction.

mod build;
mod lower;

pub(crate) use lower::{alone, lower, timed};
pub use lower::{stages, whole};

use crate::device::Family;
use crate::plan::{Mac, Memory};
use dq_net::layer::window::Axis;
use dq_net::{Range, Shape};

/// An output of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The stage, by its place in the list.
    pub stage: usize,
    /// Which of its outputs: 0 but for a [`Kind::Fork`].
    pub port: usize,
}

/// One stage of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Instance name: the node's own for the stage that computes it.
    pub name: String,
    /// The node it belongs to.
    pub node: usize,
    /// What it does.
    pub kind: Kind,
    /// What enters each input: nothing at the ingress, two streams at a [`Kind::Mix`], else one.
    pub sources: Vec<Source>,
    /// Beats it takes (a [`Kind::Mix`] at its first input).
    pub input: Lanes,
    /// Beats it gives, at each output.
    pub output: Lanes,
    /// Cycles from the issue of an operation until its beat can leave a FIFO of LUT RAM.
    pub latency: u64,
    /// Beats that the FIFO of each output holds, those in flight included (at a [`Kind::Narrow`] or [`Kind::Egress`]:
    /// input beats). One output each, but for a [`Kind::Fork`].
    pub depths: Vec<usize>,
    /// Where its memories live.
    pub memory: Memory,
    /// What it is built for: shapes of memories follow.
    pub family: Family,
    /// Whether the control port reaches it: parameters that can be loaded, an input that can be held.
    pub controlled: bool,
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

/// What a stage does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// AXI4-Stream input of frames of `beats` beats, resynchronized by `tlast`.
    Ingress {
        /// Beats of a frame.
        beats: usize,
    },
    /// Each beat as `ratio` narrower ones, low lanes first.
    Narrow {
        /// Output beats an input beat.
        ratio: usize,
    },
    /// `ratio` beats as one, the first in the low lanes.
    Widen {
        /// Input beats an output beat.
        ratio: usize,
    },
    /// Each beat to every reader.
    Fork,
    /// Line buffer and windows.
    Window(Window),
    /// Matrix-vector multiply-accumulate.
    Mvau(Mvau),
    /// Thresholds; the channels come in `folds` beats.
    Step {
        /// Beats of a pixel.
        folds: usize,
        /// What the accumulators may be.
        range: Range,
    },
    /// The convex combination of two streams.
    Mix {
        /// Lanes of the second one.
        other: Lanes,
        /// What the values of each may be.
        ranges: [Range; 2],
        /// Terms of the sum of a lane.
        terms: usize,
    },
    /// An affine function a channel; the channels come in `folds` beats.
    Rescale {
        /// Beats of a pixel.
        folds: usize,
        /// What the values may be.
        range: Range,
        /// Terms of the sum of a lane, at most.
        terms: usize,
    },
    /// Pixels to levels of `bits` bits.
    BitDepth {
        /// Bits of a level.
        bits: usize,
    },
    /// Median of 2 × 2 pixels.
    Median {
        /// Rows of a map.
        height: usize,
        /// Pixels of a row.
        width: usize,
        /// Beats of a pixel.
        chunks: usize,
    },
    /// Largest or sum of `taps` beats in a row.
    Reduce {
        /// What is done with them.
        fold: Fold,
        /// Beats of a window.
        taps: usize,
    },
    /// Sum of each channel of a frame.
    GlobalSum {
        /// Pixels of a frame.
        pixels: usize,
        /// Beats of a pixel.
        chunks: usize,
    },
    /// Adds each class's bias.
    Bias {
        /// Classes, one a beat.
        classes: usize,
    },
    /// Index of the largest, the lowest on ties.
    ArgMax {
        /// Classes, one a beat.
        classes: usize,
    },
    /// AXI4-Stream output of frames of `beats` beats, lanes extended to whole bytes.
    Egress {
        /// Beats of a frame.
        beats: usize,
    },
}

/// How a pool joins the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// The largest.
    Max,
    /// The sum.
    Sum,
}

/// Windows over a feature map: for each output pixel, group, fold, chunk of channels of the group, kernel row, kernel
/// column (the last fastest) one beat of `simd` channels; zeros where the tap lies in the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The feature map.
    pub map: Shape,
    /// Windows along rows.
    pub rows: Axis,
    /// Windows along columns.
    pub columns: Axis,
    /// Output rows and columns.
    pub output: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// How often each window of a group is replayed.
    pub folds: usize,
    /// Beats of the channels of one group.
    pub chunks: usize,
    /// Rows that the line buffer holds.
    pub ring: usize,
}

/// Multiply-accumulate: `pe` outputs over `taps` beats of `simd` levels each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mvau {
    /// Outputs computed side by side.
    pub pe: usize,
    /// Inputs a beat.
    pub simd: usize,
    /// Beats of one output: chunks × kernel rows × kernel columns.
    pub taps: usize,
    /// Folds of all groups: each has its own weights.
    pub folds: usize,
    /// Bits of a level.
    pub level_bits: usize,
    /// Bits of a weight.
    pub weight_bits: usize,
    /// How products are built; never [`Mac::Auto`].
    pub mac: Mac,
}

/// How a stage's operations map input beats to output beats; all that timing needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// An operation a beat of every input; of every `period` operations the last `tail` produce a beat, at every output.
    Map {
        /// Operations of a round.
        period: usize,
        /// Operations at its end that produce.
        tail: usize,
    },
    /// Each input beat leaves as `ratio` beats.
    Split {
        /// Output beats an input beat.
        ratio: usize,
    },
    /// Operations over a line buffer.
    Window(Window),
}

impl Lanes {
    /// `count` lanes that carry `range`.
    pub fn new(count: usize, range: Range) -> Self {
        Self { count, bits: range.bits() as usize, signed: range.signed() }
    }

    /// Bits of a beat.
    pub fn width(&self) -> usize {
        self.count * self.bits
    }
}

impl Window {
    /// Taps of a window.
    pub fn taps(&self) -> usize {
        self.rows.kernel * self.columns.kernel
    }

    /// Beats of an input pixel.
    pub fn pixel_beats(&self) -> usize {
        self.groups * self.chunks
    }

    /// Operations of a frame.
    pub fn operations(&self) -> u64 {
        [self.output[0], self.output[1], self.groups, self.folds, self.chunks, self.taps()]
            .iter()
            .map(|&n| n as u64)
            .product()
    }

    /// First row of the window of the last output row, in rows of the map.
    pub fn last_row(&self) -> usize {
        ((self.output[0] - 1) * self.rows.stride).saturating_sub(self.rows.before)
    }

    /// Rows from the window of one frame's last output row to that of the next frame's first; negative where padding
    /// makes them overlap.
    pub fn jump(&self) -> isize {
        self.map.height as isize - ((self.output[0] - 1) * self.rows.stride) as isize
    }
}

/// FIFOs of more words and more bits than these are block RAM where the tools decide.
const DEEP_WORDS: usize = 64;
const DEEP_BITS: usize = 2048;
/// FIFOs of fewer words are never block RAM.
const BLOCK_WORDS: usize = 16;

/// Whether a FIFO of `depth` words is block RAM with a registered output.
pub(crate) fn is_deep(width: usize, depth: usize, memory: Memory) -> bool {
    match memory {
        Memory::Auto => depth > DEEP_WORDS && width * depth > DEEP_BITS,
        Memory::Block => depth >= BLOCK_WORDS,
        Memory::Distributed | Memory::Spram => false,
    }
}

impl Stage {
    /// Beats that the FIFO of its first, mostly only, output holds.
    pub fn depth(&self) -> usize {
        self.depths[0]
    }

    /// Whether the FIFO of output `port` is block RAM, which gives a beat one cycle later.
    pub fn deep(&self, port: usize) -> bool {
        let own = matches!(self.kind, Kind::Narrow { .. } | Kind::Egress { .. });
        !own && is_deep(self.output.width(), self.depths[port], self.memory)
    }

    /// Cycles from the issue of an operation to the first in which its beat can leave output `port`.
    pub fn latency_to(&self, port: usize) -> u64 {
        self.latency + u64::from(self.deep(port))
    }

    /// Beats it takes at input `port`.
    pub fn input_lanes(&self, port: usize) -> Lanes {
        match self.kind {
            Kind::Mix { other, .. } if port == 1 => other,
            _ => self.input,
        }
    }

    /// Name of the stream at input `port`.
    pub fn input_port(&self, port: usize) -> &'static str {
        match self.kind {
            Kind::Mix { .. } => ["x", "y"][port],
            _ => "s",
        }
    }

    /// Name of the stream at output `port`.
    pub fn output_port(&self, port: usize) -> String {
        match self.kind {
            Kind::Fork => format!("m{port}"),
            _ => "m".into(),
        }
    }

    /// Name of its module where that is its own and not shared by all stages of the same shape. Never the name of a net.
    pub fn module_name(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Mvau(_) => format!("{name}_mvau"),
            Kind::Step { .. } => format!("{name}_step"),
            Kind::Reduce { .. } => format!("{name}_pool"),
            Kind::GlobalSum { .. } => format!("{name}_global_sum"),
            Kind::Bias { .. } => format!("{name}_bias"),
            Kind::Mix { .. } => format!("{name}_mix"),
            Kind::Rescale { .. } => format!("{name}_rescale"),
            Kind::BitDepth { .. } => format!("{name}_bit_depth"),
            Kind::Median { .. } => format!("{name}_median"),
            Kind::Fork => {
                let depths = (0..self.depths.len()).map(|port| {
                    let deep = if self.deep(port) { "b" } else { "" };
                    format!("_{}{deep}", self.depths[port])
                });
                format!("dq_fork_{}_d{}", self.input.width(), depths.collect::<String>())
            }
            // These have it in the instance's name.
            Kind::Window(_) | Kind::ArgMax { .. } => name.clone(),
            Kind::Ingress { .. } => "dq_ingress".into(),
            Kind::Egress { .. } => "dq_egress".into(),
            Kind::Narrow { ratio } => format!("dq_narrow_{}x{ratio}_d{}", self.output.width(), self.depth()),
            Kind::Widen { ratio } => format!("dq_widen_{}x{ratio}_d{}", self.input.width(), self.depth()),
        }
    }

    /// How its operations map beats.
    pub fn schedule(&self) -> Schedule {
        match &self.kind {
            Kind::Ingress { .. }
            | Kind::Fork
            | Kind::Step { .. }
            | Kind::Mix { .. }
            | Kind::Rescale { .. }
            | Kind::BitDepth { .. }
            | Kind::Median { .. }
            | Kind::Bias { .. } => Schedule::Map { period: 1, tail: 1 },
            Kind::Widen { ratio } => Schedule::Map { period: *ratio, tail: 1 },
            Kind::Mvau(mvau) => Schedule::Map { period: mvau.taps, tail: 1 },
            Kind::Reduce { taps, .. } => Schedule::Map { period: *taps, tail: 1 },
            Kind::GlobalSum { pixels, chunks } => Schedule::Map { period: pixels * chunks, tail: *chunks },
            Kind::ArgMax { classes } => Schedule::Map { period: *classes, tail: 1 },
            Kind::Narrow { ratio } => Schedule::Split { ratio: *ratio },
            Kind::Egress { .. } => Schedule::Split { ratio: 1 },
            Kind::Window(window) => Schedule::Window(*window),
        }
    }
}
