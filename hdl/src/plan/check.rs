//! Checks whether a plan fits its network: once, at the door; afterwards nothing about it can fail.

use super::data::{
    Control, MAX_FIFO, MAX_PORT, Mac, Memory, NodePlan, Output, PLAN_VERSION, Plan, PlanError,
};
use super::wires;
use crate::device::{DEVICES, Device};
use crate::memory::banks::MOST_SPRAM_WORDS;
use crate::stage;
use crate::stage::hardware::{Limits, Rules};
use dq_net::Network;
use dq_net::proved::ProvedRadius;

impl Plan {
    /// Checks that every entry fits its node. Whether the FIFOs that it names deadlock is told by
    /// [`crate::pipeline::stages`].
    pub fn check(&self, network: &Network) -> Result<(), PlanError> {
        self.check_header()?;
        for (i, entry) in self.nodes.iter().enumerate() {
            let name = entry.node.as_str();
            let Some(position) = network.position(name) else {
                return Err(PlanError::new(
                    shown(name),
                    "node",
                    "a node of the network",
                    "none of this name",
                ));
            };
            if self.nodes[..i].iter().any(|earlier| earlier.node == name) {
                return Err(PlanError::new(name, "node", "one entry", "a second one"));
            }
            check_entry(network, position, entry)?;
        }
        for (i, node) in network.nodes().iter().enumerate() {
            if limits(network, i).is_some() && self.node(&node.name).is_none() {
                return Err(PlanError::new(&node.name, "node", "an entry in the plan", "none"));
            }
        }
        self.check_device()?;
        if self.detector.is_some() {
            check_detector(network, self.output)?;
        }
        if let Some(radius) = self.proved_radius {
            self.check_proved(network, radius)?;
        }
        if self.control == Control::Load {
            wires::check_loadable(network)?;
            if let Some(node) = self.nodes.iter().find(|node| !node.mac.loads()) {
                let expected = "another form: weights that can be loaded are not recoded";
                return Err(PlanError::new(&node.node, "mac", expected, node.mac.name()));
            }
            if let Some(node) = self.nodes.iter().find(|node| node.memory == Memory::Stream) {
                let expected = "another memory: the control port loads weights that the circuit holds";
                return Err(PlanError::new(&node.node, "memory", expected, node.memory.name()));
            }
        }
        Ok(())
    }

    /// Checks that labels of `network` can be proved within `radius`, and that nothing changes what they are
    /// proved for.
    fn check_proved(&self, network: &Network, radius: u8) -> Result<(), PlanError> {
        let refused =
            |expected: String, found: String| Err(PlanError::new("(plan)", "proved_radius", expected, found));
        if self.output != Output::Label {
            return refused("labels as output, each with its bit".into(), "scores".into());
        }
        if self.detector.is_some() {
            return refused("no detector beside it".into(), "one".into());
        }
        if self.control == Control::Load {
            let expected =
                "control none or counters: the bit is proved for the parameters of this network alone";
            return refused(expected.into(), "load".into());
        }
        let rule = ProvedRadius::new(network, radius);
        match rule.is_possible(network) {
            true => Ok(()),
            false => refused(
                "a radius for which some scores lead by enough (a bounded network: `model.normalization` aol)".into(),
                format!("{radius}, which takes a lead of {}: the bit would never be set", rule.lead),
            ),
        }
    }

    fn check_header(&self) -> Result<(), PlanError> {
        if self.version != PLAN_VERSION {
            return Err(PlanError::new("(plan)", "version", PLAN_VERSION.to_string(), self.version));
        }
        if !(1..=10_000).contains(&self.clock_mhz) {
            return Err(PlanError::new("(plan)", "clock_mhz", "1 to 10000", self.clock_mhz));
        }
        if let Some(name) = self.device.as_deref().filter(|name| Device::find(name).is_none()) {
            let known: Vec<&str> = DEVICES.iter().map(|device| device.name).collect();
            return Err(PlanError::new(
                "(plan)",
                "device",
                format!("one of {}", known.join(", ")),
                shown(name),
            ));
        }
        Ok(())
    }

    /// Checks that the device has the blocks that entries ask for.
    fn check_device(&self) -> Result<(), PlanError> {
        let device = self.device.as_deref().and_then(Device::find);
        let has_dsps = device.is_none_or(|device| device.dsp > 0);
        if let Some(node) = self.nodes.iter().find(|node| node.mac == Mac::Dsp && !has_dsps) {
            let expected = "another form: the device has no DSP blocks";
            return Err(PlanError::new(&node.node, "mac", expected, node.mac.name()));
        }
        let has_sprams = device.is_some_and(|device| device.spram > 0);
        let refused = match (self.control, has_sprams) {
            (_, false) => "another memory: the device has no SPRAM",
            (Control::None, true) => return Ok(()),
            (Control::Counters | Control::Load, true) => {
                "another memory: beside a control port nothing is loaded from flash"
            }
        };
        match self.nodes.iter().find(|node| node.memory == Memory::Spram) {
            Some(node) => Err(PlanError::new(&node.node, "memory", refused, node.memory.name())),
            None => Ok(()),
        }
    }
}

/// Checks that `network` can have a detector, and that `output` is the label.
pub fn check_detector(network: &Network, output: Output) -> Result<(), PlanError> {
    let refused = |expected: String, found: String| {
        Err(PlanError::new(&network.nodes()[0].name, "detector", expected, found))
    };
    if output != Output::Label {
        return refused("labels as output, which are compared".into(), "scores".into());
    }
    let input = network.input();
    if !input.has_pixels() {
        return refused("256 levels, as pixels have".into(), input.levels.to_string());
    }
    let pixels = input.shape.height * input.shape.width;
    if pixels > MAX_FIFO {
        return refused(
            format!("images of at most {MAX_FIFO} pixels, which wait in a FIFO"),
            pixels.to_string(),
        );
    }
    Ok(())
}

/// Cuts a name from a file to what a message can show.
fn shown(name: &str) -> &str {
    name.char_indices().nth(80).map_or(name, |(end, _)| &name[..end])
}

/// Returns what may be folded in node `i`; none where the node takes the lanes of its producer.
pub fn limits(network: &Network, i: usize) -> Option<Limits> {
    rules(network, i).limits
}

/// Returns what an entry may choose for node `i`.
fn rules(network: &Network, i: usize) -> Rules {
    let to = network.wire(i).shape;
    let from = network.sources(i).first().map_or(to, |&source| network.wire(source).shape);
    stage::of_layer(&network.nodes()[i].layer).rules(from, to)
}

/// Checks that `entry` fits node `i`.
pub fn check_entry(network: &Network, i: usize, entry: &NodePlan) -> Result<(), PlanError> {
    let (kind, rules) = (network.nodes()[i].layer.kind().name(), rules(network, i));
    check_folding(kind, &rules, entry)?;
    check_memories(kind, &rules, entry)?;
    check_products(kind, &rules, entry)?;
    check_forks(network.readers(i).len(), entry)?;
    check_lines(kind, &rules, entry)?;
    check_fifo(&rules, entry)
}

fn check_folding(kind: &str, rules: &Rules, entry: &NodePlan) -> Result<(), PlanError> {
    let Limits { outputs, inputs } = rules.limits.unwrap_or(Limits { outputs: 1, inputs: 1 });
    for (field, value, divides) in [("pe", entry.pe, outputs), ("simd", entry.simd, inputs)] {
        if value == 0 || !divides.is_multiple_of(value) {
            let expected = match rules.limits {
                None => format!("1 (a {kind} takes the lanes of the node before it)"),
                Some(_) => format!("a divisor of {divides}"),
            };
            return Err(PlanError::new(&entry.node, field, expected, value));
        }
    }
    Ok(())
}

fn check_memories(kind: &str, rules: &Rules, entry: &NodePlan) -> Result<(), PlanError> {
    let refused = |field, expected: String, place: Memory| {
        Err(PlanError::new(&entry.node, field, expected, place.name()))
    };
    if entry.memory != Memory::Auto && !rules.memory {
        return refused("memory", format!("auto (a {kind} has no memory to place)"), entry.memory);
    }
    if entry.memory == Memory::Spram {
        let Some(weights) = rules.weights else {
            let expected = format!("another memory (spram is for weights, a {kind} has none)");
            return refused("memory", expected, entry.memory);
        };
        let words = weights.count / (entry.pe * entry.simd);
        if words > MOST_SPRAM_WORDS {
            let expected =
                format!("another memory, or a larger pe or simd: SPRAMs hold {MOST_SPRAM_WORDS} words");
            return Err(PlanError::new(&entry.node, "memory", expected, format!("spram for {words} words")));
        }
    }
    if entry.memory == Memory::Stream && rules.weights.is_none() {
        let expected = format!("another memory (stream is for weights, a {kind} has none)");
        return refused("memory", expected, entry.memory);
    }
    if let Memory::Spram | Memory::Stream = entry.lines {
        let expected = format!("another memory ({} is for weights)", entry.lines.name());
        return refused("lines", expected, entry.lines);
    }
    check_port(entry)
}

fn check_port(entry: &NodePlan) -> Result<(), PlanError> {
    let refused =
        |expected: &str, bits: usize| Err(PlanError::new(&entry.node, "port", expected.to_owned(), bits));
    match entry.port {
        Some(bits) if entry.memory != Memory::Stream => {
            refused("none (a port is for weights whose memory is stream)", bits)
        }
        Some(bits) if bits == 0 || bits % 8 != 0 || bits > MAX_PORT => {
            refused(&format!("a multiple of 8 bits, at most {MAX_PORT}"), bits)
        }
        _ => Ok(()),
    }
}

fn check_products(kind: &str, rules: &Rules, entry: &NodePlan) -> Result<(), PlanError> {
    let expected = match rules.weights {
        _ if entry.mac == Mac::Auto => return Ok(()),
        Some(weights) if entry.mac.fits(entry.simd, weights.bits) => return Ok(()),
        Some(weights) => format!("another form ({})", entry.mac.demands(weights.bits)),
        None => format!("auto (a {kind} has no products)"),
    };
    Err(PlanError::new(&entry.node, "mac", expected, entry.mac.name()))
}

fn check_forks(readers: usize, entry: &NodePlan) -> Result<(), PlanError> {
    if !entry.forks.is_empty() && (entry.forks.len() != readers || readers < 2) {
        let expected = match readers {
            0 | 1 => format!("none: {readers} readers, no fork"),
            _ => format!("{readers} FIFOs, one a reader"),
        };
        return Err(PlanError::new(&entry.node, "forks", expected, entry.forks.len()));
    }
    if let Some(port) = entry.forks.iter().position(|depth| !(2..=MAX_FIFO).contains(depth)) {
        let expected = format!("2 to {MAX_FIFO} entries");
        return Err(PlanError::new(&entry.node, &format!("forks[{port}]"), expected, entry.forks[port]));
    }
    Ok(())
}

fn check_lines(kind: &str, rules: &Rules, entry: &NodePlan) -> Result<(), PlanError> {
    if entry.lines != Memory::Auto && !rules.lines {
        let expected = format!("auto (a {kind} has no line buffer)");
        return Err(PlanError::new(&entry.node, "lines", expected, entry.lines.name()));
    }
    Ok(())
}

fn check_fifo(rules: &Rules, entry: &NodePlan) -> Result<(), PlanError> {
    match entry.fifo {
        Some(_) if !rules.fifo => {
            Err(PlanError::new(&entry.node, "fifo", "none: its stream has a FIFO of 2", "one"))
        }
        Some(depth) if !(2..=MAX_FIFO).contains(&depth) => {
            Err(PlanError::new(&entry.node, "fifo", format!("2 to {MAX_FIFO} entries"), depth))
        }
        _ => Ok(()),
    }
}
