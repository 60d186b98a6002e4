//! From a trained run to exact networks: calibration, the float evaluation graph, export, proof.

pub mod calibrate;
pub mod evaluation;
pub mod export;
pub mod networks;
pub mod prove;
pub mod saved;
