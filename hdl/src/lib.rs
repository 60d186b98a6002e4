//! `dq-hdl`: plans, times, simulates and emits synthesizable Verilog for integer networks. Never decides what a layer
//! means, and holds no float.

pub mod design;
pub mod netlist;
pub mod pipeline;
pub mod plan;
pub mod rtl;
mod stage;
pub mod stalls;
pub mod timing;
pub mod tools;
mod top;
