//! Random noise, as the paper's A.1: `clip(X + u)`. On the lattice u is uniform over the integers −ε..=ε. It
//! asks for no gradient, so what it breaks and a white-box attack does not is a sign of gradient masking.

use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;

/// Its row.
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
