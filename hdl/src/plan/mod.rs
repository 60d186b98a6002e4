//! Plans: how much hardware every node gets. [`data`] is the file, [`planner`] chooses one for a target. Never says what
//! a layer computes.

mod data;
mod planner;
pub(crate) mod wires;

pub use data::*;
pub use planner::*;
