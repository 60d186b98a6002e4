//! The forward pass in training and for watching it: floats, or whole numbers in floats, with straight-through gradients.

use tch::{Kind, Tensor, no_grad};

use super::unit::Unit;
use super::{EPSILON, Model, finite, flat, stream_unit};
use crate::graph::{Node, Norm, Op, Shares, last_uses};
use crate::node::aol;
use crate::node::convolve::convolve;
use crate::node::quantize::{Quantizer, round_through, top_level};
use crate::node::squeeze;
use crate::recipe::Bits;

/// Share of a batch in the running mean and variance.
const MOMENTUM: f64 = 0.1;

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

impl Model {
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
            let (output, unit) = match inputs[..] {
                [] => (images.shallow_clone(), self.pixel(images.device())),
                [(x, unit)] => {
                    let (output, stretch) = self.node(node, x, unit, mode);
                    let reach = self.reach(node, &inputs, stretch.as_ref());
                    (output, self.unit(node, unit).reaching(reach))
                }
                [skip, branch, ..] => {
                    let reach = self.reach(node, &inputs, None);
                    (self.mix(node, &skip.0, &branch.0), self.unit(node, &branch.1).reaching(reach))
                }
            };
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
                convolve(input, &levels, stride, pad)
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
                // What a unit of a score is worth before the bound, and what it is worth with it.
                let (score, scale) = match (bound, &unit.reach) {
                    (Some(bound), Some(reach)) => {
                        let score = aol::least_gain(&weight.levels) * one;
                        (score.shallow_clone(), score / reach * bound)
                    }
                    _ => {
                        let scale = weight.scale.reshape([1]) * one;
                        (scale.shallow_clone(), scale)
                    }
                };
                let bias = self.parameter(node, "bias") / score;
                let bias = if bits == Bits::Float { bias } else { round_through(&bias) };
                (flat(input).to_kind(Kind::Float).matmul(&weight.levels.tr()) + bias) * scale
            }
        };
        (output, None)
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
}
