//! The intermediate representation: what a circuit is, before anyone prints or runs it.
//!
//! | | what it is | its meaning |
//! |---|---|---|
//! | [`expr`] | a value within a clock | each node of [`expr::Node`]: widths, sign, what it computes |
//! | [`stmt`] | a statement at a clock edge | [`stmt::Stmt`] |
//! | [`memory`] | words with a read and a write port | [`memory::Read`], [`memory::Write`] |
//! | [`leaf`] | nets, memories and processes of one module | [`leaf::Leaf`], [`leaf::NetKind`] |
//! | [`part`] | what of a leaf is printed as one instance of the library | [`part::Part`] |
//! | [`module`] | a leaf, or instances and links between their ports | [`module::Structure`] |
//! | [`flatten`] | everything below a module as one netlist | [`flatten::Flat`] |
//!
//! Values have two states. All logic has one clock, `clk`, at its rising edge, and one reset, `rst`,
//! synchronous and high. `hdl/tests/rtl/meaning.rs` shows each node as Verilog and as the values that it
//! computes.
//!
//! Records are plain. Two builders make them, [`kernel`] and [`group`], and check what one module shows when
//! they seal it; what only the hierarchy shows is checked by [`flatten::check`], once, where a module is
//! emitted or simulated.

mod check;
mod const_fold;
pub(crate) mod expr;
pub(crate) mod flatten;
pub(crate) mod group;
pub(crate) mod kernel;
pub(crate) mod leaf;
pub(crate) mod memory;
pub(crate) mod module;
pub(crate) mod names;
pub(crate) mod order;
pub(crate) mod part;
pub(crate) mod port;
mod reset;
pub(crate) mod stmt;
pub(crate) mod value;
pub mod words;
