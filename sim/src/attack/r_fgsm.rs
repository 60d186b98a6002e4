//! Runs R+FGSM, the paper's equation (2): `X' = X + ε₁·sign(N(0, I))`, then a step of ε − ε₁ from X'. The
//! paper's ε₁ is ε/2; on the lattice ε₁ = ⌊ε/2⌋, so for odd ε the gradient step is the larger half.

use super::task::{Attack, Candidates, Task, rule, same_as_fgsm};
use crate::ball::Norm;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "a random step of ⌊ε/2⌋, then one step of the rest along the gradient's sign",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| 1,
    run,
    settings: |eps, _| {
        let rules = vec![
            rule("start", "image + floor(eps/2) * sign(N)"),
            rule("start_step", eps / 2),
            rule("step", eps - eps / 2),
            rule("loss", "cross_entropy"),
        ];
        same_as_fgsm(rules, eps / 2 == 0)
    },
};

fn run(task: &Task) -> Candidates {
    let mut found = task.start();
    task.random_signs(&mut found, task.eps / 2);
    task.ascend(&mut found, task.eps - task.eps / 2);
    found
}
