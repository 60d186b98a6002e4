//! Turns a trained run into exact networks: calibration, the float evaluation graph, export, proof.
//!
//! Export finds thresholds by bisection over the very float code that training evaluates. That code
//! convolves integers in f64, or in f32 where Σ|w|·|x| < 2^24 makes it equally exact; the steps are
//! separate f64 operations always.

pub mod calibrate;
#[cfg(test)]
mod certificates;
pub mod evaluation;
pub mod export;
pub mod networks;
pub mod prove;
pub mod saved;
