//! Simulates the netlist: a module is flattened, compiled into a list of instructions, and run clock by
//! clock.
//!
//! [`compile`] makes an [`image::Program`], [`engine`] runs it. The hierarchy is checked where it is
//! compiled.
//!
//! The engine runs a flat list of instructions, leaf by leaf, and leaves out the leaves around which nothing
//! changed (`activity`). Without a trace it runs alone; with one, rust-hdl drives it. A test checks that both
//! give the same values.

mod activity;
pub(crate) mod compile;
mod compiler;
pub(crate) mod engine;
pub(crate) mod image;
mod lower;
mod machine;
mod ops;
mod places;
