//! Holds small helpers on tensors.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

/// Holds tensors by name, in a fixed order.
pub type Tensors = BTreeMap<String, Tensor>;

/// Returns a tensor's elements in row-major order.
pub fn vector(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.reshape([-1]).to_kind(Kind::Double)).expect("one dimension of f64")
}

/// Returns a tensor's whole-number elements in row-major order.
pub fn integers(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.reshape([-1]).to_kind(Kind::Int64)).expect("one dimension of i64")
}

/// Returns whether every number of `t` is finite.
pub fn finite(t: &Tensor) -> bool {
    t.isfinite().all().int64_value(&[]) == 1
}

/// Returns a feature map in stream order, channels fastest: batch × (height·width·channels).
pub fn flat(x: &Tensor) -> Tensor {
    if x.dim() == 4 { x.permute([0, 2, 3, 1]).flatten(1, -1) } else { x.shallow_clone() }
}

/// Returns the shape that lays a vector of channels along `x`: batch × channels (× height × width).
pub fn along_channels(x: &Tensor) -> &'static [i64] {
    if x.dim() == 4 { &[-1, 1, 1] } else { &[-1] }
}
