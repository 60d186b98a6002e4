//! Runs PGD with the settings of Madry et al. (ICLR 2018), as the paper's table 5 does: steps of 2 along the
//! gradient's sign from a start uniform in the ball, 7 or 20 of them.

use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;

/// Size of a step, in grey levels.
const STEP: u8 = 2;

/// The attack with 7 steps, which adversarial training uses.
pub(super) const SEVEN: Attack = Attack {
    about: "7 steps of 2 along the gradient's sign, from a uniform start (Madry)",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| 7,
    run: |task| run(task, 7),
    settings: |_, _| settings(7),
};

/// The attack with 20 steps.
pub(super) const TWENTY: Attack = Attack {
    about: "20 steps of 2 along the gradient's sign, from a uniform start (Madry)",
    steps: |_| 20,
    run: |task| run(task, 20),
    settings: |_, _| settings(20),
    ..SEVEN
};

fn settings(iterations: usize) -> Vec<(String, serde_json::Value)> {
    vec![
        rule("start", "image + integers uniform in -eps..=eps"),
        rule("step", STEP),
        rule("iterations", iterations),
        rule("loss", "cross_entropy"),
    ]
}

fn run(task: &Task, iterations: usize) -> Candidates {
    let mut found = task.start();
    task.random_uniform(&mut found);
    for _ in 0..iterations {
        task.ascend(&mut found, STEP);
    }
    found
}
