//! Verilog-2005 of modules: files, leaves, structures, processes, expressions. Knows the intermediate
//! representation alone.

pub(crate) mod emit;
mod expr;
pub(crate) mod leaf;
mod process;
mod structure;
mod text;
