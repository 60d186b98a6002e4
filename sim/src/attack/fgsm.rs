//! Runs FGSM, the paper's equation (1): `X + ε·sign(∇J(X, y))`, in one step.

use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "one step of ε along the gradient's sign",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| 1,
    run,
    settings: |eps, _| vec![rule("step", eps), rule("loss", "cross_entropy")],
};

fn run(task: &Task) -> Candidates {
    let mut found = task.start();
    task.ascend(&mut found, task.eps);
    found
}
