//! The flat machine that runs a compiled netlist.

pub(crate) mod activity;
pub(crate) mod compile;
pub(crate) mod engine;
pub(crate) mod lower;
pub(crate) mod ops;
pub(crate) mod places;
