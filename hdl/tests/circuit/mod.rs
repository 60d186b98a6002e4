//! Compares circuits with the reference's words, the plan's cycles, and the tools.

mod board;
mod common;
mod control;
mod detector;
mod emitted;
mod gates;
mod golden;
mod graph;
mod names;
mod netlist;
mod outside;
mod proved;
mod spram;
mod stream;
pub mod synthesis;
mod vgg;
mod weights;
