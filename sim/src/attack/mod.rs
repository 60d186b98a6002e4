//! Attacks on the uint8 lattice, with one file and one row of [`ALL`] per attack. An attack only proposes
//! images; the driver ([`suite`]) clips them to the ball and asks the network itself, so no attack judges its
//! own success.

mod apgd;
mod bim;
mod doubts;
mod draws;
mod fab;
mod fgsm;
mod madry;
pub mod merge;
mod momentum;
mod multi_target;
mod pgd;
mod r_fgsm;
mod random;
mod rays;
mod restarts;
mod scaled;
mod search;
mod sign_hunter;
mod square;
mod square_l2;
pub mod suite;
mod task;

pub use crate::ball::{Norm, clip};
pub use crate::report::Start;
pub use square::{Budget, square};
pub(crate) use task::NEVER;
pub use task::{Attack, Candidates, Task};

/// Lists every attack with its name, in the order in which a suite runs them.
pub const ALL: &[(&str, Attack)] = &[
    ("random", random::ATTACK),
    ("fgsm", fgsm::ATTACK),
    ("r-fgsm", r_fgsm::ATTACK),
    ("bim", bim::ATTACK),
    ("pgd", pgd::ATTACK),
    ("madry-7", madry::SEVEN),
    ("madry-20", madry::TWENTY),
    ("mi", momentum::ATTACK),
    ("pgd-r", restarts::ATTACK),
    ("pgd-pp", scaled::ATTACK),
    ("pgd-t", multi_target::ATTACK),
    ("apgd-ce", apgd::CROSS_ENTROPY),
    ("apgd-t", apgd::TARGETED),
    ("apgd-ce-r", apgd::CROSS_ENTROPY_RESTARTED),
    ("apgd-t-r", apgd::TARGETED_RESTARTED),
    ("fab-t", fab::ATTACK),
    ("square", square::ATTACK),
    ("square-20k", square::LONG),
    ("sign-hunter", sign_hunter::ATTACK),
    ("rays", rays::ATTACK),
    ("draws", draws::ATTACK),
    ("apgd-ce-l2", apgd::CROSS_ENTROPY_L2),
    ("apgd-t-l2", apgd::TARGETED_L2),
    ("apgd-ce-r-l2", apgd::CROSS_ENTROPY_RESTARTED_L2),
    ("apgd-t-r-l2", apgd::TARGETED_RESTARTED_L2),
    ("fab-t-l2", fab::L2),
    ("square-l2", square_l2::ATTACK),
];

/// Names of the attacks in the paper's tables.
pub const PAPER: &[&str] = &["random", "fgsm", "r-fgsm", "pgd"];

/// Names of AutoAttack's standard set (Croce, Hein, ICML 2020), in its order.
pub const AUTO: &[&str] = &["apgd-ce", "apgd-t", "fab-t", "square"];

/// Names of AutoAttack's set in the Euclidean ball, in its order.
pub const AUTO_L2: &[&str] = &["apgd-ce-l2", "apgd-t-l2", "fab-t-l2", "square-l2"];

/// Names of the set of [`AUTO`] with restarts and a longer random search: an image counts as robust only where
/// ten starts of APGD, three towards each class, and 20,000 queries found nothing.
pub const AUTO_PLUS: &[&str] = &["apgd-ce-r", "apgd-t-r", "fab-t", "square-20k"];

/// Names of the set of [`AUTO_L2`] with restarts.
pub const AUTO_PLUS_L2: &[&str] = &["apgd-ce-r-l2", "apgd-t-r-l2", "fab-t-l2", "square-l2"];

/// Lists the sets of attacks with their names.
pub const SETS: &[(&str, &[&str])] = &[
    ("paper", PAPER),
    ("auto", AUTO),
    ("auto-l2", AUTO_L2),
    ("auto-plus", AUTO_PLUS),
    ("auto-plus-l2", AUTO_PLUS_L2),
];

/// Returns the attacks of the set called `name`, as in [`SETS`].
pub fn set(name: &str) -> Option<&'static [&'static str]> {
    SETS.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// Returns the attack called `name`.
pub fn find(name: &str) -> Option<Attack> {
    ALL.iter().find(|row| row.0 == name).map(|row| row.1)
}
