//! Bit-accurate engine, straight-through gradients and adversarial attacks on integer networks.

mod engine;
mod gradient;
mod kernel;
mod windows;

pub use engine::Engine;
pub use gradient::{GradientSource, Loss, LossGradient};
pub use kernel::Kernel;
