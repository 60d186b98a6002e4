//! Compares the run-time layer with arithmetic written bit by bit, with Verilator, and with rust-hdl's
//! printer.

mod bits;
mod meaning;
mod memories;
mod operators;
mod structure;
mod verilator;
