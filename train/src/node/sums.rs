//! Describes sums of products of the exact evaluation: their ranges, what keeps them exact, and their weights
//! as arrays.

use anyhow::{Result, ensure};
use dq_net::Range;
use ndarray::{Array2, Array4};
use tch::{Kind, Tensor, no_grad};

use super::kind::Facts;
use crate::recipe::Bits;
use crate::tensor::{integers, vector};

/// Whole numbers below these are exact in f64 and f32.
const F64_EXACT: f64 = (1u64 << 53) as f64;
const F32_EXACT: f64 = (1u64 << 24) as f64;

/// Returns `range`, refusing one that an accumulator of the integer network does not hold.
///
/// # Errors
/// Where it outgrows ±2^30, naming node `name`.
pub fn fitting(name: &str, range: Range) -> Result<Range> {
    ensure!(
        range.fits_accumulator(),
        "node `{name}`: accumulators of {range} outgrow ±2^30: use fewer bits or narrower layers"
    );
    Ok(range)
}

/// Rounds sums that are whole numbers already: in place and without a gradient, so that the sum's own
/// gradient passes.
pub fn rounded(mut sums: Tensor, facts: &Facts) -> Tensor {
    if facts.range.is_some() {
        let _ = no_grad(|| sums.round_());
    }
    sums
}

/// Returns the range of sums of products of each row of `weights` with values in the first of `inputs`, zero
/// included; `None` where weights or inputs are real.
///
/// # Errors
/// Where sums of magnitudes reach 2^53, or the range outgrows an accumulator.
pub fn dot_range(
    name: &str,
    weights: &Tensor,
    bits: Bits,
    inputs: Option<&[Range]>,
) -> Result<Option<Range>> {
    let (Some(&[input]), Bits::Int(_)) = (inputs, bits) else { return Ok(None) };
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
    fitting(name, Range::new((least as i64).min(0), (most as i64).max(0))).map(Some)
}

/// Returns the number format in which products of `weights` with values in `input` sum up exactly: f32 where
/// it is as exact as f64, and ten times faster.
pub fn exact_format(weights: &Tensor, bits: Bits, input: Option<Range>) -> Kind {
    match (bits, input) {
        (Bits::Int(_), Some(input)) if magnitude(weights, input) >= F32_EXACT => Kind::Double,
        _ => Kind::Float,
    }
}

/// Returns the largest Σ|w|·|x| of any output: no partial sum, in whatever order, is larger.
fn magnitude(weights: &Tensor, input: Range) -> f64 {
    let rows = weights.reshape([weights.size()[0], -1]).abs();
    let largest = rows.sum_dim_intlist([1i64].as_slice(), false, Kind::Double).max();
    largest.double_value(&[]) * input.hi.max(-input.lo) as f64
}

/// Returns quantized bits as the integer network has them.
///
/// # Panics
/// Where they are float.
pub fn whole(bits: Bits) -> u8 {
    let Bits::Int(bits) = bits else { unreachable!("asked for quantized networks only") };
    bits as u8
}

/// Returns weights × their scale: one per row, or one for all.
pub fn scaled(weights: &Tensor, scale: &[f64]) -> Tensor {
    let mut shape = vec![-1];
    shape.resize(weights.dim(), 1);
    weights * Tensor::from_slice(scale).to_device(weights.device()).reshape(&shape)
}

/// Returns out × in × k × k as out × k × k × in.
pub fn kernel_last<T>(weights: &Tensor, convert: impl Fn(f64) -> T) -> Array4<T> {
    let weights = weights.permute([0, 2, 3, 1]);
    let size: Vec<usize> = weights.size().iter().map(|&n| n as usize).collect();
    let values = vector(&weights).into_iter().map(convert).collect();
    Array4::from_shape_vec((size[0], size[1], size[2], size[3]), values).expect("the tensor's own size")
}

/// Returns out × in.
pub fn matrix<T>(weights: &Tensor, convert: impl Fn(f64) -> T) -> Array2<T> {
    let size: Vec<usize> = weights.size().iter().map(|&n| n as usize).collect();
    let values = vector(weights).into_iter().map(convert).collect();
    Array2::from_shape_vec((size[0], size[1]), values).expect("the tensor's own size")
}

/// Returns `input` moved by the least and the most of whole-number `bias`.
pub fn biased(input: Range, bias: &Tensor) -> Range {
    let bias = integers(bias);
    let (least, most) = bias.iter().fold((i64::MAX, i64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
    Range::new(input.lo + least, input.hi + most)
}
