//! Drives attacks: what a suite is, who judges, what is checked first, and the run itself.

mod check;
mod judge;
mod plan;
mod run;
mod spec;

pub use check::SuiteError;
pub use judge::{Circuit, Judge, Verdict};
pub use plan::{check_begun, planned};
pub use run::{adversaries, run};
pub use spec::{Adversary, Progress, Single, Subject, Substitute, Suite, Watch};
