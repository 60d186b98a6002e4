//! A network in training: its parameters and the forward pass with quantizers. The order of operations is that of the
//! integer network: convolution of integers, batch norm on the accumulator, activation, quantizer; scales are never
//! multiplied into a stream, they meet once, at the logits. Streams of levels count from 0, whatever level 0 stands for:
//! batch norm, or the logits' bias, takes the constant away.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor, no_grad};

use crate::aol;
use crate::graph::{Node, Norm, Op, Shares, last_uses};
use crate::quantize::{
    QuantizedWeight, Quantizer, Scale, initial_scale, learned, quantize_weight, quantize_weight_by,
    round_through, top_level,
};
use crate::random::{Stream, normal};
use crate::recipe::{Activation, BitWidths, Bits, StepSize};
use crate::squeeze;

/// Added to the variance, in squared accumulator units.
pub const EPSILON: f64 = 1e-5;
/// Share of the usual draws in the weights that almost-orthogonal rescaling starts from: tells equal channels apart.
const AOL_NOISE: f32 = 0.01;
/// Share of a batch in the running mean and variance.
const MOMENTUM: f64 = 0.1;
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
    /// Whether every layer before the logits is rescaled, and the logits are bounded.
    bounded: bool,
    /// fp32, without gradient: `NODE.mean` and `NODE.var` of batch norm, in accumulator units.
    pub statistics: Tensors,
}

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Batch norm by running statistics.
    Evaluate,
    /// Batch norm by the batch, which also goes into the running statistics.
    Train,
    /// As `Train`, and each learned ceiling is set from what reaches it.
    Fit,
}

/// Real value of a node's output `x`: `factor·ceiling·x + offset`, `ceiling` (where it is learned) a tensor of one element.
/// An accumulator's leaves the weight scale out: batch norm takes it away.
#[derive(Debug)]
pub struct Unit {
    factor: f64,
    ceiling: Option<Tensor>,
    offset: f64,
    /// How many times further than the image (pixels 0…1) the real value moves at most, in the Euclidean norm, quantizers
    /// aside: one element without gradient, where every layer so far is rescaled.
    reach: Option<Tensor>,
}

impl Unit {
    /// The value of one unit, differentiable where it is learned: one element.
    fn tensor(&self, device: Device) -> Tensor {
        match &self.ceiling {
            Some(ceiling) => learned(ceiling) * self.factor,
            None => Tensor::full([1], self.factor, (Kind::Float, device)),
        }
    }

    fn times(&self, factor: f64) -> Unit {
        let ceiling = self.ceiling.as_ref().map(Tensor::shallow_clone);
        let reach = self.reach.as_ref().map(Tensor::shallow_clone);
        Unit { factor: self.factor * factor, ceiling, offset: self.offset, reach }
    }

    /// A unit that is not learned.
    fn plain(factor: f64) -> Unit {
        Unit { factor, ceiling: None, offset: 0.0, reach: None }
    }
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
        let bounded = nodes.iter().any(|node| matches!(node.op, Op::Logits { bound: Some(_), .. }));
        let (parameters, statistics) = (on_device(parameters, true), on_device(statistics, false));
        Model { nodes, bounded, parameters, statistics }
    }

    /// The same network with tensors of its own.
    pub fn copy(&self) -> Model {
        let copied = |tensors: &Tensors| {
            let own = |t: &Tensor| t.detach().copy().set_requires_grad(t.requires_grad());
            tensors.iter().map(|(name, t)| (name.clone(), own(t))).collect()
        };
        Model {
            nodes: self.nodes.clone(),
            bounded: self.bounded,
            parameters: copied(&self.parameters),
            statistics: copied(&self.statistics),
        }
    }

    /// Scores, batch × classes, fp32. `images` are raw pixels (0…255), batch × channels × height × width, in the number
    /// format that convolutions compute in. In training, batch norm uses the batch and updates the running statistics.
    pub fn forward(&self, images: &Tensor, training: bool) -> Tensor {
        self.forward_seen(images, if training { Mode::Train } else { Mode::Evaluate }, |_, _| {})
    }

    /// Sets every learned ceiling from what reaches it on `images`, layer after layer: 2·√top times the mean of what is
    /// above 0 (LSQ).
    pub fn fit_ceilings(&self, images: &Tensor) {
        if self.parameters.keys().any(|name| name.ends_with(".ceiling")) {
            let _ = no_grad(|| self.forward_seen(images, Mode::Fit, |_, _| {}));
        }
    }

    /// Scores, and shows each node's output to `see`.
    fn forward_seen(&self, images: &Tensor, mode: Mode, mut see: impl FnMut(&Node, &Tensor)) -> Tensor {
        let last_use = last_uses(self.nodes.iter().map(|node| node.inputs.as_slice()));
        let mut outputs: Vec<Option<(Tensor, Unit)>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<&(Tensor, Unit)> =
                node.inputs.iter().map(|&i| outputs[i].as_ref().expect("kept until its last use")).collect();
            let (output, mut unit, stretch) = match inputs[..] {
                [] => (images.shallow_clone(), Unit::plain(1.0 / 255.0), None),
                [(x, unit)] => {
                    let (output, stretch) = self.node(node, x, unit, mode);
                    (output, self.unit(node, unit), stretch)
                }
                [skip, branch, ..] => (self.mix(node, &skip.0, &branch.0), self.unit(node, &branch.1), None),
            };
            if let Some(reach) = self.reach(node, &inputs, stretch.as_ref()) {
                unit.reach = Some(reach);
            }
            see(node, &output);
            outputs.push(Some((output, unit)));
            for &source in &node.inputs {
                if last_use[source] == i {
                    outputs[source] = None;
                }
            }
        }
        outputs.pop().flatten().expect("a graph has nodes").0
    }

    /// A node's output for its input, of that `unit`; of a rescaling one also how many times further the real value moves.
    fn node(&self, node: &Node, input: &Tensor, unit: &Unit, mode: Mode) -> (Tensor, Option<Tensor>) {
        let training = mode != Mode::Evaluate;
        let output = match node.op {
            Op::Input { .. } | Op::Mix { .. } => unreachable!("not of one input"),
            Op::BitDepth { bits } => squeeze::bit_depth(input, bits),
            Op::Median => squeeze::median(input),
            Op::Conv { stride, pad, .. } => {
                let levels = self.weights(node).levels.to_kind(input.kind());
                let (stride, pad) = (stride as i64, pad as i64);
                input.conv2d(&levels, None::<Tensor>, [stride, stride], [pad, pad], [1, 1], 1)
            }
            Op::Dense { .. } => flat(input).matmul(&self.weights(node).levels.tr().to_kind(input.kind())),
            Op::Step { norm, activation, bits, .. } => {
                let (z, stretch) = self.normalized(node, norm, input, unit, 1.0, training);
                let ceiling = self.parameters.get(&format!("{}.ceiling", node.name));
                if let (Mode::Fit, Some(ceiling)) = (mode, ceiling) {
                    let top = if let Bits::Int(bits) = bits { top_level(bits) as f64 } else { 1.0 };
                    let above = z.to_kind(Kind::Float).clamp_min(0.0);
                    let mean = above.sum(Kind::Float) / above.gt(0.0).sum(Kind::Float).clamp_min(1.0);
                    ceiling.shallow_clone().copy_(&(mean * (2.0 * top.sqrt())).clamp_min(1e-3).reshape([1]));
                }
                return (Quantizer::new(activation, bits).train(&z, ceiling), stretch);
            }
            Op::Rescale { norm, bits, .. } => {
                let one = stream_unit(bits);
                let (z, stretch) = self.normalized(node, norm, input, unit, 1.0 / one, training);
                let most = f64::from(1u32 << (bits - 1));
                let mut stream = z.clamp(-most, most - 1.0);
                let _ = no_grad(|| stream.round_());
                return (stream, stretch);
            }
            Op::MaxPool => input.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false),
            // Sums outgrow bf16's 8 bits: from here on fp32.
            Op::GlobalSum { .. } => input.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Float),
            Op::Logits { bits, bound, .. } => {
                let weight = self.weights(node);
                let one = unit.tensor(input.device());
                let scale = match (bound, &unit.reach) {
                    (Some(bound), Some(reach)) => aol::least_gain(&weight.levels) * one / reach * bound,
                    _ => weight.scale.reshape([1]) * one,
                };
                let bias = self.parameter(node, "bias") / &scale;
                let bias = if bits == Bits::Float { bias } else { round_through(&bias) };
                (flat(input).to_kind(Kind::Float).matmul(&weight.levels.tr()) + bias) * scale
            }
        };
        (output, None)
    }

    /// How many times further than the image the real value moves at most, where that is known of every input.
    fn reach(&self, node: &Node, inputs: &[&(Tensor, Unit)], stretch: Option<&Tensor>) -> Option<Tensor> {
        let of = |input: &(Tensor, Unit)| input.1.reach.as_ref().map(Tensor::shallow_clone);
        match node.op {
            Op::Input { .. } => self.bounded.then(|| Tensor::ones([1], (Kind::Float, self.device()))),
            Op::Step { norm: Norm::None, .. } | Op::Rescale { norm: Norm::None, .. } => of(inputs[0]),
            Op::Step { .. } | Op::Rescale { .. } => Some(of(inputs[0])? * stretch?),
            Op::Mix { shares, .. } => {
                let (skip, branch) = (of(inputs[0])?, of(inputs[1])?);
                Some(match shares {
                    Shares::Learned => {
                        let shares = self.parameter(node, "shares").detach();
                        skip * shares.get(0) + branch * shares.get(1)
                    }
                    Shares::Sum { .. } => skip + branch,
                })
            }
            // Each pixel is in four windows.
            Op::Median => of(inputs[0]).map(|reach| reach * 2.0),
            Op::GlobalSum { positions } => of(inputs[0]).map(|reach| reach / (positions as f64).sqrt()),
            _ => of(inputs[0]),
        }
    }

    /// α₁·skip + α₂·branch, in units of the stream.
    fn mix(&self, node: &Node, skip: &Tensor, branch: &Tensor) -> Tensor {
        let Op::Mix { shares, .. } = node.op else { unreachable!("a node of two inputs") };
        let sum = match shares {
            Shares::Learned => {
                let shares = self.parameter(node, "shares").to_kind(skip.kind());
                skip * shares.get(0) + branch * shares.get(1)
            }
            Shares::Sum { terms } => {
                let whole = terms as f64 + 1.0;
                skip * (terms as f64 / whole) + branch * (1.0 / whole)
            }
        };
        round_through(&sum)
    }

    /// The real value of a step's or rescale's input, of that `unit`, normalized as the node says; times `factor`.
    fn normalized(
        &self,
        node: &Node,
        norm: Norm,
        input: &Tensor,
        unit: &Unit,
        factor: f64,
        training: bool,
    ) -> (Tensor, Option<Tensor>) {
        match norm {
            Norm::Batch => (self.batch_norm(node, input, factor, training), None),
            Norm::Aol => {
                let (z, stretch) = self.rescaled(node, input, factor, training);
                (z, Some(stretch / unit.tensor(input.device()).detach()))
            }
            Norm::None => {
                let one = unit.tensor(input.device()) * factor;
                (input * one.to_kind(input.kind()) + unit.offset * factor, None)
            }
        }
    }

    /// Takes each accumulator's mean away, rescales it so that weights and this are 1-Lipschitz together, multiplies all
    /// channels by one number that gives them unit variance on average, adds the bias; all times `factor`. Second: that
    /// number, without gradient: what the network is bounded by does not depend on it.
    fn rescaled(&self, node: &Node, input: &Tensor, factor: f64, training: bool) -> (Tensor, Tensor) {
        let source = &self.nodes[node.inputs[0]];
        let stride = if let Op::Conv { stride, .. } = source.op { stride } else { 1 };
        let gain = aol::gains(&self.weights(source).levels, stride);
        let running = |what: &str| &self.statistics[&format!("{}.{what}", node.name)];
        let (shape, dims): (&[i64], &[i64]) =
            if input.dim() == 4 { (&[-1, 1, 1], &[0, 2, 3]) } else { (&[-1], &[0]) };
        let (mean, var) = if training {
            let mean = input.mean_dim(dims, false, Kind::Float);
            let var = no_grad(|| input.to_kind(Kind::Float).var_dim(dims, false, false));
            no_grad(|| {
                let _ = running("mean").shallow_clone().lerp_(&mean, MOMENTUM);
                let _ = running("var").shallow_clone().lerp_(&var, MOMENTUM);
            });
            (mean, var)
        } else {
            (running("mean").shallow_clone(), running("var").shallow_clone())
        };
        let stretch = no_grad(|| (gain.square() * var).mean(Kind::Float) + EPSILON).rsqrt().reshape([1]);
        let gain = gain * &stretch * factor;
        let bias = self.parameter(node, "bias") * factor - mean * &gain;
        let along = |t: Tensor| t.to_kind(input.kind()).reshape(shape);
        (input * along(gain) + along(bias), stretch)
    }

    /// Normalizes; gain and bias times `factor`.
    fn batch_norm(&self, node: &Node, input: &Tensor, factor: f64, training: bool) -> Tensor {
        let statistic = |what: &str| Some(self.statistics[&format!("{}.{what}", node.name)].shallow_clone());
        let affine = |what: &str| {
            let parameter = self.parameter(node, what);
            if factor == 1.0 { parameter.shallow_clone() } else { parameter * factor }
        };
        input.batch_norm(
            Some(affine("gain")),
            Some(affine("bias")),
            statistic("mean"),
            statistic("var"),
            training,
            MOMENTUM,
            EPSILON,
            false,
        )
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

    /// The unit of a node's output from that of its (last) input.
    fn unit(&self, node: &Node, input: &Unit) -> Unit {
        match node.op {
            Op::BitDepth { bits } => Unit::plain(1.0 / ((1u32 << bits) - 1) as f64),
            Op::Step { activation, bits, .. } => {
                let own = Quantizer::new(activation, bits);
                match (self.parameters.get(&format!("{}.ceiling", node.name)), bits) {
                    (Some(ceiling), Bits::Int(_)) => Unit {
                        ceiling: Some(ceiling.shallow_clone()),
                        ..Unit::plain(own.unit() / own.ceiling)
                    },
                    _ => Unit { offset: own.offset(), ..Unit::plain(own.unit()) },
                }
            }
            Op::Rescale { bits, .. } => Unit::plain(stream_unit(bits)),
            Op::Mix { shares: Shares::Sum { terms }, .. } => input.times(terms as f64 + 1.0),
            Op::GlobalSum { positions } => input.times(1.0 / positions as f64),
            _ => input.times(1.0),
        }
    }

    fn device(&self) -> Device {
        self.parameters.values().next().map_or(Device::Cpu, Tensor::device)
    }

    /// The parameter `what` of `node`.
    pub fn parameter(&self, node: &Node, what: &str) -> &Tensor {
        &self.parameters[&format!("{}.{what}", node.name)]
    }

    /// Name of the first node with an output, or a parameter, that is not finite on these images.
    pub fn first_not_finite(&self, images: &Tensor) -> Option<String> {
        let mut culprit = None;
        let _ = no_grad(|| {
            self.forward_seen(images, Mode::Evaluate, |node, output| {
                if culprit.is_none() && !(finite(output) && self.is_finite(node)) {
                    culprit = Some(node.name.clone());
                }
            })
        });
        culprit
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
