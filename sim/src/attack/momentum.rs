//! Runs MI-FGSM (Dong et al., CVPR 2018): BIM along the sum of all gradients so far, each scaled to a mean of
//! 1. Its adversaries transfer better than BIM's.

use super::search::{Search, drop_broken};
use super::task::{Attack, Candidates, Task, iterations, rule};
use crate::ball::scaled;
use crate::ball::{Norm, clip};
use crate::gradient::Loss;
use crate::lattice::{shifted, sign};
use ndarray::{Array3, Axis, Zip};

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "⌊min(ε + 4, 1.25·ε)⌋ steps of 1 along the sign of all gradients' sum",
    norm: Norm::Linf,
    gradient: true,
    steps: iterations,
    run,
    settings: |eps, _| {
        vec![
            rule("start", "image"),
            rule("step", 1),
            rule("iterations", iterations(eps)),
            rule("decay", 1.0),
            rule("loss", "cross_entropy"),
        ]
    },
};

fn run(task: &Task) -> Candidates {
    let mut search = Search::new(task);
    let mut images = task.images.to_owned();
    let mut sums: Vec<Array3<f32>> = vec![Array3::zeros(task.source.input_shape().dim()); task.labels.len()];
    // There is one evaluation more than there are steps, since the last image is evaluated too.
    for step in 0..=iterations(task.eps) {
        let (slopes, broken) = search.ascend(&images, Loss::CrossEntropy);
        let left: Vec<usize> = (0..broken.len()).filter(|&at| !broken[at]).collect();
        drop_broken(&mut sums, &broken);
        if left.is_empty() || step == iterations(task.eps) {
            break;
        }
        images = images.select(Axis(0), &left);
        for ((mut image, sum), &at) in images.outer_iter_mut().zip(&mut sums).zip(&left) {
            let (gradient, _) = scaled(slopes.gradient.index_axis(Axis(0), at));
            let mean = gradient.iter().map(|g| g.abs()).sum::<f32>() / gradient.len() as f32;
            if mean > 0.0 {
                sum.zip_mut_with(&gradient, |sum, g| *sum += g / mean);
            }
            Zip::from(&mut image).and(&*sum).for_each(|pixel, &slope| {
                *pixel = shifted(*pixel, sign(slope), task.top);
            });
        }
        clip(Norm::Linf, &mut images, search.originals().view(), task.eps, task.top);
    }
    search.finish()
}
