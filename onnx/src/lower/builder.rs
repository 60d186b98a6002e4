//! Collects the integer network's nodes, each checked against the rules of its kind as it comes.

use dq_net::{Fault, Layer, Network, NetworkError, Node, Wire};
use std::collections::HashSet;

/// The nodes so far. Node 0 is the input.
#[derive(Default)]
pub struct Builder {
    nodes: Vec<Node>,
    wires: Vec<Wire>,
    names: HashSet<String>,
}

impl Builder {
    /// Adds a node that reads the nodes `inputs`; its name becomes one that the network takes.
    pub fn push(&mut self, name: &str, layer: Layer, inputs: &[usize]) -> Result<usize, String> {
        let wire = self
            .wire_of(&layer, inputs)
            .map_err(|f| format!("{}: expected {}, found {}", f.field, f.expected, f.found))?;
        let name = self.free_name(name, layer.kind().name());
        let inputs = inputs.iter().map(|&i| self.nodes[i].name.clone()).collect();
        self.nodes.push(Node { name, layer, inputs });
        self.wires.push(wire);
        Ok(self.nodes.len() - 1)
    }

    fn wire_of(&self, layer: &Layer, inputs: &[usize]) -> Result<Wire, Fault> {
        let kind = layer.kind();
        kind.check()?;
        let inputs: Vec<Wire> = inputs.iter().map(|&i| self.wires[i]).collect();
        let shape = kind.shape(&inputs.iter().map(|w| w.shape).collect::<Vec<_>>())?;
        let range = kind.range(&inputs)?;
        if !range.fits_accumulator() {
            return Err(Fault::new("accumulators", "sums within ±2^30", range));
        }
        Ok(Wire { shape, range })
    }

    /// Returns a node's shape and range.
    pub fn wire(&self, node: usize) -> Wire {
        self.wires[node]
    }

    /// Returns a node's layer.
    pub fn layer(&self, node: usize) -> &Layer {
        &self.nodes[node].layer
    }

    /// Returns the nodes that a node reads.
    pub fn inputs(&self, node: usize) -> Vec<usize> {
        let place = |name: &String| self.nodes.iter().position(|n| n.name == *name).expect("pushed before");
        self.nodes[node].inputs.iter().map(place).collect()
    }

    /// Returns a node's name.
    pub fn name(&self, node: usize) -> &str {
        &self.nodes[node].name
    }

    /// Returns a name of lower-case letters, digits and `_` that no node has yet.
    fn free_name(&mut self, wanted: &str, kind: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let parts: String = wanted.chars().take(200).map(plain).collect();
        let mut base = parts.split('_').filter(|p| !p.is_empty()).collect::<Vec<_>>().join("_");
        if base.len() > 48 {
            base = base[base.len() - 48..].trim_start_matches('_').into();
        }
        if !base.starts_with(|c: char| c.is_ascii_lowercase()) {
            base = if base.is_empty() { kind.into() } else { format!("{kind}_{base}") };
        }
        let mut name = base.clone();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{base}_{count}");
        }
        name
    }

    /// Makes the network of the nodes that the last one needs.
    pub fn network(&self, name: &str) -> Result<Network, NetworkError> {
        let mut needed: HashSet<&str> = self.nodes.last().map(|n| n.name.as_str()).into_iter().collect();
        for node in self.nodes.iter().rev() {
            if needed.contains(node.name.as_str()) {
                needed.extend(node.inputs.iter().map(String::as_str));
            }
        }
        let nodes = self.nodes.iter().filter(|n| needed.contains(n.name.as_str())).cloned().collect();
        Network::new(name, nodes)
    }
}
