//! Verilog-2005 of modules.

pub(crate) mod emit;
pub(crate) mod expr;
pub(crate) mod leaf;
