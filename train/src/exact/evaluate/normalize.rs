//! What stands between accumulators and an activation or a residual stream, as a function with its constants; and how far
//! values can move through it.

use super::{EvalNode, EvalOp};
use tch::Tensor;

use crate::fit::model::{Model, Tensors};
use crate::graph::{Node, Norm, Op, Shares};
use crate::node::aol;
use crate::node::step::{StepFunction, vector};
use crate::node::stream::RescaleFunction;
use crate::recipe::Bits;

/// How many times further than the image a node's real value moves at most, where all weights before are rescaled, from
/// that of its `inputs` and how much further it itself moves what it reads.
pub(super) fn reach(op: &EvalOp, inputs: &[f64], stretch: f64) -> f64 {
    match (op, inputs) {
        (EvalOp::Mix { shares: Shares::Sum { .. }, .. }, [skip, branch, ..]) => skip + branch,
        (EvalOp::Mix { mix, .. }, [skip, branch, ..]) => {
            (skip * f64::from(mix.a) + branch * f64::from(mix.b)) / f64::from(mix.shift).exp2()
        }
        // Each pixel is in four windows.
        (EvalOp::Median, [input, ..]) => input * 2.0,
        (EvalOp::GlobalSum { positions }, [input, ..]) => input / (*positions as f64).sqrt(),
        (_, [input, ..]) => input * stretch,
        (_, []) => 1.0,
    }
}

/// The function of a step or rescale node that reads `source`, from the statistics of its normalization if it has one.
/// Second: how much further its real value moves than that of what `source` reads, where its weights are rescaled.
pub(crate) fn normalizer(
    model: &Model,
    node: &Node,
    statistics: &Tensors,
    source: &EvalNode,
) -> (EvalOp, f64) {
    let parameter = |what: &str| model.parameter(node, what).detach().to_device(crate::device());
    let statistic = |what: &str| statistics[&format!("{}.{what}", node.name)].to_device(crate::device());
    let batch = || ["gain", "bias"].map(parameter);
    // The factor of each channel, and how much further it moves values.
    let rescaling = || {
        let (weights, stride, bits) = match &source.op {
            EvalOp::Conv { weights, stride, bits, .. } => (weights, *stride, bits),
            EvalOp::Dense { weights, bits, .. } => (weights, 1, bits),
            _ => unreachable!("only accumulators are rescaled"),
        };
        let gains = aol::exact_gains(weights, stride, *bits != Bits::Float);
        let stretch = aol::exact_stretch(&gains, &vector(&statistic("var")));
        let factor: Vec<f64> = gains.into_iter().map(|gain| gain * stretch).collect();
        (Tensor::from_slice(&factor).to_device(crate::device()), stretch / source.unit)
    };
    let (unit, offset) = (source.unit, source.offset);
    let mut stretch = 1.0;
    let op = match node.op {
        Op::Step { channels, norm, activation, bits } => {
            let quantizer = model.quantizer(node, activation, bits);
            EvalOp::Step(match norm {
                Norm::Batch => {
                    let [gain, bias] = batch();
                    StepFunction::new(&gain, &bias, &statistic("mean"), &statistic("var"), quantizer)
                }
                Norm::Aol => {
                    let factor;
                    (factor, stretch) = rescaling();
                    StepFunction::rescaled(factor, &parameter("bias"), &statistic("mean"), quantizer)
                }
                Norm::None => StepFunction::plain(channels, unit, offset, quantizer),
            })
        }
        Op::Rescale { channels, norm, bits } => EvalOp::Rescale(match norm {
            Norm::Batch => {
                let [gain, bias] = batch();
                RescaleFunction::new(&gain, &bias, &statistic("mean"), &statistic("var"), bits)
            }
            Norm::Aol => {
                let factor;
                (factor, stretch) = rescaling();
                RescaleFunction::rescaled(factor, &parameter("bias"), &statistic("mean"), bits)
            }
            Norm::None => RescaleFunction::plain(channels, unit, offset, bits),
        }),
        _ => unreachable!("only steps and rescales normalize"),
    };
    (op, stretch)
}
