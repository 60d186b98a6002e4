//! Defines float networks: the paper's float column, partly quantized networks ("A only") and substitutes for
//! transfer attacks. They share graph and file family with the integer network, and are refused where
//! hardware is meant.

mod check;
mod eval;
mod file;

pub(crate) use file::{Document, FORMAT};
pub use file::{read_float, write_float};

use crate::error::{Fault, NetworkError};
use crate::layer::window::Axis;
use crate::provenance::Provenance;
use crate::{graph, shape::Shape};
use ndarray::{Array2, Array3, Array4, ArrayView3};

/// One layer of a float network. Values are real: a pixel is `uint8 / 255`.
#[derive(Clone, Debug, PartialEq)]
pub enum FloatLayer {
    /// The image.
    Input {
        /// Shape of the image.
        shape: Shape,
    },
    /// Convolution without bias, padded with 0.
    Conv {
        /// Output channel × kernel row × kernel column × input channel of the group.
        weights: Array4<f32>,
        /// Strides: rows, columns.
        stride: [usize; 2],
        /// Padding: top, bottom, left, right.
        pad: [usize; 4],
        /// Groups.
        groups: usize,
    },
    /// Fully connected, over the feature map in stream order.
    Dense {
        /// Output × input element.
        weights: Array2<f32>,
    },
    /// `clip(scale·x + bias, 0, ceiling)`, then uniform levels where `bits` is given.
    Activation {
        /// Gain per channel (batch normalization folded).
        scale: Vec<f32>,
        /// Bias per channel.
        bias: Vec<f32>,
        /// 6 for ReLU6.
        ceiling: f32,
        /// Rounds (half to even) to `2^bits − 1` steps of `ceiling`.
        bits: Option<u8>,
    },
    /// `unit · #{p ≤ scale·x + bias}`: tanh or sign, whose levels count from 0 (what reads them has taken the
    /// constant away). The straight-through gradient is that of a straight line through −1…1.
    Levels {
        /// Gain per channel (batch normalization folded).
        scale: Vec<f32>,
        /// Bias per channel.
        bias: Vec<f32>,
        /// Where each level from 1 is reached, rising.
        points: Vec<f32>,
        /// Real value of one level.
        unit: f32,
    },
    /// `scale·x + bias`: into a residual stream.
    Affine {
        /// Gain per channel.
        scale: Vec<f32>,
        /// Bias per channel.
        bias: Vec<f32>,
    },
    /// `a·x + b·y` of two inputs of one shape: a residual.
    Mix {
        /// Share of the first input.
        a: f32,
        /// Share of the second input.
        b: f32,
    },
    /// Pixels at fewer bits: feature squeezing, as [`crate::layer::BitDepth`]. The gradient passes as if it
    /// were not there.
    BitDepth {
        /// Bits of a level, 1 to 8.
        bits: u8,
    },
    /// 2×2 median, as [`crate::layer::Median`].
    Median,
    /// Largest value of each window.
    MaxPool {
        /// Window: rows, columns.
        window: [usize; 2],
        /// Strides: rows, columns.
        stride: [usize; 2],
    },
    /// Mean of each channel.
    GlobalMean,
    /// `x + bias`.
    Logits {
        /// Bias per class.
        bias: Vec<f32>,
    },
}

/// One node of a float network.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNode {
    /// Name.
    pub name: String,
    /// What it computes.
    pub layer: FloatLayer,
    /// Names of earlier nodes.
    pub inputs: Vec<String>,
}

/// A float network that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNetwork {
    /// Name of the network.
    pub name: String,
    /// How it was made.
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
            let at = |fault| NetworkError::at(&node.name, fault);
            let wanted = check::arity(&node.layer);
            if sources[i].len() != wanted {
                return Err(at(Fault::new("inputs", format!("{wanted} of them"), sources[i].len())));
            }
            if matches!(node.layer, FloatLayer::Input { .. }) != (i == 0)
                || matches!(node.layer, FloatLayer::Logits { .. }) != (i + 1 == nodes.len())
            {
                return Err(at(Fault::new(
                    "kind",
                    "the input first, the logits last, only there",
                    "another place",
                )));
            }
            let input = sources[i].first().map_or(Shape::new(1, 1, 1), |&s| shapes[s]);
            if sources[i].iter().any(|&s| shapes[s] != input) {
                return Err(at(Fault::new("inputs", format!("two of {input}"), shapes[sources[i][1]])));
            }
            shapes.push(check::output(&node.layer, input).map_err(at)?);
            graph::check_total(&node.name, shapes.iter().map(Shape::len))?;
        }
        Ok(Self { name, provenance: Provenance::default(), nodes, sources, shapes })
    }

    /// Returns what is quantized, as tables name it: `A only` where activations have levels, else `float`.
    pub fn quantized(&self) -> &'static str {
        let levels = |node: &FloatNode| {
            matches!(node.layer, FloatLayer::Activation { bits: Some(_), .. } | FloatLayer::Levels { .. })
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
            let value = match self.sources[i][..] {
                [] => image.mapv(|p| f64::from(p) / 255.0),
                [s] => eval::eval(&node.layer, outputs[s].view(), self.shapes[i]),
                ref two => eval::mix(&node.layer, outputs[two[0]].view(), outputs[two[1]].view()),
            };
            outputs.push(value);
        }
        outputs.pop().expect("checked: not empty").into_iter().collect()
    }
}

/// Returns window, stride and padding along rows and columns.
fn axes(kernel: [usize; 2], stride: [usize; 2], pad: [usize; 4]) -> (Axis, Axis) {
    (
        Axis { kernel: kernel[0], stride: stride[0], before: pad[0], after: pad[1] },
        Axis { kernel: kernel[1], stride: stride[1], before: pad[2], after: pad[3] },
    )
}
