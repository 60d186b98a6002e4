//! Runs PGD as it is used today (Madry et al., ICLR 2018): many steps from each of several uniform starts, of
//! which the best result counts.

use super::search::Search;
use super::task::{Attack, Candidates, Task, rule};
use crate::ball::{Norm, clip};
use crate::gradient::Loss;
use crate::lattice::{shifted, sign};
use ndarray::{Axis, Zip};
use serde_json::Value;

const RESTARTS: usize = 10;
const STEPS: usize = 40;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "10 uniform starts, 40 steps of max(1, ⌊ε/4⌋) each along the gradient's sign",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| GRADIENTS,
    run: |task| climb(task, None),
    settings: |eps, _| settings(eps, "cross_entropy"),
};

/// Number of gradients that the attack asks for per image.
pub(super) const GRADIENTS: usize = RESTARTS * STEPS;

pub(super) fn settings(eps: u8, loss: &str) -> Vec<(String, Value)> {
    vec![
        rule("start", "image + integers uniform in -eps..=eps"),
        rule("restarts", RESTARTS),
        rule("iterations", STEPS),
        rule("step", step(eps)),
        rule("loss", loss),
    ]
}

fn step(eps: u8) -> u8 {
    (eps / 4).max(1)
}

/// Runs the attack on the cross entropy of logits or, where there are `factors`, of each image's logits times
/// its factor.
pub(super) fn climb(task: &Task, factors: Option<&[f64]>) -> Candidates {
    let mut search = Search::new(task);
    let by = i32::from(step(task.eps));
    let mut random: Vec<_> = (0..task.labels.len()).map(|i| task.random(i)).collect();
    for _ in 0..RESTARTS {
        if search.surviving.is_empty() {
            break;
        }
        let mut images = search.noisy(&mut random);
        for n in 0..=STEPS {
            let chosen = |factors: &[f64]| search.surviving.iter().map(|&i| factors[i]).collect();
            let factors: Option<Vec<f64>> = factors.map(chosen);
            let loss = factors.as_deref().map_or(Loss::CrossEntropy, Loss::Scaled);
            let (slopes, broken) = search.ascend(&images, loss);
            let left: Vec<usize> = (0..broken.len()).filter(|&at| !broken[at]).collect();
            if left.is_empty() || n == STEPS {
                break;
            }
            images = images.select(Axis(0), &left);
            Zip::from(&mut images).and(&slopes.gradient.select(Axis(0), &left)).for_each(|pixel, &slope| {
                *pixel = shifted(*pixel, sign(slope) * by, task.top);
            });
            clip(Norm::Linf, &mut images, search.originals().view(), task.eps, task.top);
        }
    }
    search.finish()
}
