//! Defines plans: how much hardware every node gets. The data is that of `plan.json`; it is read and checked
//! here against its network, or chosen for a target. Never says what a layer computes.

pub(crate) mod check;
mod choice;
pub(crate) mod data;
mod dominance;
mod file;
mod fit;
mod front;
mod planned;
mod planner;
mod target;
pub(crate) mod wires;

pub use crate::stage::hardware::Limits;
pub use check::limits;
pub use data::{Control, MAX_FIFO, MAX_PORT, Mac, Memory, NodePlan, Output, PLAN_VERSION, Plan, PlanError};
pub use dominance::undominated;
pub use file::PlanFileError;
pub use front::{Explorer, Speeds};
pub use planned::Planned;
pub use planner::{choose, default, for_target, with_detector};
pub use target::{DEFAULT_CLOCK_MHZ, DEFAULT_FRAMES_PER_SECOND, FoldError, Streaming, Target};
