//! Rounds with straight-through gradients, and slowed ones.
//!
//! Rounding is done in place without a gradient, on the result of an operation that does not keep its result
//! for its own gradient: autograd sees the unrounded value, and memory is passed over once.

use tch::{Tensor, no_grad};

/// The least learned scale or ceiling.
pub const LEAST: f64 = 1e-6;

/// Returns `x` with its gradient times `factor` (LSQ slows a step's gradient, which is the sum over all it
/// quantizes).
pub fn slowed(x: &Tensor, factor: f64) -> Tensor {
    let slow = x * factor;
    &slow + (x - &slow).detach()
}

/// Rounds to whole numbers, ties to even; gradient 1.
pub fn round_through(x: &Tensor) -> Tensor {
    let mut rounded = x * 1.0;
    let _ = no_grad(|| rounded.round_());
    rounded
}
