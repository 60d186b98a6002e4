//! Runs multi-targeted PGD (Gowal et al. 2019): PGD from a uniform start towards each of the most likely
//! other classes in turn, on the difference of two logits.

use super::search::{Search, TARGETS, drop_broken, ranked_targets};
use super::task::{Attack, Candidates, Task, rule};
use crate::ball::{Norm, clip};
use crate::gradient::Loss;
use crate::lattice::{shifted, sign};
use ndarray::Zip;

const STEPS: usize = 20;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "20 steps of PGD towards each of 9 targets",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| STEPS * TARGETS,
    run,
    settings: |eps, _| {
        vec![
            rule("start", "image + integers uniform in -eps..=eps"),
            rule("step", step(eps)),
            rule("iterations", STEPS),
            rule("targets", TARGETS),
            rule("loss", "z_t - z_y"),
        ]
    },
};

/// Returns the length of a step: a quarter of ε, at least 1.
fn step(eps: u8) -> u8 {
    (eps / 4).max(1)
}

fn run(task: &Task) -> Candidates {
    let ranked = ranked_targets(task);
    let mut search = Search::new(task);
    let mut random: Vec<_> = (0..task.labels.len()).map(|i| task.random(i)).collect();
    for rank in 0..TARGETS.min(task.source.classes() - 1) {
        if search.surviving.is_empty() {
            break;
        }
        search.forget_losses();
        let target: Vec<usize> = ranked.iter().map(|ranked| ranked[rank]).collect();
        let mut images = search.noisy(&mut random);
        for _ in 0..=STEPS {
            let targets: Vec<usize> = search.surviving.iter().map(|&i| target[i]).collect();
            let (slopes, broken) = search.ascend(&images, Loss::Difference(&targets));
            let mut left: Vec<usize> = (0..broken.len()).collect();
            drop_broken(&mut left, &broken);
            if left.is_empty() {
                break;
            }
            images = images.select(ndarray::Axis(0), &left);
            let gradient = slopes.gradient.select(ndarray::Axis(0), &left);
            Zip::from(&mut images).and(&gradient).for_each(|pixel, &slope| {
                *pixel = shifted(*pixel, sign(slope) * i32::from(step(task.eps)), task.top);
            });
            clip(Norm::Linf, &mut images, search.originals().view(), task.eps, task.top);
        }
    }
    search.finish()
}
