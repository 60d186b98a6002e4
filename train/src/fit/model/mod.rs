//! A network in training: its parameters and the forward pass with quantizers. The order of operations is that of the
//! integer network: convolution of integers, batch norm on the accumulator, activation, quantizer; scales are never
//! multiplied into a stream, they meet once, at the logits. Streams of levels count from 0, whatever level 0 stands for:
//! batch norm, or the logits' bias, takes the constant away.

mod forward;
mod unit;

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::graph::{Node, Norm, Op, Shares};
use crate::node::aol;
use crate::node::quantize::{
    QuantizedWeight, Quantizer, Scale, initial_scale, learned, quantize_weight, quantize_weight_by,
};
use crate::random::{Stream, normal};
use crate::recipe::{Activation, BitWidths, Bits, StepSize};

/// Added to the variance, in squared accumulator units.
pub const EPSILON: f64 = 1e-5;
/// Share of the usual draws in the weights that almost-orthogonal rescaling starts from: tells equal channels apart.
const AOL_NOISE: f32 = 0.01;
/// Largest real value of the residual stream, in standard deviations of what enters it.
const STREAM_RANGE: f64 = 8.0;

/// Tensors by name, in a fixed order.
pub type Tensors = BTreeMap<String, Tensor>;

/// A network in training.
#[derive(Debug)]
pub struct Model {
    /// What is computed, with how many bits.
    pub nodes: Vec<Node>,
    /// fp32, with gradient: `NODE.weight` (latent), `NODE.gain` and `NODE.bias` of batch norm, `logits.bias`; where they
    /// are learned, `NODE.scale` of weights, `NODE.ceiling` of an activation, `NODE.shares` of a residual.
    pub parameters: Tensors,
    /// fp32, without gradient: `NODE.mean` and `NODE.var` of batch norm, in accumulator units.
    pub statistics: Tensors,
}

/// Real value of one unit of a residual stream of `bits` bits.
pub fn stream_unit(bits: u32) -> f64 {
    STREAM_RANGE / f64::from(1u32 << (bits - 1))
}

impl Model {
    /// Initial weights: normal with variance 2/fan-in (He 2015) for convolutions and hidden layers, 1/fan-in for the
    /// logits; gain 1, bias 0, equal shares. They depend on the seed alone. Of `bits`, how steps are found is read; the
    /// widths are the nodes' own.
    pub fn new(nodes: Vec<Node>, bits: &BitWidths, seed: u64, device: Device) -> Model {
        let (mut parameters, mut statistics) = (Tensors::new(), Tensors::new());
        let rescaled: Vec<usize> =
            nodes.iter().filter(|node| is_rescaled(node)).map(|node| node.inputs[0]).collect();
        for (i, node) in nodes.iter().enumerate() {
            let mut put =
                |what: &str, tensor: Tensor| parameters.insert(format!("{}.{what}", node.name), tensor);
            let vector = |n: usize, value: f64| Tensor::full([n as i64], value, (Kind::Float, Device::Cpu));
            if let Some(shape) = node.op.weight_shape() {
                let fan_in: i64 = shape[1..].iter().product();
                let gain = if matches!(node.op, Op::Logits { .. }) { 1.0 } else { 2.0 };
                let spread = (gain / fan_in as f64).sqrt();
                let stream = Stream::Weights(i as u64);
                let width = node.op.bits().expect("weights have bits");
                let drawn = |k| (spread * normal(seed, stream, k)) as f32;
                let mut values: Vec<f32> = (0..(shape[0] * fan_in) as u64).map(drawn).collect();
                // Weights of one bit cannot be 0.
                if rescaled.contains(&i) && width != Bits::Int(1) {
                    let noise = AOL_NOISE;
                    values = aol::start(&node.op).iter().zip(values).map(|(w, n)| w + noise * n).collect();
                }
                let weight = Tensor::from_slice(&values).reshape(&shape);
                if bits.weight_step == StepSize::Learned && width != Bits::Float {
                    put("scale", initial_scale(&weight, width, scale_of(&node.op)));
                }
                put("weight", weight);
            }
            if let Some((channels, norm)) = node.op.normalized() {
                put("bias", vector(channels, 0.0));
                if norm == Norm::Batch {
                    put("gain", vector(channels, 1.0));
                }
                statistics.insert(format!("{}.mean", node.name), vector(channels, 0.0));
                statistics.insert(format!("{}.var", node.name), vector(channels, 1.0));
            }
            match node.op {
                Op::Step { activation, bits: width, .. } if bits.activation_step == StepSize::Learned => {
                    put("ceiling", vector(1, Quantizer::new(activation, width).ceiling));
                }
                Op::Mix { shares: Shares::Learned, .. } => {
                    put("shares", vector(2, 0.5));
                }
                Op::Logits { classes, .. } => {
                    put("bias", vector(classes, 0.0));
                }
                _ => {}
            }
        }
        let on_device = |tensors: Tensors, grad: bool| {
            tensors.into_iter().map(|(k, t)| (k, t.to_device(device).set_requires_grad(grad))).collect()
        };
        Model { nodes, parameters: on_device(parameters, true), statistics: on_device(statistics, false) }
    }

    /// The same network with tensors of its own.
    pub fn copy(&self) -> Model {
        let copied = |tensors: &Tensors| {
            let own = |t: &Tensor| t.detach().copy().set_requires_grad(t.requires_grad());
            tensors.iter().map(|(name, t)| (name.clone(), own(t))).collect()
        };
        Model {
            nodes: self.nodes.clone(),
            parameters: copied(&self.parameters),
            statistics: copied(&self.statistics),
        }
    }

    /// The quantized weights of a node that has some.
    pub fn weights(&self, node: &Node) -> QuantizedWeight {
        let latent = self.parameter(node, "weight");
        let bits = node.op.bits().expect("weights have bits");
        match (self.parameters.get(&format!("{}.scale", node.name)), bits) {
            (Some(scale), Bits::Int(bits)) => quantize_weight_by(latent, bits, scale),
            _ => quantize_weight(latent, bits, scale_of(&node.op)),
        }
    }

    /// The quantizer of a step, with its learned ceiling.
    pub fn quantizer(&self, node: &Node, activation: Activation, bits: Bits) -> Quantizer {
        let own = Quantizer::new(activation, bits);
        match self.parameters.get(&format!("{}.ceiling", node.name)) {
            Some(ceiling) => Quantizer { ceiling: learned(&ceiling.detach()).double_value(&[0]), ..own },
            None => own,
        }
    }

    /// The parameter `what` of `node`.
    pub fn parameter(&self, node: &Node, what: &str) -> &Tensor {
        &self.parameters[&format!("{}.{what}", node.name)]
    }

    /// Name of the first node with a parameter or statistic that is not finite.
    pub fn first_broken(&self) -> Option<&str> {
        self.nodes.iter().find(|node| !self.is_finite(node)).map(|node| node.name.as_str())
    }

    fn is_finite(&self, node: &Node) -> bool {
        let prefix = format!("{}.", node.name);
        let mut own = self.parameters.iter().chain(&self.statistics).filter(|(k, _)| k.starts_with(&prefix));
        own.all(|(_, t)| finite(t))
    }
}

/// Whether almost-orthogonal rescaling stands in this node.
fn is_rescaled(node: &Node) -> bool {
    matches!(node.op.normalized(), Some((_, Norm::Aol)))
}

/// Whether every number of `t` is.
pub fn finite(t: &Tensor) -> bool {
    t.isfinite().all().int64_value(&[]) == 1
}

/// How many weights of such a node share a scale: the logits have one, so that their scores have one unit.
pub fn scale_of(op: &Op) -> Scale {
    if matches!(op, Op::Logits { .. }) { Scale::Tensor } else { Scale::Channel }
}

/// A feature map in stream order, channels fastest: batch × (height·width·channels).
pub fn flat(x: &Tensor) -> Tensor {
    if x.dim() == 4 { x.permute([0, 2, 3, 1]).flatten(1, -1) } else { x.shallow_clone() }
}
