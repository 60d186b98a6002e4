//! The float evaluation graph: the trained network as it is exported, in f64 on integer-valued tensors. Sums of
//! magnitudes of products are checked to stay below 2^53, so accumulators are exact whatever the order of summation;
//! where they stay below 2^24, as they nearly always do, f32 is as exact and ten times faster on a CPU, and convolves.
//! Node for node the integer network. Never rounds anything that is not a whole number already, quantizers aside.

mod normalize;
mod range;

use anyhow::Result;
use dq_data::Images;
use dq_net::Range;
use dq_net::layer::Mix;
use ndarray::{Array2, Array4};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use crate::node::aol;
pub(crate) use normalize::normalizer;
use normalize::reach;
use range::{magnitude, output_range};

use crate::fit::batch;
use crate::fit::model::{Model, Tensors, flat};
use crate::graph::{Op, Shares};
use crate::node::convolve::convolve;
use crate::node::squeeze;
use crate::node::step::{StepFunction, vector};
use crate::node::stream::{self, RescaleFunction};
use crate::recipe::Bits;

/// Name of the dense node that the training graph's last node is split into, before `logits`.
pub(crate) const CLASSIFIER: &str = "classifier";
/// Whole numbers below these are exact in f64 and f32.
const F64_EXACT: f64 = (1u64 << 53) as f64;
const F32_EXACT: f64 = (1u64 << 24) as f64;
/// Images evaluated at once.
pub(crate) const CHUNK: usize = 10;

/// The float evaluation graph of one run at one bit width.
#[derive(Debug)]
pub struct Evaluation {
    /// Nodes in topological order: the training graph's, with the last one split into `classifier` and `logits`.
    pub(crate) nodes: Vec<EvalNode>,
    /// Height, width, channels.
    pub(crate) image: [usize; 3],
    /// Real logit of one unit of a score.
    pub(crate) scale: f64,
    /// Whether all weights and activations are quantized; else residual streams are real too.
    integer: bool,
}

/// One node.
#[derive(Debug)]
pub(crate) struct EvalNode {
    pub name: String,
    pub op: EvalOp,
    pub inputs: Vec<usize>,
    /// Every value it can put out; `None` where values are not whole numbers.
    pub range: Option<Range>,
    /// Real value of one unit (of the input's, for accumulators).
    pub unit: f64,
    /// Real value of 0.
    pub offset: f64,
    /// Whether its output is batch × channels, without positions.
    pub flat: bool,
    /// The number format its convolution is computed in: exact, where values are whole numbers.
    pub kind: Kind,
}

/// What a node computes, with its constants in f64.
#[derive(Debug)]
pub(crate) enum EvalOp {
    Input,
    BitDepth {
        bits: u32,
    },
    Median,
    /// `weights`: out × in × k × k whole numbers (or real ones, where `bits` is float); `scale` an output channel.
    Conv {
        weights: Tensor,
        stride: usize,
        pad: usize,
        scale: Vec<f64>,
        bits: Bits,
    },
    /// `weights`: out × in; `scale` an output, or one for all.
    Dense {
        weights: Tensor,
        scale: Vec<f64>,
        bits: Bits,
    },
    Step(StepFunction),
    Rescale(RescaleFunction),
    /// `shares`: what `mix` holds in fixed point.
    Mix {
        mix: Mix,
        shares: Shares,
    },
    MaxPool,
    GlobalSum {
        positions: usize,
    },
    /// `bias`: whole accumulator units (or real ones, where weights are float).
    Logits {
        bias: Tensor,
    },
}

impl Evaluation {
    /// From trained parameters and the f64 statistics (`NODE.mean`, `NODE.var`) of every batch norm.
    ///
    /// # Errors
    /// Where accumulators would outgrow 2^30, or their sums of magnitudes 2^53.
    pub(crate) fn new(model: &Model, statistics: &Tensors, image: [usize; 3]) -> Result<Evaluation> {
        let integer = model.nodes.iter().all(|node| node.op.bits() != Some(Bits::Float));
        let mut evaluation = Evaluation { nodes: Vec::new(), image, scale: 1.0, integer };
        let mut reaches: Vec<f64> = Vec::new();
        for node in &model.nodes {
            let mut stretch = 1.0;
            let quantized = || {
                let weights = model.weights(node);
                let levels = weights.levels.detach().to_device(crate::device()).to_kind(Kind::Double);
                (levels, vector(&weights.scale.detach()))
            };
            let op = match node.op {
                Op::Input { .. } => EvalOp::Input,
                Op::BitDepth { bits } => EvalOp::BitDepth { bits },
                Op::Median => EvalOp::Median,
                Op::Conv { stride, pad, bits, .. } => {
                    let (weights, scale) = quantized();
                    EvalOp::Conv { weights, stride, pad, scale, bits }
                }
                Op::Dense { bits, .. } => {
                    let (weights, scale) = quantized();
                    EvalOp::Dense { weights, scale, bits }
                }
                Op::Step { .. } | Op::Rescale { .. } => {
                    let op;
                    (op, stretch) = normalizer(model, node, statistics, &evaluation.nodes[node.inputs[0]]);
                    op
                }
                Op::Mix { shares, bits } => {
                    let first = match shares {
                        Shares::Learned => vector(model.parameter(node, "shares"))[0],
                        Shares::Sum { terms } => terms as f64 / (terms as f64 + 1.0),
                    };
                    EvalOp::Mix { mix: stream::mix(first, bits), shares }
                }
                Op::MaxPool => EvalOp::MaxPool,
                Op::GlobalSum { positions } => EvalOp::GlobalSum { positions },
                Op::Logits { bits, bound, .. } => {
                    let (weights, mut scale) = quantized();
                    let unit = evaluation.nodes[node.inputs[0]].unit;
                    let mut score = scale[0] * unit;
                    evaluation.scale = score;
                    if let Some(bound) = bound {
                        let gains = aol::exact_gains(&weights, 1, bits != Bits::Float);
                        score = gains.into_iter().fold(f64::INFINITY, f64::min) * unit;
                        evaluation.scale = score / reaches[node.inputs[0]] * bound;
                        scale = vec![evaluation.scale / unit];
                    }
                    let op = EvalOp::Dense { weights, scale, bits };
                    evaluation.push(CLASSIFIER, op, node.inputs.clone())?;
                    // Divided here: a GPU divides by a number by multiplying with its inverse.
                    let real = vector(model.parameter(node, "bias")).into_iter().map(|b| b / score);
                    let whole = |b: f64| if bits == Bits::Float { b } else { b.round_ties_even() };
                    let bias: Vec<f64> = real.map(whole).collect();
                    let bias = Tensor::from_slice(&bias).to_device(crate::device());
                    EvalOp::Logits { bias }
                }
            };
            let inputs: Vec<f64> = node.inputs.iter().map(|&i| reaches[i]).collect();
            reaches.push(reach(&op, &inputs, stretch));
            let split = matches!(op, EvalOp::Logits { .. });
            let inputs = if split { vec![evaluation.nodes.len() - 1] } else { node.inputs.clone() };
            evaluation.push(&node.name, op, inputs)?;
        }
        Ok(evaluation)
    }

    /// Whether every value in it is a whole number: it can be exported as an integer network.
    pub(crate) fn is_integer(&self) -> bool {
        self.integer
    }

    /// Scores of every image, image × class: whole accumulator units where weights and activations are quantized. One
    /// unit is [`scale`](Self::scale).
    pub fn scores(&self, images: &Images) -> Array2<f64> {
        let indices: Vec<usize> = (0..images.len()).collect();
        let mut scores = Vec::new();
        for chunk in indices.chunks(CHUNK) {
            let pixels = batch::pixels(images, chunk, Kind::Double, crate::device());
            let outputs = no_grad(|| self.outputs(&pixels));
            scores.extend(vector(outputs.last().expect("a graph has nodes")));
        }
        let classes = scores.len() / images.len().max(1);
        Array2::from_shape_vec((images.len(), classes), scores).expect("image × class")
    }

    /// Cross entropy of every image's real logits for its label, and its gradient by the pixel values (0…255), image ×
    /// height × width × channels: autograd's, straight through the quantizers.
    pub fn loss_gradient(&self, images: &Images) -> (Vec<f64>, Array4<f64>) {
        let indices: Vec<usize> = (0..images.len()).collect();
        let (mut losses, mut gradients) = (Vec::new(), Vec::new());
        for chunk in indices.chunks(CHUNK) {
            let device = crate::device();
            let pixels = batch::pixels(images, chunk, Kind::Double, device).set_requires_grad(true);
            let scores = self.outputs(&pixels).pop().expect("a graph has nodes");
            let labels = batch::labels(images, chunk, device);
            let each =
                (scores * self.scale).cross_entropy_loss(&labels, None::<Tensor>, Reduction::None, -100, 0.0);
            each.sum(Kind::Double).backward();
            losses.extend(vector(&each.detach()));
            gradients.extend(vector(&pixels.grad().permute([0, 2, 3, 1])));
        }
        let gradients = Array4::from_shape_vec(images.pixels.dim(), gradients).expect("a slope a pixel");
        (losses, gradients)
    }

    /// Real logit of one unit of a score.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Every node's output for raw pixels, batch × channels × height × width, f64.
    pub(crate) fn outputs(&self, pixels: &Tensor) -> Vec<Tensor> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<&Tensor> = match node.inputs[..] {
                [] => vec![pixels],
                ref sources => sources.iter().map(|&i| &outputs[i]).collect(),
            };
            let output = self.compute(node, &inputs);
            outputs.push(output);
        }
        outputs
    }

    /// One node's output for its inputs (batch first, then channels, f64).
    pub(crate) fn compute(&self, node: &EvalNode, inputs: &[&Tensor]) -> Tensor {
        let input = inputs[0];
        // Already whole numbers; in place and without a gradient, so that the sum's own gradient passes.
        let exact = |mut sums: Tensor| {
            if node.range.is_some() {
                let _ = no_grad(|| sums.round_());
            }
            sums
        };
        let channels: &[i64] = if input.dim() == 4 { &[-1, 1, 1] } else { &[-1] };
        match &node.op {
            EvalOp::Input => input.shallow_clone(),
            EvalOp::BitDepth { bits } => squeeze::bit_depth(input, *bits),
            EvalOp::Median => squeeze::median(input),
            EvalOp::Conv { weights, stride, pad, .. } => {
                let (input, weights) = (input.to_kind(node.kind), weights.to_kind(node.kind));
                exact(convolve(&input.contiguous(), &weights, *stride, *pad).to_kind(Kind::Double))
            }
            EvalOp::Dense { weights, .. } => exact(flat(input).matmul(&weights.tr())),
            EvalOp::Step(step) => step.levels(input, channels),
            EvalOp::Rescale(rescale) if node.range.is_none() => rescale.real(input, channels),
            EvalOp::Rescale(rescale) => rescale.compute(input, channels),
            EvalOp::Mix { mix, .. } if node.range.is_none() => stream::real_mix(mix, input, inputs[1]),
            EvalOp::Mix { mix, .. } => stream::compute_mix(mix, input, inputs[1]),
            EvalOp::MaxPool => input.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false),
            EvalOp::GlobalSum { .. } => {
                exact(input.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Double))
            }
            EvalOp::Logits { bias } => input + bias,
        }
    }

    /// Gives node `i` the function that follows from other statistics, and it and those behind it the ranges.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn renormalize(&mut self, i: usize, op: EvalOp) -> Result<()> {
        self.nodes[i].op = op;
        for j in i..self.nodes.len() {
            let node = &self.nodes[j];
            // Weights read levels, whose range is their bits'.
            if matches!(node.op, EvalOp::Conv { .. } | EvalOp::Dense { .. }) {
                continue;
            }
            let ranges: Option<Vec<Range>> = node.inputs.iter().map(|&s| self.nodes[s].range).collect();
            self.nodes[j].range = self.range(&node.name, &node.op, ranges.as_deref())?;
        }
        Ok(())
    }

    fn range(&self, name: &str, op: &EvalOp, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        let is_real = !self.integer && matches!(op, EvalOp::Rescale(_));
        if is_real { Ok(None) } else { output_range(name, op, inputs) }
    }

    fn push(&mut self, name: &str, op: EvalOp, inputs: Vec<usize>) -> Result<()> {
        let sources: Vec<&EvalNode> = inputs.iter().map(|&i| &self.nodes[i]).collect();
        let last = sources.last();
        let (unit, offset) = match (&op, last) {
            (_, None) => (1.0 / 255.0, 0.0),
            (EvalOp::Step(step), _) => (step.quantizer().unit(), step.quantizer().offset()),
            (EvalOp::Rescale(rescale), _) => (rescale.layer().unit, 0.0),
            (EvalOp::BitDepth { bits }, _) => (1.0 / f64::from((1u32 << bits) - 1), 0.0),
            (EvalOp::Mix { shares: Shares::Sum { terms }, .. }, Some(branch)) => {
                (branch.unit * (*terms as f64 + 1.0), 0.0)
            }
            (EvalOp::GlobalSum { positions }, Some(input)) => (input.unit / *positions as f64, input.offset),
            (_, Some(input)) => (input.unit, input.offset),
        };
        let ranges: Option<Vec<Range>> = sources.iter().map(|node| node.range).collect();
        let range = match ranges {
            Some(ranges) if ranges.is_empty() => Some(Range::levels(8)),
            ranges => self.range(name, &op, ranges.as_deref())?,
        };
        let flat = match op {
            EvalOp::Dense { .. } | EvalOp::GlobalSum { .. } => true,
            _ => last.is_some_and(|node| node.flat),
        };
        let kind = match (&op, last.and_then(|node| node.range), range) {
            // Reduced precision may stand for f32 on a GPU.
            _ if crate::device() != Device::Cpu => Kind::Double,
            (EvalOp::Conv { weights, .. }, Some(input), Some(_))
                if magnitude(weights, input) >= F32_EXACT =>
            {
                Kind::Double
            }
            _ => Kind::Float,
        };
        self.nodes.push(EvalNode { name: name.to_owned(), op, inputs, range, unit, offset, flat, kind });
        Ok(())
    }
}
