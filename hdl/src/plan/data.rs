//! Defines the plan's data, as in `plan.json`: how much hardware every node gets. It is plain data;
//! [`super::check`] checks it against a network.

use crate::device::{Device, Family};
use dq_net::proved::ProvedRadius;
use dq_net::{Network, Squeezing};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of the file format.
pub const PLAN_VERSION: u32 = 1;
/// Most bits of a port of weights.
pub const MAX_PORT: usize = 1 << 16;
/// Most entries that a node's FIFO may have.
pub const MAX_FIFO: usize = 1 << 20;

/// Describes the hardware of a network, as in `plan.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always [`PLAN_VERSION`].
    pub version: u32,
    /// Whether scores or the label leave the circuit.
    pub output: Output,
    /// Clock in MHz that reports assume; nothing in the circuit depends on it.
    pub clock_mhz: u32,
    /// The device ([`crate::device::DEVICES`]) for which the circuit is made: memories are cut to its blocks.
    /// `None` takes the blocks of an ECP5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// How a detector squeezes images, where there is one: each frame then goes through the network twice,
    /// as it is and squeezed, and the label leaves with a flag in the top bit of its beat, high where both
    /// labels differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<Squeezing>,
    /// Euclidean radius, in levels of the input, for which each label says whether it is proved: `tuser` is high
    /// where no image within this radius has another label ([`dq_net::proved`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proved_radius: Option<u8>,
    /// What the AXI4-Lite control port offers, if there is one.
    #[serde(default, skip_serializing_if = "Control::is_none")]
    pub control: Control,
    /// One entry per convolution, dense layer and window pool; for other nodes only where a FIFO is wanted.
    pub nodes: Vec<NodePlan>,
}

/// Says what leaves the circuit for one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// The score of each class, one per beat, class 0 first.
    Scores,
    /// The label, one beat.
    Label,
}

/// Says what the control port ([`crate::control`]) offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// There is no port.
    #[default]
    None,
    /// Counters of frames and of each stage's stalls; the input can be held.
    Counters,
    /// Weights, thresholds and biases can be loaded as well: every width is that of the largest parameters
    /// of their bits, so that any network of the same shape fits.
    Load,
}

/// Describes the hardware of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePlan {
    /// Name of the node.
    pub node: String,
    /// Processing elements: outputs computed side by side. It divides the outputs of a group; 1 for a pool.
    #[serde(default = "one")]
    pub pe: usize,
    /// Inputs that each PE takes per cycle. It divides the input channels of a group; for a pool, the
    /// channels.
    #[serde(default = "one")]
    pub simd: usize,
    /// The place of weights, thresholds and factors.
    #[serde(default)]
    pub memory: Memory,
    /// Bits that a beat of the weights' port carries, where they come from outside. Where it is absent, a
    /// word of weights is a beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<usize>,
    /// How the products of a convolution or dense layer are built.
    #[serde(default, skip_serializing_if = "Mac::is_auto")]
    pub mac: Mac,
    /// The place of the line buffer.
    #[serde(default, skip_serializing_if = "Memory::is_auto")]
    pub lines: Memory,
    /// Entries of the output FIFO. Where it is absent, the FIFO has the fewest that keep full throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fifo: Option<usize>,
    /// Entries of the FIFO to each reader, in the order of the nodes that read, where there are several.
    /// Where it is empty, the FIFOs have the fewest that keep full throughput.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forks: Vec<usize>,
}

/// Says where a memory lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Memory {
    /// The tools decide by its size.
    #[default]
    Auto,
    /// Block RAM.
    Block,
    /// LUT RAM and LUT ROM.
    Distributed,
    /// Single-port RAM of 256 kbit (iCE40 UltraPlus; weights only): filled from the board's flash before the
    /// first frame.
    Spram,
    /// No memory of the circuit (weights only): they come through an AXI4-Stream port, word by word in the
    /// order in which they are used, again and again.
    Stream,
}

/// Says how a dot product is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mac {
    /// The smallest form for its bits and device.
    #[default]
    Auto,
    /// Bit planes of the weights choose among sums of pairs of levels; an adder tree per plane.
    Pairs,
    /// The same choice inside carry chains: weights of two bits and more, SIMD a multiple of 4.
    Chains,
    /// One bit for two products of bits, added in carry chains: SIMD a multiple of 4, not with parameters that
    /// can be loaded.
    BitPairs,
    /// One bit for two products of bits, added by full adders: SIMD even, not with parameters that can be loaded.
    BitHeap,
    /// Equal bits are counted: weights −1/+1, not with parameters that can be loaded.
    Xnor,
    /// DSP blocks multiply, two products per block where their bits leave room: weights of two bits and more.
    Dsp,
}

/// Says why a network cannot be built, or why a plan does not fit it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("node `{node}`, {field}: expected {expected}, found {found}")]
pub struct PlanError {
    /// Name of the node.
    pub node: String,
    /// Field of the plan (`pe`, `simd`, `fifo`), or `inputs` where the network itself is at fault.
    pub field: String,
    /// What would be right.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl PlanError {
    pub(crate) fn new(node: &str, field: &str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self { node: node.into(), field: field.into(), expected: expected.into(), found: found.to_string() }
    }
}

impl NodePlan {
    /// Returns an entry for `node` that chooses nothing: one lane, everything else left to the tools.
    pub fn new(node: &str) -> NodePlan {
        let (memory, mac) = (Memory::Auto, Mac::Auto);
        let (fifo, port) = (None, None);
        NodePlan { node: node.into(), pe: 1, simd: 1, memory, port, mac, lines: memory, fifo, forks: vec![] }
    }
}

impl Mac {
    /// Lists the forms that can be asked for.
    pub const FORMS: [Mac; 6] = [Mac::Pairs, Mac::Chains, Mac::BitPairs, Mac::BitHeap, Mac::Xnor, Mac::Dsp];

    /// Returns what it is, and what it is for, as help has it.
    pub fn about(self) -> &'static str {
        match self {
            Mac::Auto => "The smallest for its bits and device",
            Mac::Pairs => {
                "Bit planes of the weights choose among sums of pairs of levels; an adder tree per plane"
            }
            Mac::Chains => {
                "The same choice inside carry chains (weights of 2 bits or more, SIMD a multiple of 4)"
            }
            Mac::BitPairs => {
                "One bit for two products of bits, added in carry chains (SIMD a multiple of 4, not with \
                 --control load)"
            }
            Mac::BitHeap => {
                "One bit for two products of bits, added by full adders (SIMD even, not with --control load)"
            }
            Mac::Xnor => "Equal bits are counted (weights of 1 bit, not with --control load)",
            Mac::Dsp => "DSP blocks, two products per block where they fit (weights of 2 bits or more)",
        }
    }

    fn is_auto(&self) -> bool {
        *self == Mac::Auto
    }

    /// Returns its name in plans and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Mac::Auto => "auto",
            Mac::Pairs => "pairs",
            Mac::Chains => "chains",
            Mac::BitPairs => "bitpairs",
            Mac::BitHeap => "bitheap",
            Mac::Xnor => "xnor",
            Mac::Dsp => "dsp",
        }
    }
}

impl Memory {
    /// Returns where constants beside the weights live, which nobody loads.
    pub(crate) fn of_constants(self) -> Memory {
        match self {
            Memory::Spram | Memory::Stream => Memory::Auto,
            Memory::Auto | Memory::Block | Memory::Distributed => self,
        }
    }

    fn is_auto(&self) -> bool {
        *self == Memory::Auto
    }

    /// Returns its name in plans.
    pub fn name(self) -> &'static str {
        match self {
            Memory::Auto => "auto",
            Memory::Block => "block",
            Memory::Distributed => "distributed",
            Memory::Spram => "spram",
            Memory::Stream => "stream",
        }
    }
}

impl Control {
    fn is_none(&self) -> bool {
        *self == Control::None
    }
}

impl Plan {
    /// Returns the family of its device.
    pub fn family(&self) -> Family {
        self.device.as_deref().and_then(Device::find).map_or(Family::default(), |device| device.family)
    }

    /// Returns what proves labels of `network`, where the plan asks for it.
    pub fn proved(&self, network: &Network) -> Option<ProvedRadius> {
        self.proved_radius.map(|radius| ProvedRadius::new(network, radius))
    }

    /// Returns whether parameters must be loaded from flash before the first frame.
    pub fn boots(&self) -> bool {
        self.nodes.iter().any(|node| node.memory == Memory::Spram)
    }

    /// Returns whether weights of some node come from outside.
    pub fn streams(&self) -> bool {
        self.nodes.iter().any(|node| node.memory == Memory::Stream)
    }

    /// Returns the entry of `node`, if it has one.
    pub fn node(&self, node: &str) -> Option<&NodePlan> {
        self.nodes.iter().find(|plan| plan.node == node)
    }

    /// Returns the text of `plan.json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data") + "\n"
    }
}

fn one() -> usize {
    1
}
