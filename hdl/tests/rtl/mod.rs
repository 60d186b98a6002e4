//! The run-time layer held against arithmetic written bit by bit, against Verilator, and against rust-hdl's
//! printer.

mod bits;
mod meaning;
mod memories;
mod operators;
mod structure;
mod verilator;
