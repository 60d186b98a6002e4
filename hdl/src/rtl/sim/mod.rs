//! The netlist simulator: a module flattened, compiled into a list of instructions, and run clock by clock.
//!
//! [`compile`] makes an [`image::Program`], [`engine`] runs it. The hierarchy is checked where it is compiled.

mod activity;
pub(crate) mod compile;
mod compiler;
pub(crate) mod engine;
pub(crate) mod image;
mod lower;
mod machine;
mod ops;
mod places;
