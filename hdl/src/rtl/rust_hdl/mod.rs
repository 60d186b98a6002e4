//! Uses rust-hdl: its checks, its traces, its printer, on the tree of a module. Only here is rust-hdl named.
//! It sees the simulator, whose values it shows, and the printer of leaves, whose text it takes as it is.

mod ast;
mod circuit;
pub(crate) mod driver;
mod scope;
