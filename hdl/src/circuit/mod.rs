//! Turns one network under one plan into a circuit: stages and top, control port, emission with its
//! testbench, and the run of the very netlist that is emitted. Runs no tool.

pub mod control;
pub mod design;
pub mod emit;
pub mod netlist;
pub(crate) mod testbench;
mod top;
mod weight_ports;
pub mod wrapper;
