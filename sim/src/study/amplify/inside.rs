//! Lets a study look at the values inside a network of either family, integer or float.

use crate::attack::suite::Judge;
use crate::float::FloatEngine;
use crate::gradient::WhiteBox;
use crate::kind::kind;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use ndarray::{Array4, ArrayView4, Axis};

/// A network whose values can be looked at after every node.
pub trait Inside: Judge {
    /// Returns the names of the nodes, in topological order.
    fn names(&self) -> Vec<String>;

    /// Returns the kind of node `node`'s layer, as files name it.
    fn kind(&self, node: usize) -> &'static str;

    /// Returns the places of the layers with weights that read node `node`.
    fn readers(&self, node: usize) -> Vec<usize>;

    /// Returns the place of the node that `node` reads first.
    fn source(&self, node: usize) -> usize;

    /// Computes every node's output for a batch of images (batch × height × width × channels).
    fn values(&self, images: ArrayView4<u8>) -> Values;

    /// Returns the clipped line that a quantizer rounds, or that a float activation is; `None` for nodes of
    /// other kinds.
    fn line(&self, node: usize) -> Option<Line>;
}

/// Holds every node's output for a batch, each batch × height × width × channels.
pub enum Values {
    /// Values of an integer network.
    Integer(Vec<Array4<i32>>),
    /// Values of a float network.
    Float(Vec<Array4<f32>>),
}

impl Values {
    /// Returns a node's output for one image of the batch, channels fastest.
    pub fn at(&self, node: usize, image: usize) -> Vec<f64> {
        match self {
            Self::Integer(nodes) => {
                nodes[node].index_axis(Axis(0), image).iter().map(|&v| f64::from(v)).collect()
            }
            Self::Float(nodes) => {
                nodes[node].index_axis(Axis(0), image).iter().map(|&v| f64::from(v)).collect()
            }
        }
    }
}

/// Describes the clipped line that a quantizer rounds: `clip(scale·x + bias, 0, 1)` per channel, where 1
/// stands for its highest level. Relative distances do not depend on that unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    scale: Vec<f64>,
    bias: Vec<f64>,
    /// The quantizer's own bits; `None` where it does not round, or to no power of two.
    pub bits: Option<u8>,
}

impl Line {
    /// Returns the line of a float activation.
    fn of(activation: &float::Activation, bits: Option<u8>) -> Self {
        let ceiling = f64::from(activation.ceiling);
        let share = |values: &[f32]| values.iter().map(|&v| f64::from(v) / ceiling).collect();
        Self { scale: share(&activation.scale), bias: share(&activation.bias), bits }
    }

    /// Returns the straight line through −1…1 that gradients of tanh and sign follow.
    fn of_levels(levels: &float::Levels) -> Self {
        let count = levels.points.len() + 1;
        let bits = count.is_power_of_two().then_some(count.trailing_zeros() as u8);
        let scale = levels.scale.iter().map(|&v| f64::from(v) / 2.0).collect();
        Self { scale, bias: levels.bias.iter().map(|&v| f64::midpoint(v.into(), 1.0)).collect(), bits }
    }

    /// Returns the line's values at `input`, whose channels are fastest: 0 to 1, not rounded.
    pub fn clipped(&self, input: &[f64]) -> Vec<f64> {
        let channels = self.scale.len();
        let value = |(at, x): (usize, &f64)| x * self.scale[at % channels] + self.bias[at % channels];
        input.iter().enumerate().map(|at| value(at).clamp(0.0, 1.0)).collect()
    }

    /// Rounds clipped values half to even, to 2^bits levels from 0 to 1.
    pub fn rounded(clipped: &[f64], bits: u8) -> Vec<f64> {
        let top = 2f64.powi(bits.into()) - 1.0;
        clipped.iter().map(|z| (z * top).round_ties_even() / top).collect()
    }
}

impl Inside for WhiteBox {
    fn names(&self) -> Vec<String> {
        self.network().nodes().iter().map(|node| node.name.clone()).collect()
    }

    fn kind(&self, node: usize) -> &'static str {
        self.network().nodes()[node].layer.kind().name()
    }

    fn readers(&self, node: usize) -> Vec<usize> {
        let mut readers = self.network().readers(node).to_vec();
        readers.dedup();
        let has_weights = |&j: &usize| self.network().nodes()[j].layer.weight_bits().is_some();
        readers.into_iter().filter(has_weights).collect()
    }

    fn source(&self, node: usize) -> usize {
        self.network().sources(node)[0]
    }

    fn values(&self, images: ArrayView4<u8>) -> Values {
        Values::Integer(self.engine().nodes(images))
    }

    /// The line through the thresholds of a step is that of the float twin.
    fn line(&self, node: usize) -> Option<Line> {
        let dq_net::layer::Layer::Step(step) = &self.network().nodes()[node].layer else { return None };
        match &kind(&self.network().nodes()[node].layer).twin(self.engine().site(node)).layers[..] {
            [FloatLayer::Activation(activation)] => Some(Line::of(activation, Some(step.bits))),
            _ => None,
        }
    }
}

impl Inside for FloatEngine {
    fn names(&self) -> Vec<String> {
        self.network().nodes().iter().map(|node| node.name.clone()).collect()
    }

    fn kind(&self, node: usize) -> &'static str {
        self.network().nodes()[node].layer.name()
    }

    fn readers(&self, node: usize) -> Vec<usize> {
        let nodes = self.network().nodes().iter().enumerate();
        let has_weights = |layer: &FloatLayer| matches!(layer, FloatLayer::Conv(_) | FloatLayer::Dense(_));
        let reads = |j: usize| self.network().sources(j).contains(&node);
        nodes.filter(|(j, reader)| has_weights(&reader.layer) && reads(*j)).map(|(j, _)| j).collect()
    }

    fn source(&self, node: usize) -> usize {
        self.network().sources(node)[0]
    }

    fn values(&self, images: ArrayView4<u8>) -> Values {
        Values::Float(self.nodes(images))
    }

    fn line(&self, node: usize) -> Option<Line> {
        match &self.network().nodes()[node].layer {
            FloatLayer::Activation(activation) => Some(Line::of(activation, activation.bits)),
            FloatLayer::Levels(levels) => Some(Line::of_levels(levels)),
            _ => None,
        }
    }
}
