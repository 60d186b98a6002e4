//! Reads what the attributes and constant inputs of an operator say, for those who compute it and those who lower it.

use crate::graph::Op;
use crate::number::Q;
use crate::quantizer::{Constants, wanted};

/// Returns the axis of the channels of a `BatchNormalization`.
pub fn norm_axis(op: &Op, rank: usize) -> usize {
    if op.domain.is_empty() { 1 } else { rank.saturating_sub(1) }
}

/// Returns the bounds of a `Clip`.
pub fn clip_bounds(op: &Op, get: Constants) -> Result<(Option<Q>, Option<Q>), String> {
    let bound = |i: usize, name: &str| -> Result<Option<Q>, String> {
        match (op.attribute(name), op.input(i)) {
            (Some(_), _) => op.float(name, 0.0).map(Some),
            (None, None) => Ok(None),
            (None, Some(_)) => wanted(get, i, name)?.scalar(name).map(Some),
        }
    };
    let (lo, hi) = (bound(1, "min")?, bound(2, "max")?);
    if lo.as_ref().zip(hi.as_ref()).is_some_and(|(lo, hi)| lo > hi) {
        return Err("min: expected at most max".into());
    }
    Ok((lo, hi))
}

/// Returns the axis along which the thresholds of a `MultiThreshold` differ.
pub fn threshold_axis(op: &Op, rank: usize) -> Result<usize, String> {
    let layout = op.text("data_layout", "");
    let axis = match (layout.as_str(), rank) {
        ("", 3) => 2,
        ("", _) => 1,
        (layout, _) => layout.find('C').unwrap_or(1),
    };
    if axis < rank { Ok(axis) } else { Err(format!("data_layout: expected {rank} axes, found `{layout}`")) }
}
