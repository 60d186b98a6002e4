//! The float evaluation graph as a network of `dq-net`: integer where weights and activations are quantized, else
//! float. Never approximates: the integer network's thresholds are the float code's own boundaries.

use anyhow::{Context, Result};
use dq_net::float::layer as float;
use dq_net::layer::{BitDepth, Conv, Dense, GlobalSum, Input, Logits, MaxPool, Median, Step, Surrogate};
use dq_net::{FloatLayer, FloatNetwork, FloatNode, Layer, Network, Node, Shape};
use ndarray::{Array2, Array4};
use tch::Tensor;

use crate::exact::evaluate::{EvalNode, EvalOp, Evaluation};
use crate::graph::Shares;
use crate::node::step::{StepFunction, integers, vector};
use crate::recipe::Bits;

/// The integer network of `evaluation`, not yet proved.
///
/// # Errors
/// Where `Network::new` refuses it.
pub(crate) fn integer(name: &str, evaluation: &Evaluation) -> Result<Network> {
    let layer = |node: &EvalNode| match &node.op {
        EvalOp::Input => Layer::Input(Input { shape: shape(evaluation) }),
        EvalOp::BitDepth { bits } => Layer::BitDepth(BitDepth { bits: *bits as u8 }),
        EvalOp::Median => Layer::Median(Median),
        EvalOp::Conv { weights, stride, pad, bits, .. } => Layer::Conv(Conv {
            weights: kernel_last(weights, |v| v as i8),
            weight_bits: whole(*bits),
            stride: [*stride; 2],
            pad: [*pad; 4],
            groups: 1,
        }),
        EvalOp::Dense { weights, bits, .. } => {
            Layer::Dense(Dense { weights: matrix(weights, |v| v as i8), weight_bits: whole(*bits) })
        }
        EvalOp::Step(function) => Layer::Step(step(function, node, evaluation)),
        EvalOp::Rescale(function) => Layer::Rescale(function.layer()),
        EvalOp::Mix { mix, .. } => Layer::Mix(mix.clone()),
        EvalOp::MaxPool => Layer::MaxPool(MaxPool { window: [2, 2], stride: [2, 2] }),
        EvalOp::GlobalSum { .. } => Layer::GlobalSum(GlobalSum),
        EvalOp::Logits { bias } => {
            let bias = integers(bias).into_iter().map(|b| b as i32).collect();
            Layer::Logits(Logits { bias, scale: evaluation.scale })
        }
    };
    let nodes = evaluation.nodes.iter();
    let nodes = nodes.map(|node| Node {
        name: node.name.clone(),
        layer: layer(node),
        inputs: sources(evaluation, node),
    });
    Network::new(name, nodes.collect()).context("the exported network is refused")
}

/// The float network of `evaluation`, in real values: a pixel is uint8 / 255, scales multiplied in.
///
/// # Errors
/// Where `FloatNetwork::new` refuses it.
pub(crate) fn float(name: &str, evaluation: &Evaluation) -> Result<FloatNetwork> {
    let nodes = &evaluation.nodes;
    // Real value of one unit of channel `c` of a node that is read: of an accumulator, its weights' scale is in it.
    let real = |source: &EvalNode, c: usize| match &source.op {
        EvalOp::Conv { scale, .. } | EvalOp::Dense { scale, .. } => {
            scale[if scale.len() == 1 { 0 } else { c }] * source.unit
        }
        _ => source.unit,
    };
    let narrow = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
    let over = |gain: Vec<f64>, source: &EvalNode| {
        narrow(gain.iter().enumerate().map(|(c, g)| g / real(source, c)).collect())
    };
    let layer = |node: &EvalNode| match &node.op {
        EvalOp::Input => FloatLayer::Input(float::Input { shape: shape(evaluation) }),
        EvalOp::Conv { weights, stride, pad, scale, .. } => FloatLayer::Conv(float::Conv {
            weights: kernel_last(&scaled(weights, scale), |v| v as f32),
            stride: [*stride; 2],
            pad: [*pad; 4],
            groups: 1,
        }),
        EvalOp::Dense { weights, scale, .. } => {
            FloatLayer::Dense(float::Dense { weights: matrix(&scaled(weights, scale), |v| v as f32) })
        }
        EvalOp::Step(function) => {
            let (gain, offset) = function.affine();
            let (scale, bias) = (over(gain, &nodes[node.inputs[0]]), narrow(offset));
            let quantizer = function.quantizer();
            if quantizer.is_bipolar() {
                FloatLayer::Levels(float::Levels {
                    scale,
                    bias,
                    points: narrow(quantizer.points()),
                    unit: node.unit as f32,
                })
            } else {
                let bits = match quantizer.bits {
                    Bits::Float => None,
                    Bits::Int(bits) => Some(bits as u8),
                };
                FloatLayer::Activation(float::Activation {
                    scale,
                    bias,
                    ceiling: quantizer.ceiling as f32,
                    bits,
                })
            }
        }
        EvalOp::Rescale(function) => {
            let (gain, offset) = function.affine();
            let of_real = |values: Vec<f64>| values.into_iter().map(|v| v * node.unit).collect();
            FloatLayer::Affine(float::Affine {
                scale: over(of_real(gain), &nodes[node.inputs[0]]),
                bias: narrow(of_real(offset)),
            })
        }
        EvalOp::Mix { mix, shares: Shares::Learned } => {
            let share = |part: i32| (f64::from(part) / f64::from(mix.shift).exp2()) as f32;
            FloatLayer::Mix(float::Mix { a: share(mix.a), b: share(mix.b) })
        }
        // Plain addition: each input's real value is that of its terms.
        EvalOp::Mix { shares: Shares::Sum { .. }, .. } => FloatLayer::Mix(float::Mix { a: 1.0, b: 1.0 }),
        EvalOp::BitDepth { bits } => FloatLayer::BitDepth(float::BitDepth { bits: *bits as u8 }),
        EvalOp::Median => FloatLayer::Median(float::Median),
        EvalOp::MaxPool => FloatLayer::MaxPool(float::MaxPool { window: [2, 2], stride: [2, 2] }),
        EvalOp::GlobalSum { .. } => FloatLayer::GlobalMean(float::GlobalMean),
        EvalOp::Logits { bias } => {
            let bias = vector(bias).into_iter().map(|b| (b * evaluation.scale) as f32).collect();
            FloatLayer::Logits(float::Logits { bias })
        }
    };
    let nodes = nodes.iter();
    let nodes = nodes.map(|node| FloatNode {
        name: node.name.clone(),
        layer: layer(node),
        inputs: sources(evaluation, node),
    });
    FloatNetwork::new(name, nodes.collect()).context("the exported network is refused")
}

/// Bits of whole numbers.
fn whole(bits: Bits) -> u8 {
    let Bits::Int(bits) = bits else { unreachable!("asked for quantized networks only") };
    bits as u8
}

/// The integer step of a float step function, over the whole range of its accumulator.
fn step(function: &StepFunction, node: &EvalNode, evaluation: &Evaluation) -> Step {
    let range =
        evaluation.nodes[node.inputs[0]].range.expect("quantized weights on levels give whole numbers");
    let found = function.boundaries(range.lo, range.hi);
    let narrow = |v: &[i64]| v.iter().map(|&v| v as i32).collect();
    Step {
        bits: whole(function.quantizer().bits),
        thresholds: Step::clip_thresholds(&found.thresholds, &found.dir, range),
        surrogate: Surrogate {
            gain: found.gain,
            open_lo: narrow(&found.open_lo),
            open_hi: narrow(&found.open_hi),
            unit: node.unit,
        },
        dir: found.dir,
    }
}

fn shape(evaluation: &Evaluation) -> Shape {
    let [height, width, channels] = evaluation.image;
    Shape::new(height, width, channels)
}

fn sources(evaluation: &Evaluation, node: &EvalNode) -> Vec<String> {
    node.inputs.iter().map(|&i| evaluation.nodes[i].name.clone()).collect()
}

/// Weights × their scale, a scale a row or one for all.
fn scaled(weights: &Tensor, scale: &[f64]) -> Tensor {
    let mut shape = vec![-1];
    shape.resize(weights.dim(), 1);
    weights * Tensor::from_slice(scale).to_device(weights.device()).reshape(&shape)
}

/// out × in × k × k as out × k × k × in.
pub(crate) fn kernel_last<T>(weights: &Tensor, convert: impl Fn(f64) -> T) -> Array4<T> {
    let weights = weights.permute([0, 2, 3, 1]);
    let size: Vec<usize> = weights.size().iter().map(|&n| n as usize).collect();
    let values = vector(&weights).into_iter().map(convert).collect();
    Array4::from_shape_vec((size[0], size[1], size[2], size[3]), values).expect("the tensor's own size")
}

/// out × in.
pub(crate) fn matrix<T>(weights: &Tensor, convert: impl Fn(f64) -> T) -> Array2<T> {
    let size: Vec<usize> = weights.size().iter().map(|&n| n as usize).collect();
    let values = vector(weights).into_iter().map(convert).collect();
    Array2::from_shape_vec((size[0], size[1]), values).expect("the tensor's own size")
}
