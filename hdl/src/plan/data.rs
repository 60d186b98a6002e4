//! The plan: how much hardware every node gets. Read from `plan.json` or chosen by [`super::planner`]; checked here
//! against its network, once; afterwards nothing about it can fail. Never says what a layer computes.

use super::wires;
use crate::device::{DEVICES, Device, Family};
use crate::memory::banks;
use dq_net::layer::Layer;
use dq_net::{Network, atomic};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Version of the file format.
pub const PLAN_VERSION: u32 = 1;
/// Entries a node's FIFO may have.
pub const MAX_FIFO: usize = 1 << 20;

/// The hardware of a network, as in `plan.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// What leaves the circuit.
    pub output: Output,
    /// Clock in MHz that reports assume; nothing in the circuit depends on it.
    pub clock_mhz: u32,
    /// The device ([`crate::device::DEVICES`]) that it is made for: memories are cut to its blocks. None: as an ECP5's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What the AXI4-Lite control port offers, if there is one.
    #[serde(default, skip_serializing_if = "Control::is_none")]
    pub control: Control,
    /// One entry a convolution, dense layer and window pool; for other nodes only where a FIFO is wanted.
    pub nodes: Vec<NodePlan>,
}

/// What leaves the circuit for one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// The score of each class, one a beat, class 0 first.
    Scores,
    /// The label, one beat.
    Label,
}

/// What the control port ([`crate::control`]) offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// There is no port.
    #[default]
    None,
    /// Counters of frames and of each stage's stalls; the input can be held.
    Counters,
    /// Weights, thresholds and biases can be loaded as well: every width is that of the largest parameters of their
    /// bits, so that any network of the same shape fits.
    Load,
}

/// The hardware of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePlan {
    /// The node.
    pub node: String,
    /// Processing elements: outputs computed side by side. Divides the outputs of a group; 1 for a pool.
    #[serde(default = "one")]
    pub pe: usize,
    /// Inputs each PE takes a cycle. Divides the input channels of a group; for a pool, the channels.
    #[serde(default = "one")]
    pub simd: usize,
    /// Where weights, thresholds and factors live.
    #[serde(default)]
    pub memory: Memory,
    /// How the products of a convolution or dense layer are built.
    #[serde(default, skip_serializing_if = "Mac::is_auto")]
    pub mac: Mac,
    /// Where the line buffer lives.
    #[serde(default, skip_serializing_if = "Memory::is_auto")]
    pub lines: Memory,
    /// Entries of the output FIFO; absent: the fewest that keep full throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fifo: Option<usize>,
    /// Entries of the FIFO to each reader, in the order of the nodes that read, where there are several; empty: the
    /// fewest that keep full throughput.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forks: Vec<usize>,
}

/// Where a memory lives.
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
    /// Single-port RAM of 256 kbit (iCE40 UltraPlus; weights only): filled from the board's flash before the first frame.
    Spram,
}

/// How a dot product is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mac {
    /// The smallest for its bits and device.
    #[default]
    Auto,
    /// Bit planes of the weights choose among sums of pairs of levels; an adder tree a plane.
    Pairs,
    /// The same choice inside carry chains: weights of two bits and more, SIMD a multiple of 4.
    Chains,
    /// Equal bits are counted: weights −1/+1, not with parameters that can be loaded.
    Xnor,
    /// DSP blocks multiply, two products a block where their bits leave room: weights of two bits and more.
    Dsp,
}

/// Why a network cannot be built, or a plan does not fit it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("node `{node}`, {field}: expected {expected}, found {found}")]
pub struct PlanError {
    /// The node.
    pub node: String,
    /// Field of the plan (`pe`, `simd`, `fifo`), or `inputs` where the network itself is at fault.
    pub field: String,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Why a plan file could not be read or written.
#[derive(Debug, Error)]
pub enum PlanFileError {
    /// The operating system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not JSON, or not of this structure.
    #[error("{path}: not a plan: {source}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// It does not fit the network.
    #[error("{path}: {source}", path = path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// Node and field.
        source: PlanError,
    },
}

/// How a node that folds may be folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `pe` divides this: outputs of a group (1 for a pool).
    pub outputs: usize,
    /// `simd` divides this: input channels of a group (channels of a pool).
    pub inputs: usize,
}

impl PlanError {
    pub(crate) fn new(node: &str, field: &str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self { node: node.into(), field: field.into(), expected: expected.into(), found: found.to_string() }
    }
}

impl Mac {
    fn is_auto(&self) -> bool {
        *self == Mac::Auto
    }

    /// Whether `simd` products with weights of so many bits can be built so.
    pub fn fits(self, simd: usize, weight_bits: usize) -> bool {
        match self {
            Mac::Auto | Mac::Pairs => true,
            Mac::Chains => weight_bits >= 2 && simd.is_multiple_of(4),
            Mac::Xnor => weight_bits == 1,
            Mac::Dsp => weight_bits >= 2,
        }
    }
}

impl Memory {
    /// Where constants beside the weights live, which nobody loads.
    pub(crate) fn of_constants(self) -> Memory {
        if self == Memory::Spram { Memory::Auto } else { self }
    }

    fn is_auto(&self) -> bool {
        *self == Memory::Auto
    }
}

impl Control {
    fn is_none(&self) -> bool {
        *self == Control::None
    }
}

impl Plan {
    /// The family of its device.
    pub fn family(&self) -> Family {
        self.device.as_deref().and_then(Device::find).map_or(Family::default(), |device| device.family)
    }

    /// Whether parameters must be loaded from flash before the first frame.
    pub fn boots(&self) -> bool {
        self.nodes.iter().any(|node| node.memory == Memory::Spram)
    }

    /// The entry of `node`, if it has one.
    pub fn node(&self, node: &str) -> Option<&NodePlan> {
        self.nodes.iter().find(|plan| plan.node == node)
    }

    /// Reads and checks `text`; `path` only names it in errors.
    pub fn from_json(path: &Path, text: &str, network: &Network) -> Result<Plan, PlanFileError> {
        let plan: Plan = serde_json::from_str(text)
            .map_err(|source| PlanFileError::Syntax { path: path.into(), source })?;
        plan.check(network).map_err(|source| PlanFileError::Plan { path: path.into(), source })?;
        Ok(plan)
    }

    /// Reads and checks a plan file.
    pub fn read(path: &Path, network: &Network) -> Result<Plan, PlanFileError> {
        let text = dq_net::read::text(path, 1 << 26)
            .map_err(|source| PlanFileError::Io { path: path.into(), source })?;
        Self::from_json(path, &text, network)
    }

    /// Writes a plan file, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), PlanFileError> {
        atomic::write(path, self.to_json().as_bytes())
            .map_err(|source| PlanFileError::Io { path: path.into(), source })
    }

    /// The text of `plan.json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data") + "\n"
    }

    /// Whether every entry fits its node. Whether the FIFOs it names deadlock, [`crate::pipeline::stages`] says.
    pub fn check(&self, network: &Network) -> Result<(), PlanError> {
        if self.version != PLAN_VERSION {
            return Err(PlanError::new("(plan)", "version", PLAN_VERSION.to_string(), self.version));
        }
        if !(1..=10_000).contains(&self.clock_mhz) {
            return Err(PlanError::new("(plan)", "clock_mhz", "1 to 10000", self.clock_mhz));
        }
        if let Some(name) = self.device.as_deref().filter(|name| Device::find(name).is_none()) {
            let known: Vec<&str> = DEVICES.iter().map(|device| device.name).collect();
            let shown: String = name.chars().take(80).collect();
            return Err(PlanError::new("(plan)", "device", format!("one of {}", known.join(", ")), shown));
        }
        for (i, plan) in self.nodes.iter().enumerate() {
            let name = plan.node.as_str();
            let shown: String = name.chars().take(80).collect();
            let Some(position) = network.position(name) else {
                return Err(PlanError::new(&shown, "node", "a node of the network", "none of this name"));
            };
            if self.nodes[..i].iter().any(|earlier| earlier.node == name) {
                return Err(PlanError::new(name, "node", "one entry", "a second one"));
            }
            check_entry(network, position, plan)?;
        }
        for (i, node) in network.nodes().iter().enumerate() {
            if limits(network, i).is_some() && self.node(&node.name).is_none() {
                return Err(PlanError::new(&node.name, "node", "an entry in the plan", "none"));
            }
        }
        let blocks = self.device.as_deref().and_then(Device::find).map_or(u64::MAX, |device| device.dsp);
        if let Some(node) = self.nodes.iter().find(|node| node.mac == Mac::Dsp && blocks == 0) {
            let expected = "another form: the device has no DSP blocks";
            return Err(PlanError::new(&node.node, "mac", expected, "dsp"));
        }
        if let Some(node) = self.nodes.iter().find(|node| node.memory == Memory::Spram) {
            let device = self.device.as_deref().and_then(Device::find);
            let refused = match (self.control, device.is_some_and(|device| device.spram > 0)) {
                (_, false) => Some("another memory: the device has no SPRAM"),
                (Control::None, true) => None,
                _ => Some("another memory: beside a control port nothing is loaded from flash"),
            };
            if let Some(expected) = refused {
                return Err(PlanError::new(&node.node, "memory", expected, "spram"));
            }
        }
        if self.control == Control::Load {
            wires::check_loadable(network)?;
            if let Some(node) = self.nodes.iter().find(|node| node.mac == Mac::Xnor) {
                let expected = "another form: weights that can be loaded are not recoded";
                return Err(PlanError::new(&node.node, "mac", expected, "xnor"));
            }
        }
        Ok(())
    }
}

/// What may be folded in node `i`; none where the node takes the lanes of its producer.
pub fn limits(network: &Network, i: usize) -> Option<Limits> {
    match &network.nodes()[i].layer {
        Layer::Conv(conv) => {
            let (outputs, _, _, inputs) = conv.weights.dim();
            Some(Limits { outputs: outputs / conv.groups, inputs })
        }
        Layer::Dense(dense) => {
            let inputs = network.wire(network.sources(i)[0]).shape.channels;
            Some(Limits { outputs: dense.weights.dim().0, inputs })
        }
        Layer::MaxPool(_) | Layer::SumPool(_) => {
            Some(Limits { outputs: 1, inputs: network.wire(i).shape.channels })
        }
        Layer::Input(_)
        | Layer::Step(_)
        | Layer::Mix(_)
        | Layer::Rescale(_)
        | Layer::BitDepth(_)
        | Layer::Median(_)
        | Layer::GlobalSum(_)
        | Layer::Logits(_) => None,
    }
}

/// What a node's entry may place beside its folding.
struct Extras {
    /// Where the memory of its stage lives.
    memory: bool,
    /// Where its line buffer lives.
    lines: bool,
    /// How many beats its FIFO holds.
    fifo: bool,
}

impl Extras {
    fn of(layer: &Layer) -> Extras {
        match layer {
            Layer::Conv(_) | Layer::Dense(_) => Extras { memory: true, lines: true, fifo: true },
            Layer::MaxPool(_) | Layer::SumPool(_) => Extras { memory: true, lines: true, fifo: true },
            Layer::Step(_) | Layer::Rescale(_) | Layer::Median(_) => {
                Extras { memory: true, lines: false, fifo: true }
            }
            Layer::Mix(_) | Layer::BitDepth(_) | Layer::GlobalSum(_) => {
                Extras { memory: false, lines: false, fifo: true }
            }
            Layer::Input(_) | Layer::Logits(_) => Extras { memory: false, lines: false, fifo: false },
        }
    }
}

pub(crate) fn check_entry(network: &Network, i: usize, plan: &NodePlan) -> Result<(), PlanError> {
    let readers = network.readers(i).len();
    let kind = network.nodes()[i].layer.kind().name();
    let (pe, simd, unfolded) = match limits(network, i) {
        Some(limits) => (limits.outputs, limits.inputs, false),
        None => (1, 1, true),
    };
    for (field, value, divides) in [("pe", plan.pe, pe), ("simd", plan.simd, simd)] {
        if value == 0 || !divides.is_multiple_of(value) {
            let expected = if unfolded {
                format!("1 (a {kind} takes the lanes of the node before it)")
            } else {
                format!("a divisor of {divides}")
            };
            return Err(PlanError::new(&plan.node, field, expected, value));
        }
    }
    let has = Extras::of(&network.nodes()[i].layer);
    if plan.memory != Memory::Auto && !has.memory {
        let found = format!("{:?}", plan.memory).to_lowercase();
        return Err(PlanError::new(
            &plan.node,
            "memory",
            format!("auto (a {kind} has no memory to place)"),
            found,
        ));
    }
    let weight_bits = network.nodes()[i].layer.weight_bits();
    if plan.memory == Memory::Spram && weight_bits.is_none() {
        let expected = format!("another memory (spram is for weights, a {kind} has none)");
        return Err(PlanError::new(&plan.node, "memory", expected, "spram"));
    }
    let words = match &network.nodes()[i].layer {
        Layer::Conv(conv) => conv.weights.len(),
        Layer::Dense(dense) => dense.weights.len(),
        Layer::Input(_)
        | Layer::Step(_)
        | Layer::MaxPool(_)
        | Layer::SumPool(_)
        | Layer::Mix(_)
        | Layer::Rescale(_)
        | Layer::BitDepth(_)
        | Layer::Median(_)
        | Layer::GlobalSum(_)
        | Layer::Logits(_) => 0,
    } / (plan.pe * plan.simd);
    if plan.memory == Memory::Spram && words > banks::MOST_SPRAM_WORDS {
        let most = banks::MOST_SPRAM_WORDS;
        let expected = format!("another memory, or a larger pe or simd: SPRAMs hold {most} words");
        return Err(PlanError::new(&plan.node, "memory", expected, format!("spram for {words} words")));
    }
    if plan.lines == Memory::Spram {
        let expected = "another memory (spram is for weights)";
        return Err(PlanError::new(&plan.node, "lines", expected, "spram"));
    }
    if plan.mac != Mac::Auto && !weight_bits.is_some_and(|bits| plan.mac.fits(plan.simd, bits.into())) {
        let expected = match (plan.mac, weight_bits) {
            (_, None) => format!("auto (a {kind} has no products)"),
            (Mac::Xnor, Some(_)) => "another form (xnor is for weights of 1 bit)".into(),
            (Mac::Dsp, Some(_)) => "another form (dsp is for weights of 2 bits or more)".into(),
            (_, Some(_)) => {
                "another form (chains are for weights of 2 bits or more, simd a multiple of 4)".into()
            }
        };
        return Err(PlanError::new(&plan.node, "mac", expected, format!("{:?}", plan.mac).to_lowercase()));
    }
    if !plan.forks.is_empty() && (plan.forks.len() != readers || readers < 2) {
        let expected = match readers {
            0 | 1 => format!("none: {readers} readers, no fork"),
            _ => format!("{readers} FIFOs, one a reader"),
        };
        return Err(PlanError::new(&plan.node, "forks", expected, plan.forks.len()));
    }
    if let Some(port) = plan.forks.iter().position(|depth| !(2..=MAX_FIFO).contains(depth)) {
        let expected = format!("2 to {MAX_FIFO} entries");
        return Err(PlanError::new(&plan.node, &format!("forks[{port}]"), expected, plan.forks[port]));
    }
    if plan.lines != Memory::Auto && !has.lines {
        let found = format!("{:?}", plan.lines).to_lowercase();
        return Err(PlanError::new(
            &plan.node,
            "lines",
            format!("auto (a {kind} has no line buffer)"),
            found,
        ));
    }
    match plan.fifo {
        Some(_) if !has.fifo => {
            Err(PlanError::new(&plan.node, "fifo", "none: its stream has a FIFO of 2", "one"))
        }
        Some(depth) if !(2..=MAX_FIFO).contains(&depth) => {
            Err(PlanError::new(&plan.node, "fifo", format!("2 to {MAX_FIFO} entries"), depth))
        }
        _ => Ok(()),
    }
}

fn one() -> usize {
    1
}
