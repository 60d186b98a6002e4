//! Defines float networks: the paper's float column, partly quantized networks ("A only") and substitutes for
//! transfer attacks. They share graph and file family with the integer network, and are refused where
//! hardware is meant.
//!
//! A float network is a type of its own, and no hardware function takes one.

mod file;
pub mod layer;

pub(crate) use file::{Document, FORMAT};
pub use file::{float_content_hash, read_float, write_float};
pub use layer::FloatLayer;

use crate::error::{Fault, NetworkError};
use crate::layer::Input;
use crate::provenance::Provenance;
use crate::{graph, shape::Shape};
use ndarray::{Array3, ArrayView3};

/// Describes one node of a float network.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNode {
    /// Name.
    pub name: String,
    /// The layer that it computes.
    pub layer: FloatLayer,
    /// Names of the earlier nodes that it reads.
    pub inputs: Vec<String>,
}

/// Holds a float network that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNetwork {
    /// Name of the network.
    pub name: String,
    /// Record of how it was made.
    pub provenance: Provenance,
    nodes: Vec<FloatNode>,
    sources: Vec<Vec<usize>>,
    shapes: Vec<Shape>,
}

impl FloatNetwork {
    /// Makes a network after checking names, graph, fields and shapes.
    pub fn new(name: impl Into<String>, nodes: Vec<FloatNode>) -> Result<Self, NetworkError> {
        let name = name.into();
        graph::check_network_name(&name)?;
        let sources = graph::resolve(nodes.iter().map(|n| (n.name.as_str(), n.inputs.as_slice())))?;
        let mut shapes: Vec<Shape> = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            let in_node = |fault| NetworkError::at(&node.name, fault);
            let wanted = node.layer.arity();
            if sources[i].len() != wanted {
                return Err(in_node(Fault::new("inputs", format!("{wanted} of them"), sources[i].len())));
            }
            if matches!(node.layer, FloatLayer::Input(_)) != (i == 0)
                || matches!(node.layer, FloatLayer::Logits(_)) != (i + 1 == nodes.len())
            {
                return Err(in_node(Fault::new(
                    "kind",
                    "the input first, the logits last, only there",
                    "another place",
                )));
            }
            let input = sources[i].first().map_or(Shape::new(1, 1, 1), |&s| shapes[s]);
            if sources[i].iter().any(|&s| shapes[s] != input) {
                return Err(in_node(Fault::new("inputs", format!("two of {input}"), shapes[sources[i][1]])));
            }
            shapes.push(node.layer.output(input).map_err(in_node)?);
            graph::check_total(&node.name, shapes.iter().map(Shape::len))?;
        }
        Ok(Self { name, provenance: Provenance::default(), nodes, sources, shapes })
    }

    /// Returns what is quantized, as tables name it: `A only` where activations have levels, else `float`.
    pub fn quantized(&self) -> &'static str {
        let levels = |node: &FloatNode| match &node.layer {
            FloatLayer::Activation(activation) => activation.bits.is_some(),
            layer => matches!(layer, FloatLayer::Levels(_)),
        };
        if self.nodes.iter().any(levels) { "A only" } else { "float" }
    }

    /// Returns the nodes in topological order.
    pub fn nodes(&self) -> &[FloatNode] {
        &self.nodes
    }

    /// Returns the positions of the nodes that node `i` reads.
    pub fn sources(&self, i: usize) -> &[usize] {
        &self.sources[i]
    }

    /// Returns the shape of node `i`'s output.
    pub fn shape(&self, i: usize) -> Shape {
        self.shapes[i]
    }

    /// Returns the shape of the image.
    pub fn input_shape(&self) -> Shape {
        self.shapes[0]
    }

    /// Returns its input: uint8 pixels.
    pub fn input(&self) -> Input {
        Input::pixels(self.input_shape())
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.shapes.last().expect("checked: not empty").channels
    }

    /// Returns the logits of one image, in plain loops of f64. This is the reference that everything fast is
    /// tested against.
    pub fn eval(&self, image: ArrayView3<u8>) -> Vec<f64> {
        assert_eq!(image.dim(), self.input_shape().dim(), "image shape");
        let mut outputs: Vec<Array3<f64>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<_> = self.sources[i].iter().map(|&s| outputs[s].view()).collect();
            let value = match &node.layer {
                FloatLayer::Input(_) => image.mapv(|p| f64::from(p) / 255.0),
                layer => layer.eval(&inputs, self.shapes[i]),
            };
            outputs.push(value);
        }
        outputs.pop().expect("checked: not empty").into_iter().collect()
    }
}
