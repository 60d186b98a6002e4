//! Proves a step: both sides of every threshold are evaluated again with the float code, and the surrogate is
//! compared.

use dq_net::LayerProof;
use dq_net::layer::Step;
use tch::{Kind, Tensor};

use super::function::{Boundaries, StepFunction, directed};
use crate::node::kind::Place;
use crate::node::proof::{ProofFailure, failure, same};
use crate::tensor::{integers, vector};

/// Proves that `step` is `function` on every accumulator of its range.
pub fn prove(at: &Place, function: &StepFunction, step: &Step) -> Result<LayerProof, ProofFailure> {
    let (name, range) = (at.name, at.input_range());
    let (channels, count) = step.thresholds.dim();
    same(name, "channels", &(function.channels() as usize), &channels)?;
    let dir: Vec<i8> = vector(&function.direction()).into_iter().map(|d| d as i8).collect();
    same(name, "dir", &dir, &step.dir)?;

    let flat: Vec<f64> = step.thresholds.iter().map(|&t| t.into()).collect();
    let device = function.device();
    let thresholds = Tensor::from_slice(&flat).to_device(device).reshape([channels as i64, count as i64]);
    let direction = function.direction().unsqueeze(1);
    let (low, high) = directed(&direction, range.lo, range.hi);
    let level = Tensor::arange_start(1, count as i64 + 1, (Kind::Double, device)).unsqueeze(0);
    // The level is reached at the threshold and not just below it; beyond the range's ends no accumulator can
    // reach it.
    for (offset, reached) in [(0.0, true), (-1.0, false)] {
        let at = &thresholds + offset;
        let inside = at.ge_tensor(&low).logical_and(&at.le_tensor(&high));
        let acc = &at.clamp_tensor(Some(&low), Some(&high)) * &direction;
        let levels = function.levels(&acc, &[-1, 1]);
        let reaches = levels.ge_tensor(&level);
        let wrong = if reached { reaches.logical_not() } else { reaches }.logical_and(&inside);
        if let Some(first) = integers(&wrong.nonzero()).chunks_exact(2).next() {
            let (c, t) = (first[0] as usize, first[1] as usize);
            let acc = acc.double_value(first) as i64;
            let place = format!("channel {c}, threshold {t}, accumulator {acc}");
            return Err(failure(name, &place, levels.double_value(first), step.level(c, acc as i32)));
        }
    }
    let found = function.boundaries(range.lo, range.hi);
    surrogate(at, step, &found)?;
    Ok(LayerProof {
        node: name.to_owned(),
        boundaries: (channels * count) as u64,
        acc_lo: range.lo,
        acc_hi: range.hi,
    })
}

fn surrogate(at: &Place, step: &Step, found: &Boundaries) -> Result<(), ProofFailure> {
    let given = &step.surrogate;
    let wide = |v: &[i32]| v.iter().map(|&v| i64::from(v)).collect::<Vec<_>>();
    same(at.name, "surrogate.gain", &found.gain, &given.gain)?;
    same(at.name, "surrogate.open_lo", &found.open_lo, &wide(&given.open_lo))?;
    same(at.name, "surrogate.open_hi", &found.open_hi, &wide(&given.open_hi))?;
    same(at.name, "surrogate.unit", &at.facts.unit, &given.unit)
}
