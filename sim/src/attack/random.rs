//! Adds random noise, as the paper's A.1: `clip(X + u)`. On the lattice u is uniform over the integers
//! −ε..=ε. The attack asks for no gradient: an image that it breaks and a white-box attack does not is a sign
//! of gradient masking.

use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "uniform noise in −ε..=ε",
    norm: Norm::Linf,
    gradient: false,
    steps: |_| 0,
    run,
    settings: |_, _| vec![rule("noise", "integers uniform in -eps..=eps, each element on its own")],
};

fn run(task: &Task) -> Candidates {
    let mut found = task.start();
    task.random_uniform(&mut found);
    found
}
