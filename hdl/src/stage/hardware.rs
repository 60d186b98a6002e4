//! Defines what a kind of layer says of itself as hardware: what a plan may choose for it, how wide its
//! values can become, and which stages it becomes. It is implemented beside the stage that computes the
//! layer.

use crate::pipeline::build::{Build, Stream};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Describes a kind of layer as hardware.
pub trait Hardware: Share + Send + Sync {
    /// Returns what a plan's entry may choose where the layer makes a map of shape `to` of one of shape
    /// `from`.
    fn rules(&self, from: Shape, to: Shape) -> Rules;

    /// Returns what its output may be for any parameters of the same bits, of inputs that may be `inputs`;
    /// `own` is what it may be for its own.
    fn widest(&self, inputs: &[Wire], own: Range) -> Range;

    /// Adds the stages of a node of this layer, and gives its stream.
    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream;
}

/// Lets stages hold a share of a layer, so that no parameter is copied from stage to stage.
pub trait Share {
    /// Returns a copy that is shared.
    fn share(&self) -> Arc<dyn Hardware>;
}

impl<L: Hardware + Clone + 'static> Share for L {
    fn share(&self) -> Arc<dyn Hardware> {
        Arc::new(self.clone())
    }
}

/// Describes a node whose stages are being made.
pub struct Node {
    /// The streams that it reads.
    pub inputs: Vec<Stream>,
    /// Shape and range of each input.
    pub from: Vec<Wire>,
    /// Shape and range of the output.
    pub to: Wire,
}

/// Says what a plan's entry may choose for a node.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Limits of its folding; `None` where it takes the lanes of the node before it.
    pub limits: Option<Limits>,
    /// Its weights, where it has any.
    pub weights: Option<Weights>,
    /// Whether there is a memory to place.
    pub memory: bool,
    /// Whether there is a line buffer to place.
    pub lines: bool,
    /// Whether its FIFO may be sized.
    pub fifo: bool,
}

/// Says how a node that folds may be folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of outputs of a group (1 for a pool), which `pe` divides.
    pub outputs: usize,
    /// Number of input channels of a group (channels of a pool), which `simd` divides.
    pub inputs: usize,
}

/// Counts the weights of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// Number of weights.
    pub count: usize,
    /// Bits of each weight.
    pub bits: usize,
}

impl Rules {
    /// Returns the rules of a layer that folds, with a line buffer before it.
    pub fn folded(limits: Limits, weights: Option<Weights>) -> Rules {
        Rules { limits: Some(limits), weights, memory: true, lines: true, fifo: true }
    }

    /// Returns the rules of a layer that takes the lanes of the one before it, with a `memory` to place or
    /// none.
    pub fn in_step(memory: bool) -> Rules {
        Rules { limits: None, weights: None, memory, lines: false, fifo: true }
    }

    /// Returns the rules of the layers at both ends of the circuit, whose FIFO is fixed.
    pub fn at_end() -> Rules {
        Rules { limits: None, weights: None, memory: false, lines: false, fifo: false }
    }
}
