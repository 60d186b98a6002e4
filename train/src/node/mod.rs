//! What single nodes compute.

pub mod aol;
pub mod convolve;
pub mod quantize;
pub mod squeeze;
pub mod step;
pub mod stream;
