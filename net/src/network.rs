//! Defines the integer network: named nodes in topological order, which its constructor checks once and for
//! all.

use crate::error::{Fault, NetworkError};
use crate::layer::{Input, Layer, Logits};
use crate::provenance::{Proof, Provenance};
use crate::{graph, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3, Axis};

/// Describes one node: a layer and the names of the nodes that it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name of the node, and in hardware of its instance and its ROM.
    pub name: String,
    /// The layer that it computes.
    pub layer: Layer,
    /// Names of the earlier nodes that it reads.
    pub inputs: Vec<String>,
}

/// Holds a network that passed every check. All arithmetic is integer and deterministic.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Name of the network.
    pub name: String,
    /// Record of how it was made.
    pub provenance: Provenance,
    /// The proof that it agrees with its float model, if one was made.
    pub proof: Option<Proof>,
    nodes: Vec<Node>,
    sources: Vec<Vec<usize>>,
    readers: Vec<Vec<usize>>,
    wires: Vec<Wire>,
    units: Vec<Option<f64>>,
}

impl Network {
    /// Makes a network after checking names, graph, fields, shapes and ranges, and that every accumulator
    /// fits. The first node is the one Input, the last one the Logits.
    pub fn new(name: impl Into<String>, nodes: Vec<Node>) -> Result<Self, NetworkError> {
        let name = name.into();
        graph::check_network_name(&name)?;
        let sources = graph::resolve(nodes.iter().map(|n| (n.name.as_str(), n.inputs.as_slice())))?;
        let mut wires: Vec<Wire> = Vec::with_capacity(nodes.len());
        let mut units: Vec<Option<f64>> = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            let wire = check_node(&nodes, i, &sources[i], &wires);
            wires.push(wire.map_err(|fault| NetworkError::at(&node.name, fault))?);
            let inputs: Vec<Option<f64>> = sources[i].iter().map(|&source| units[source]).collect();
            let shape = wires[sources[i].first().copied().unwrap_or(i)].shape;
            units.push(node.layer.kind().unit(&inputs, shape));
            graph::check_total(&node.name, wires.iter().map(|wire| wire.shape.len()))?;
        }
        let mut readers = vec![vec![]; nodes.len()];
        for (reader, sources) in sources.iter().enumerate() {
            sources.iter().for_each(|&source| readers[source].push(reader));
        }
        Ok(Self {
            name,
            provenance: Provenance::default(),
            proof: None,
            nodes,
            sources,
            readers,
            wires,
            units,
        })
    }

    /// Returns the nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the positions of the nodes that node `i` reads.
    pub fn sources(&self, i: usize) -> &[usize] {
        &self.sources[i]
    }

    /// Returns the positions of the nodes that read node `i`, ascending; a node that reads it twice stands
    /// there twice.
    pub fn readers(&self, i: usize) -> &[usize] {
        &self.readers[i]
    }

    /// Returns the shape and range of node `i`'s output.
    pub fn wire(&self, i: usize) -> Wire {
        self.wires[i]
    }

    /// Returns the position of the node called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|n| n.name == name)
    }

    /// Returns the shape of the image.
    pub fn input_shape(&self) -> Shape {
        self.wires[0].shape
    }

    /// Returns the input: the shape of the image and its levels.
    pub fn input(&self) -> Input {
        match self.nodes[0].layer {
            Layer::Input(input) => input,
            _ => unreachable!("checked: the first node is the input"),
        }
    }

    /// Returns the last node.
    pub fn logits(&self) -> &Logits {
        match &self.nodes.last().expect("checked: not empty").layer {
            Layer::Logits(logits) => logits,
            _ => unreachable!("checked: the last node is the logits"),
        }
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.logits().bias.len()
    }

    /// Returns the multiply-accumulates of node `i` for one image.
    pub fn macs(&self, i: usize) -> u64 {
        let input = self.sources[i].first().map_or(self.wires[i].shape, |&s| self.wires[s].shape);
        self.nodes[i].layer.kind().macs(input, self.wires[i].shape)
    }

    /// Returns the real value of one unit of node `i`'s output (for people and norms): that of the input
    /// (1/255 for pixels), the step's unit after it and after a rescale, that of the first input after a mix,
    /// that of both inputs
    /// after a concat, divided by the window's size after a sum (which stands for a mean); `None` for
    /// accumulators.
    pub fn unit(&self, i: usize) -> Option<f64> {
        self.units[i]
    }

    /// Returns every node's output for one image (height × width × channels), in node order. This is the
    /// reference that everything fast is tested against.
    ///
    /// # Panics
    /// If the image is not of [`Network::input_shape`], or has levels that the input has not.
    pub fn eval_nodes(&self, image: ArrayView3<u8>) -> Vec<Array3<i32>> {
        assert_eq!(image.dim(), self.input_shape().dim(), "image shape");
        self.input().check_images(image.insert_axis(Axis(0))).unwrap_or_else(|fault| panic!("{fault}"));
        let mut outputs: Vec<Array3<i32>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<_> = self.sources[i].iter().map(|&s| outputs[s].view()).collect();
            let output = match &node.layer {
                Layer::Input(_) => image.mapv(i32::from),
                layer => layer.kind().eval(&inputs),
            };
            outputs.push(output);
        }
        outputs
    }

    /// Returns the scores of one image, by the reference.
    pub fn eval(&self, image: ArrayView3<u8>) -> Vec<i32> {
        self.eval_nodes(image).pop().expect("checked: not empty").into_iter().collect()
    }
}

/// Checks node `i` and returns its output wire.
fn check_node(nodes: &[Node], i: usize, sources: &[usize], wires: &[Wire]) -> Result<Wire, Fault> {
    let layer = &nodes[i].layer;
    let kind = layer.kind();
    let place = |first: bool, last: bool, found: &str| {
        let rule = match (first, last) {
            (true, _) => "the input as the first node, and only there",
            _ => "the logits as the last node, and only there",
        };
        Err(Fault::new("kind", rule, found))
    };
    if matches!(layer, Layer::Input(_)) != (i == 0) {
        return place(true, false, kind.name());
    }
    if matches!(layer, Layer::Logits(_)) != (i + 1 == nodes.len()) {
        return place(false, true, kind.name());
    }
    if sources.len() != kind.arity() {
        return Err(Fault::new("inputs", format!("{} of them", kind.arity()), sources.len()));
    }
    kind.check()?;
    let inputs: Vec<Wire> = sources.iter().map(|&s| wires[s]).collect();
    let shape = kind.shape(&inputs.iter().map(|w| w.shape).collect::<Vec<_>>())?;
    let range: Range = kind.range(&inputs)?;
    if !range.fits_accumulator() {
        return Err(Fault::new("range", "accumulators within ±2^30", range));
    }
    Ok(Wire { shape, range })
}
