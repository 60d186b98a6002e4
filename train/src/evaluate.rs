//! The float evaluation graph: the trained network as it is exported, in f64 on integer-valued tensors. Sums of
//! magnitudes of products are checked to stay below 2^53, so accumulators are exact whatever the order of summation;
//! where they stay below 2^24, as they nearly always do, f32 is as exact and ten times faster on a CPU, and convolves.
//! Node for node the integer network. Never rounds anything that is not a whole number already, quantizers aside.

use anyhow::{Result, ensure};
use dq_net::Range;
use dq_net::data::Images;
use ndarray::{Array2, Array4};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use crate::batch;
use crate::graph::Op;
use crate::model::{Model, Tensors};
use crate::quantize::{Scale, activation_unit, quantize_weight};
use crate::recipe::{BitWidths, Bits};
use crate::step::{StepFunction, vector};

/// Name of the dense node that the training graph's last node is split into, before `logits`.
pub(crate) const CLASSIFIER: &str = "classifier";
/// Whole numbers below these are exact in f64 and f32.
const F64_EXACT: f64 = (1u64 << 53) as f64;
const F32_EXACT: f64 = (1u64 << 24) as f64;
/// Images evaluated at once.
pub(crate) const CHUNK: usize = 50;

/// The float evaluation graph of one run at one bit width.
#[derive(Debug)]
pub struct Evaluation {
    /// Nodes in topological order: the training graph's, with the last one split into `classifier` and `logits`.
    pub(crate) nodes: Vec<EvalNode>,
    /// Bit widths it was built for.
    pub(crate) bits: BitWidths,
    /// Height, width, channels.
    pub(crate) image: [usize; 3],
    /// Real logit of one unit of a score.
    pub(crate) scale: f64,
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
    /// The number format its convolution is computed in: exact, where values are whole numbers.
    pub kind: Kind,
}

/// What a node computes, with its constants in f64.
#[derive(Debug)]
pub(crate) enum EvalOp {
    Input,
    /// `weights`: out × in × k × k whole numbers (or real ones, where weights are float); `scale` an output channel.
    Conv {
        weights: Tensor,
        pad: usize,
        scale: Vec<f64>,
    },
    /// `weights`: out × in; `scale` an output, or one for all.
    Dense {
        weights: Tensor,
        scale: Vec<f64>,
    },
    Step(StepFunction),
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
    /// From trained parameters and the f64 statistics (`NODE.mean`, `NODE.var`) of every step.
    ///
    /// # Errors
    /// Where accumulators would outgrow 2^30, or their sums of magnitudes 2^53.
    pub(crate) fn new(model: &Model, statistics: &Tensors, image: [usize; 3]) -> Result<Evaluation> {
        let mut evaluation = Evaluation { nodes: Vec::new(), bits: model.bits, image, scale: 1.0 };
        for node in &model.nodes {
            let parameter = |what: &str| model.parameter(node, what).detach().to_device(crate::device());
            let quantized = |per: Scale| {
                let weights = quantize_weight(&parameter("weight"), model.bits.weights, per);
                (weights.levels.detach().to_kind(Kind::Double), vector(&weights.scale))
            };
            let op = match node.op {
                Op::Input { .. } => EvalOp::Input,
                Op::Conv { kernel, .. } => {
                    let (weights, scale) = quantized(Scale::Channel);
                    EvalOp::Conv { weights, pad: kernel / 2, scale }
                }
                Op::Dense { .. } => {
                    let (weights, scale) = quantized(Scale::Channel);
                    EvalOp::Dense { weights, scale }
                }
                Op::Step { .. } => {
                    let statistic =
                        |what: &str| statistics[&format!("{}.{what}", node.name)].to_device(crate::device());
                    let (gain, bias) = (parameter("gain"), parameter("bias"));
                    let (mean, var) = (statistic("mean"), statistic("var"));
                    EvalOp::Step(StepFunction::new(&gain, &bias, &mean, &var, model.bits.activations))
                }
                Op::MaxPool => EvalOp::MaxPool,
                Op::GlobalSum { positions } => EvalOp::GlobalSum { positions },
                Op::Logits { .. } => {
                    let (weights, scale) = quantized(Scale::Tensor);
                    evaluation.scale = scale[0] * evaluation.nodes[node.inputs[0]].unit;
                    evaluation.push(CLASSIFIER, EvalOp::Dense { weights, scale }, node.inputs.clone())?;
                    let real = parameter("bias").to_kind(Kind::Double) / evaluation.scale;
                    let bias = if model.bits.weights == Bits::Float { real } else { real.round() };
                    EvalOp::Logits { bias }
                }
            };
            let split = matches!(op, EvalOp::Logits { .. });
            let inputs = if split { vec![evaluation.nodes.len() - 1] } else { node.inputs.clone() };
            evaluation.push(&node.name, op, inputs)?;
        }
        Ok(evaluation)
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

    /// Bits of weights and activations it was built for.
    pub fn bits(&self) -> BitWidths {
        self.bits
    }

    /// Every node's output for raw pixels, batch × channels × height × width, f64.
    pub(crate) fn outputs(&self, pixels: &Tensor) -> Vec<Tensor> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let input = node.inputs.first().map_or(pixels, |&i| &outputs[i]);
            outputs.push(self.compute(node, input));
        }
        outputs
    }

    /// One node's output for its input (batch first, then channels, f64).
    pub(crate) fn compute(&self, node: &EvalNode, input: &Tensor) -> Tensor {
        // Already whole numbers; in place and without a gradient, so that the sum's own gradient passes.
        let exact = |mut sums: Tensor| {
            if node.range.is_some() {
                let _ = no_grad(|| sums.round_());
            }
            sums
        };
        match &node.op {
            EvalOp::Input => input.shallow_clone(),
            EvalOp::Conv { weights, pad, .. } => {
                let pad = *pad as i64;
                let (input, weights) = (input.to_kind(node.kind), weights.to_kind(node.kind));
                let sums = input.contiguous().conv2d(&weights, None::<Tensor>, [1, 1], [pad, pad], [1, 1], 1);
                exact(sums.to_kind(Kind::Double))
            }
            EvalOp::Dense { weights, .. } => exact(input.matmul(&weights.tr())),
            EvalOp::Step(step) => step.levels(input, if input.dim() == 4 { &[-1, 1, 1] } else { &[-1] }),
            EvalOp::MaxPool => input.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false),
            EvalOp::GlobalSum { .. } => {
                exact(input.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Double))
            }
            EvalOp::Logits { bias } => input + bias,
        }
    }

    fn push(&mut self, name: &str, op: EvalOp, inputs: Vec<usize>) -> Result<()> {
        let (range, unit) = match inputs.first().map(|&i| &self.nodes[i]) {
            None => (Some(Range::levels(8)), 1.0 / 255.0),
            Some(input) => {
                let unit = match &op {
                    EvalOp::Step(step) => activation_unit(step.bits()),
                    EvalOp::GlobalSum { positions } => input.unit / *positions as f64,
                    _ => input.unit,
                };
                (output_range(name, &op, input.range, self.bits)?, unit)
            }
        };
        let kind = match (&op, inputs.first().and_then(|&i| self.nodes[i].range), range) {
            // Reduced precision may stand for f32 on a GPU.
            _ if crate::device() != Device::Cpu => Kind::Double,
            (EvalOp::Conv { weights, .. }, Some(input), Some(_))
                if magnitude(weights, input) >= F32_EXACT =>
            {
                Kind::Double
            }
            _ => Kind::Float,
        };
        self.nodes.push(EvalNode { name: name.to_owned(), op, inputs, range, unit, kind });
        Ok(())
    }
}

/// The range of `op`'s output from that of its input; `None` where values are not whole numbers.
fn output_range(name: &str, op: &EvalOp, input: Option<Range>, bits: BitWidths) -> Result<Option<Range>> {
    if let EvalOp::Step(step) = op {
        return Ok(match step.bits() {
            Bits::Float => None,
            Bits::Int(bits) => Some(Range::levels(bits as u8)),
        });
    }
    let weighted = matches!(op, EvalOp::Conv { .. } | EvalOp::Dense { .. } | EvalOp::Logits { .. });
    let Some(input) = input.filter(|_| !weighted || bits.weights != Bits::Float) else { return Ok(None) };
    let range = match op {
        EvalOp::Conv { weights, .. } | EvalOp::Dense { weights, .. } => dot_range(name, weights, input)?,
        EvalOp::GlobalSum { positions } => {
            let n = *positions as i64;
            Range::new((input.lo * n).min(0), (input.hi * n).max(0))
        }
        EvalOp::Logits { bias } => Range::new(
            input.lo + bias.min().double_value(&[]) as i64,
            input.hi + bias.max().double_value(&[]) as i64,
        ),
        EvalOp::Input | EvalOp::MaxPool | EvalOp::Step(_) => input,
    };
    ensure!(
        range.fits_accumulator(),
        "node `{name}`: accumulators of {range} outgrow ±2^30: use fewer bits or narrower layers"
    );
    Ok(Some(range))
}

/// The range of sums of products of each row of whole-number `weights` with values in `input`, zero included.
fn dot_range(name: &str, weights: &Tensor, input: Range) -> Result<Range> {
    let magnitude = magnitude(weights, input);
    ensure!(
        magnitude < F64_EXACT,
        "node `{name}`: sums of products reach {magnitude:e}, above 2^53: the accumulators would not be exact"
    );
    let rows = weights.reshape([weights.size()[0], -1]);
    let sum = |t: Tensor| t.sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
    let (low, high) = (input.lo.min(0) as f64, input.hi.max(0) as f64);
    let (negative, positive) = (rows.clamp_max(0.0), rows.clamp_min(0.0));
    let least = sum(&negative * high + &positive * low).min().double_value(&[]);
    let most = sum(negative * low + positive * high).max().double_value(&[]);
    Ok(Range::new((least as i64).min(0), (most as i64).max(0)))
}

/// Largest Σ|w|·|x| of any output: no partial sum, in whatever order, is larger.
fn magnitude(weights: &Tensor, input: Range) -> f64 {
    let rows = weights.reshape([weights.size()[0], -1]).abs();
    let largest = rows.sum_dim_intlist([1i64].as_slice(), false, Kind::Double).max();
    largest.double_value(&[]) * input.hi.max(-input.lo) as f64
}
