//! What stands between accumulators and an activation or a residual stream, as a function with its constants; and how far
//! values can move through it.

use super::{EvalNode, EvalOp};
use crate::aol;
use crate::graph::{Node, Norm, Op, Shares};
use crate::model::{Model, Tensors};
use crate::recipe::Bits;
use crate::step::{StepFunction, vector};
use crate::stream::RescaleFunction;

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
    let factor = || {
        let (weights, stride, bits) = match &source.op {
            EvalOp::Conv { weights, stride, bits, .. } => (weights, *stride, bits),
            EvalOp::Dense { weights, bits, .. } => (weights, 1, bits),
            _ => unreachable!("only accumulators are rescaled"),
        };
        let gains = aol::exact_gains(weights, stride, *bits != Bits::Float);
        let stretch = aol::exact_stretch(&gains, &vector(&statistic("var")));
        (gains.into_iter().map(|gain| gain * stretch).collect::<Vec<f64>>(), stretch / source.unit)
    };
    let (unit, offset) = (source.unit, source.offset);
    match node.op {
        Op::Step { channels, norm, activation, bits } => {
            let quantizer = model.quantizer(node, activation, bits);
            let (function, stretch) = match norm {
                Norm::Batch => {
                    let (gain, bias) = (parameter("gain"), parameter("bias"));
                    let (mean, var) = (statistic("mean"), statistic("var"));
                    (StepFunction::new(&gain, &bias, &mean, &var, quantizer), 1.0)
                }
                Norm::Aol => {
                    let (factor, stretch) = factor();
                    let (bias, mean) = (parameter("bias"), statistic("mean"));
                    (StepFunction::rescaled(&factor, &bias, &mean, quantizer), stretch)
                }
                Norm::None => (StepFunction::plain(channels, unit, offset, quantizer), 1.0),
            };
            (EvalOp::Step(function), stretch)
        }
        Op::Rescale { channels, norm, bits } => {
            let (function, stretch) = match norm {
                Norm::Batch => {
                    let (gain, bias) = (parameter("gain"), parameter("bias"));
                    let (mean, var) = (statistic("mean"), statistic("var"));
                    (RescaleFunction::new(&gain, &bias, &mean, &var, bits), 1.0)
                }
                Norm::Aol => {
                    let (factor, stretch) = factor();
                    let (bias, mean) = (parameter("bias"), statistic("mean"));
                    (RescaleFunction::rescaled(&factor, &bias, &mean, bits), stretch)
                }
                Norm::None => (RescaleFunction::plain(channels, unit, offset, bits), 1.0),
            };
            (EvalOp::Rescale(function), stretch)
        }
        _ => unreachable!("only steps and rescales normalize"),
    }
}
