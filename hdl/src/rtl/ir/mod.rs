//! The intermediate representation: expressions, leaves, groups.

pub(crate) mod check;
pub(crate) mod const_fold;
pub(crate) mod expr;
pub(crate) mod flatten;
pub(crate) mod group;
pub(crate) mod kernel;
pub(crate) mod memory;
pub(crate) mod module;
pub(crate) mod names;
pub(crate) mod reset;
pub(crate) mod stmt;
pub mod words;
