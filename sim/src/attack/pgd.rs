//! Runs PGD as the paper does: BIM after a random start, either "as in R+FGSM", read literally (⌊ε/2⌋ random
//! signs), or uniform in the ball as Madry's.

use super::task::{Attack, Candidates, Task, iterations, rule, same_as_fgsm};
use crate::ball::Norm;
use crate::report::Start;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "⌊min(ε + 4, 1.25·ε)⌋ steps of 1 along the gradient's sign, from a random start",
    norm: Norm::Linf,
    gradient: true,
    steps: iterations,
    run,
    settings: |eps, start| {
        let is_fgsm = start == Start::Signs && eps == 1;
        let start = match start {
            Start::Signs => "image + floor(eps/2) * sign(N), as in R+FGSM",
            Start::Uniform => "image + integers uniform in -eps..=eps",
        };
        let rules = vec![
            rule("start", start),
            rule("step", 1),
            rule("iterations", iterations(eps)),
            rule("loss", "cross_entropy"),
        ];
        same_as_fgsm(rules, is_fgsm)
    },
};

fn run(task: &Task) -> Candidates {
    let mut found = task.start();
    match task.start {
        Start::Signs => task.random_signs(&mut found, task.eps / 2),
        Start::Uniform => task.random_uniform(&mut found),
    }
    for _ in 0..iterations(task.eps) {
        task.ascend(&mut found, 1);
    }
    found
}
