//! A network in training: its parameters and the forward pass with quantizers. The order of operations is that of the
//! integer network: convolution of integers, batch norm on the accumulator, ReLU6, quantizer; scales are never
//! multiplied into a stream, they meet once, at the logits.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor, no_grad};

use crate::graph::{Node, Op};
use crate::quantize::{Scale, activation_unit, quantize_activation, quantize_weight, round_through};
use crate::random::{Stream, normal};
use crate::recipe::{BitWidths, Bits};

/// Added to the variance, in squared accumulator units.
pub const EPSILON: f64 = 1e-5;
/// Share of a batch in the running mean and variance.
const MOMENTUM: f64 = 0.1;

/// Tensors by name, in a fixed order.
pub type Tensors = BTreeMap<String, Tensor>;

/// A network in training.
#[derive(Debug)]
pub struct Model {
    /// What is computed.
    pub nodes: Vec<Node>,
    /// With how many bits.
    pub bits: BitWidths,
    /// fp32, with gradient: `NODE.weight` (latent), `NODE.gain` and `NODE.bias` of a step, `logits.bias`.
    pub parameters: Tensors,
    /// fp32, without gradient: `NODE.mean` and `NODE.var` of a step, in accumulator units.
    pub statistics: Tensors,
}

impl Model {
    /// Initial weights: normal with variance 2/fan-in (He 2015) for convolutions and hidden layers, 1/fan-in for the
    /// logits; gain 1, bias 0. They depend on the seed alone.
    pub fn new(nodes: Vec<Node>, bits: BitWidths, seed: u64, device: Device) -> Model {
        let (mut parameters, mut statistics) = (Tensors::new(), Tensors::new());
        for (i, node) in nodes.iter().enumerate() {
            let name = &node.name;
            if let Some(shape) = node.op.weight_shape() {
                let fan_in: i64 = shape[1..].iter().product();
                let gain = if matches!(node.op, Op::Logits { .. }) { 1.0 } else { 2.0 };
                let spread = (gain / fan_in as f64).sqrt();
                let stream = Stream::Weights(i as u64);
                let draws: Vec<f32> = (0..shape[0] * fan_in)
                    .map(|k| (spread * normal(seed, stream, k as u64)) as f32)
                    .collect();
                parameters.insert(format!("{name}.weight"), Tensor::from_slice(&draws).reshape(&shape));
            }
            let vector = |n: usize, value: f64| Tensor::full([n as i64], value, (Kind::Float, Device::Cpu));
            match node.op {
                Op::Step { channels } => {
                    parameters.insert(format!("{name}.gain"), vector(channels, 1.0));
                    parameters.insert(format!("{name}.bias"), vector(channels, 0.0));
                    statistics.insert(format!("{name}.mean"), vector(channels, 0.0));
                    statistics.insert(format!("{name}.var"), vector(channels, 1.0));
                }
                Op::Logits { classes, .. } => {
                    parameters.insert(format!("{name}.bias"), vector(classes, 0.0));
                }
                _ => {}
            }
        }
        let on_device = |tensors: Tensors, grad: bool| {
            tensors.into_iter().map(|(k, t)| (k, t.to_device(device).set_requires_grad(grad))).collect()
        };
        Model {
            nodes,
            bits,
            parameters: on_device(parameters, true),
            statistics: on_device(statistics, false),
        }
    }

    /// Real value of one unit of each node's output (an accumulator's unit leaves the weight scale out: batch norm
    /// takes it away). Indexed like `nodes`.
    pub fn units(&self) -> Vec<f64> {
        let mut units: Vec<f64> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let input = node.inputs.first().map(|&i| units[i]);
            units.push(match node.op {
                Op::Input { .. } => 1.0 / 255.0,
                Op::Step { .. } => activation_unit(self.bits.activations),
                Op::GlobalSum { positions } => input.expect("has an input") / positions as f64,
                _ => input.expect("has an input"),
            });
        }
        units
    }

    /// Scores, batch × classes, fp32. `images` are raw pixels (0…255), batch × channels × height × width, in the number
    /// format that convolutions compute in. In training, batch norm uses the batch and updates the running statistics.
    pub fn forward(&self, images: &Tensor, training: bool) -> Tensor {
        self.forward_seen(images, training, |_, _| {})
    }

    /// As [`forward`](Model::forward), and shows each node's output to `see`.
    pub fn forward_seen(
        &self,
        images: &Tensor,
        training: bool,
        mut see: impl FnMut(&Node, &Tensor),
    ) -> Tensor {
        let units = self.units();
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let input = node.inputs.first().map(|&i| &outputs[i]).unwrap_or(images);
            let output = self.node(node, input, node.inputs.first().map_or(1.0, |&i| units[i]), training);
            see(node, &output);
            outputs.push(output);
        }
        outputs.pop().expect("a graph has nodes")
    }

    fn node(&self, node: &Node, input: &Tensor, unit: f64, training: bool) -> Tensor {
        let weights = |per| quantize_weight(self.parameter(node, "weight"), self.bits.weights, per);
        match node.op {
            Op::Input { .. } => input.shallow_clone(),
            Op::Conv { kernel, .. } => {
                let pad = (kernel / 2) as i64;
                let levels = weights(Scale::Channel).levels.to_kind(input.kind());
                input.conv2d(&levels, None::<Tensor>, [1, 1], [pad, pad], [1, 1], 1)
            }
            Op::Dense { .. } => input.matmul(&weights(Scale::Channel).levels.tr()),
            Op::Step { .. } => {
                let statistic = |what: &str| Some(&self.statistics[&format!("{}.{what}", node.name)]);
                let z = input.batch_norm(
                    Some(self.parameter(node, "gain")),
                    Some(self.parameter(node, "bias")),
                    statistic("mean"),
                    statistic("var"),
                    training,
                    MOMENTUM,
                    EPSILON,
                    false,
                );
                quantize_activation(&z, self.bits.activations)
            }
            Op::MaxPool => input.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false),
            // Sums outgrow bf16's 8 bits: from here on fp32.
            Op::GlobalSum { .. } => input.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Float),
            Op::Logits { .. } => {
                let weight = weights(Scale::Tensor);
                let scale = weight.scale.reshape([1]) * unit;
                let bias = self.parameter(node, "bias") / &scale;
                let bias = if self.bits.weights == Bits::Float { bias } else { round_through(&bias) };
                (input.matmul(&weight.levels.tr()) + bias) * scale
            }
        }
    }

    /// The parameter `what` of `node`.
    pub fn parameter(&self, node: &Node, what: &str) -> &Tensor {
        &self.parameters[&format!("{}.{what}", node.name)]
    }

    /// Name of the first node with an output, or a parameter, that is not finite on these images.
    pub fn first_not_finite(&self, images: &Tensor) -> Option<String> {
        let finite = |t: &Tensor| t.isfinite().all().int64_value(&[]) == 1;
        let mut culprit = None;
        let _ = no_grad(|| {
            self.forward_seen(images, false, |node, output| {
                let prefix = format!("{}.", node.name);
                let own =
                    self.parameters.iter().chain(&self.statistics).filter(|(k, _)| k.starts_with(&prefix));
                if culprit.is_none() && !(finite(output) && own.into_iter().all(|(_, t)| finite(t))) {
                    culprit = Some(node.name.clone());
                }
            })
        });
        culprit
    }
}
