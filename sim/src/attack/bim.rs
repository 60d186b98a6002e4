//! Runs BIM, the paper's equation (3): steps of 1 along the gradient's sign from the image itself, clipped to
//! the ball after each.

use super::task::{Attack, Candidates, Task, iterations, rule, same_as_fgsm};
use crate::ball::Norm;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "⌊min(ε + 4, 1.25·ε)⌋ steps of 1 along the gradient's sign",
    norm: Norm::Linf,
    gradient: true,
    steps: iterations,
    run,
    settings: |eps, _| {
        let rules = vec![rule("step", 1), rule("iterations", iterations(eps)), rule("loss", "cross_entropy")];
        same_as_fgsm(rules, eps == 1)
    },
};

fn run(task: &Task) -> Candidates {
    let mut found = task.start();
    for _ in 0..iterations(task.eps) {
        task.ascend(&mut found, 1);
    }
    found
}
