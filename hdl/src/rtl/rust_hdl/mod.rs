//! What rust-hdl does: it drives a simulation and writes its traces.

pub(crate) mod circuit;
pub(crate) mod driver;
