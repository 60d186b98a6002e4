//! Every value that a node can put out: what keeps the sums of an evaluation exact.

use anyhow::{Result, ensure};
use dq_net::Range;
use tch::{Kind, Tensor};

use super::{EvalOp, F64_EXACT};
use crate::node::step::integers;
use crate::recipe::Bits;

/// The range of `op`'s output from those of its inputs (`None` where those are not whole numbers); `None` where its values
/// are not whole numbers.
pub(super) fn output_range(name: &str, op: &EvalOp, inputs: Option<&[Range]>) -> Result<Option<Range>> {
    match op {
        EvalOp::Step(step) => {
            return Ok(match step.quantizer().bits {
                Bits::Float => None,
                Bits::Int(bits) => Some(Range::levels(bits as u8)),
            });
        }
        EvalOp::Conv { bits: Bits::Float, .. } | EvalOp::Dense { bits: Bits::Float, .. } => return Ok(None),
        _ => {}
    }
    let Some(inputs) = inputs else { return Ok(None) };
    let input = inputs[0];
    let range = match op {
        EvalOp::Conv { weights, .. } | EvalOp::Dense { weights, .. } => dot_range(name, weights, input)?,
        EvalOp::Rescale(rescale) => rescale.range(input),
        EvalOp::Mix { mix, .. } => {
            let value = |x: i64, y: i64| mix.value(x as i32, y as i32).into();
            Range::new(value(input.lo, inputs[1].lo), value(input.hi, inputs[1].hi))
        }
        EvalOp::BitDepth { bits } => Range::levels(*bits as u8),
        EvalOp::GlobalSum { positions } => {
            let n = *positions as i64;
            Range::new((input.lo * n).min(0), (input.hi * n).max(0))
        }
        EvalOp::Logits { bias } => {
            let bias = integers(bias);
            let (least, most) = bias.iter().fold((i64::MAX, i64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
            Range::new(input.lo + least, input.hi + most)
        }
        EvalOp::Input | EvalOp::Median | EvalOp::MaxPool | EvalOp::Step(_) => input,
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
pub(super) fn magnitude(weights: &Tensor, input: Range) -> f64 {
    let rows = weights.reshape([weights.size()[0], -1]).abs();
    let largest = rows.sum_dim_intlist([1i64].as_slice(), false, Kind::Double).max();
    largest.double_value(&[]) * input.hi.max(-input.lo) as f64
}
