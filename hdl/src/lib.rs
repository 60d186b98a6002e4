//! Plans, simulates and emits synthesizable Verilog for integer networks.

pub mod rtl;
pub mod tools;
