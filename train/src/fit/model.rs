//! Defines a network in training: its nodes, their tensors, and the forward pass with quantizers. The order
//! of operations is that of the integer network: convolution of integers, batch norm on the accumulator,
//! activation, quantizer; scales are never multiplied into a stream, they meet once, at the logits. Streams
//! of levels count from 0, whatever level 0 stands for: batch norm, or the logits' bias, takes the constant
//! away.

use tch::{Device, Kind, Tensor, no_grad};

use crate::graph::last_uses;
use crate::node::Node;
use crate::node::kind::{At, Mode};
use crate::node::norm::Norm;
use crate::node::signal::{Signal, Unit};
use crate::node::values::Values;
use crate::node::weights::initial_scale;
use crate::recipe::{BitWidths, Bits, StepSize};
use crate::tensor::{Tensors, finite};

/// Holds a network in training.
#[derive(Debug)]
pub struct Model {
    /// The nodes: what is computed, with how many bits.
    pub nodes: Vec<Node>,
    /// All tensors of the nodes.
    pub values: Values,
}

impl Model {
    /// Makes the first weights: normal with variance 2/fan-in (He 2015) for convolutions and hidden layers,
    /// 1/fan-in for the logits; gain 1, bias 0, equal shares. They depend on the seed alone. From `bits` it
    /// reads how steps are found; the widths are the nodes' own.
    pub fn new(nodes: Vec<Node>, bits: &BitWidths, seed: u64, device: Device) -> Model {
        let (mut parameters, mut statistics) = (Tensors::new(), Tensors::new());
        let rescaled: Vec<usize> =
            nodes.iter().filter(|node| is_rescaled(node)).map(|node| node.inputs[0]).collect();
        for (i, node) in nodes.iter().enumerate() {
            let kind = node.op.kind();
            let mut put =
                |what: &str, tensor: Tensor| parameters.insert(format!("{}.{what}", node.name), tensor);
            let vector = |n: usize, value: f64| Tensor::full([n as i64], value, (Kind::Float, Device::Cpu));
            if let Some(weights) = kind.weights() {
                let first = weights.start((seed, i as u64), rescaled.contains(&i));
                if bits.weight_step == StepSize::Learned && weights.bits != Bits::Float {
                    put("scale", initial_scale(&first, weights.bits, weights.per));
                }
                put("weight", first);
            }
            if let Some((channels, norm)) = kind.normalized() {
                put("bias", vector(channels, 0.0));
                if norm == Norm::Batch {
                    put("gain", vector(channels, 1.0));
                }
                statistics.insert(format!("{}.mean", node.name), vector(channels, 0.0));
                statistics.insert(format!("{}.var", node.name), vector(channels, 1.0));
            }
            for (what, tensor) in kind.parameters(bits) {
                put(what, tensor);
            }
        }
        let on_device = |tensors: Tensors, grad: bool| {
            tensors.into_iter().map(|(k, t)| (k, t.to_device(device).set_requires_grad(grad))).collect()
        };
        let (parameters, statistics) = (on_device(parameters, true), on_device(statistics, false));
        Model { nodes, values: Values { parameters, statistics } }
    }

    /// Returns the same network with tensors of its own.
    pub fn copy(&self) -> Model {
        Model { nodes: self.nodes.clone(), values: self.values.copy() }
    }

    /// Returns scores, batch × classes, fp32. `images` are raw pixels (0…255), batch × channels × height ×
    /// width, in the number format that convolutions compute in. In training, batch norm uses the batch and
    /// updates the running statistics.
    pub fn forward(&self, images: &Tensor, training: bool) -> Tensor {
        self.forward_seen(images, if training { Mode::Train } else { Mode::Evaluate }, |_, _| {})
    }

    /// Sets every learned ceiling from what reaches it on `images`, layer after layer.
    pub fn fit_ceilings(&self, images: &Tensor) {
        if self.values.parameters.keys().any(|name| name.ends_with(".ceiling")) {
            let _ = no_grad(|| self.forward_seen(images, Mode::Fit, |_, _| {}));
        }
    }

    /// Returns scores, and shows each node's output to `see`.
    fn forward_seen(&self, images: &Tensor, mode: Mode, mut see: impl FnMut(&Node, &Tensor)) -> Tensor {
        let last_use = last_uses(self.nodes.iter().map(|node| node.inputs.as_slice()));
        let image = Signal { x: images.shallow_clone(), unit: self.pixel(images.device()) };
        let mut outputs: Vec<Option<Signal>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let mut inputs: Vec<&Signal> =
                node.inputs.iter().map(|&i| outputs[i].as_ref().expect("kept until its last use")).collect();
            if inputs.is_empty() {
                inputs.push(&image);
            }
            let output = node.op.kind().forward(&self.at(node, mode), &inputs);
            see(node, &output.x);
            outputs.push(Some(output));
            for &source in &node.inputs {
                if last_use[source] == i {
                    outputs[source] = None;
                }
            }
        }
        outputs.pop().flatten().expect("a graph has nodes").x
    }

    /// Says where `node` stands in a pass.
    pub fn at<'a>(&'a self, node: &'a Node, mode: Mode) -> At<'a> {
        let source = node.inputs.first().map(|&source| &self.nodes[source]);
        let source = source.and_then(|node| Some((node.name.as_str(), node.op.kind().weights()?)));
        At { name: &node.name, values: &self.values, mode, source }
    }

    /// Returns the unit of pixels. Their reach is followed where the logits keep a bound.
    pub fn pixel(&self, device: Device) -> Unit {
        let is_bounded = self.nodes.last().is_some_and(|node| node.op.kind().bound().is_some());
        let reach = is_bounded.then(|| Tensor::ones([1], (Kind::Float, device)));
        Unit::plain(1.0 / 255.0).reaching(reach)
    }

    /// Returns the name of the first node with an output, or a parameter, that is not finite on these images.
    pub fn first_not_finite(&self, images: &Tensor) -> Option<String> {
        let mut culprit = None;
        let _ = no_grad(|| {
            self.forward_seen(images, Mode::Evaluate, |node, output| {
                if culprit.is_none() && !(finite(output) && self.values.is_finite(&node.name)) {
                    culprit = Some(node.name.clone());
                }
            })
        });
        culprit
    }

    /// Returns the name of the first node with a parameter or statistic that is not finite.
    pub fn first_broken(&self) -> Option<&str> {
        self.nodes.iter().map(|node| node.name.as_str()).find(|name| !self.values.is_finite(name))
    }
}

/// Returns whether this node has almost-orthogonal rescaling.
fn is_rescaled(node: &Node) -> bool {
    matches!(node.op.kind().normalized(), Some((_, Norm::Aol)))
}
