//! PGD as it is run today (Madry et al., ICLR 2018): from several uniform starts, many steps, the best of all.

use super::search::Search;
use super::{Attack, Candidates, Norm, Task, clip, rule, shifted, sign};
use crate::gradient::Loss;
use ndarray::{Axis, Zip};

const RESTARTS: usize = 10;
const STEPS: usize = 40;

/// Its row.
pub(super) const ATTACK: Attack = Attack {
    about: "10 uniform starts, 40 steps of max(1, ⌊ε/4⌋) each along the gradient's sign",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| RESTARTS * STEPS,
    run,
    settings: |eps, _| {
        vec![
            rule("start", "image + integers uniform in -eps..=eps"),
            rule("restarts", RESTARTS),
            rule("iterations", STEPS),
            rule("step", step(eps)),
            rule("loss", "cross_entropy"),
        ]
    },
};

fn step(eps: u8) -> u8 {
    (eps / 4).max(1)
}

fn run(task: &Task) -> Candidates {
    let mut search = Search::new(task);
    let by = i32::from(step(task.eps));
    let mut random: Vec<_> = (0..task.labels.len()).map(|i| task.random(i)).collect();
    for _ in 0..RESTARTS {
        if search.standing.is_empty() {
            break;
        }
        let mut images = search.noisy(&mut random);
        for n in 0..=STEPS {
            let (slopes, broken) = search.ascend(&images, Loss::CrossEntropy);
            let left: Vec<usize> = (0..broken.len()).filter(|&at| !broken[at]).collect();
            if left.is_empty() || n == STEPS {
                break;
            }
            images = images.select(Axis(0), &left);
            Zip::from(&mut images).and(&slopes.gradient.select(Axis(0), &left)).for_each(|pixel, &slope| {
                *pixel = shifted(*pixel, sign(slope) * by);
            });
            clip(Norm::Linf, &mut images, search.originals().view(), task.eps);
        }
    }
    search.finish()
}
