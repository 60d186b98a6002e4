//! Bit-accurate engine, straight-through gradients and adversarial attacks on integer networks.

mod engine;
mod kernel;
mod windows;

pub use engine::Engine;
pub use kernel::Kernel;
