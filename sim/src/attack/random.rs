//! Random noise, as the paper's A.1: `clip(X + u)`. On the lattice u is uniform over the integers −ε..=ε. Asks no
//! gradient, so what it breaks that a white-box attack does not is a sign of gradient masking.

use super::{Attack, Candidates, Task, rule, shifted};
use ndarray::Array4;

/// Its row.
pub(super) const ATTACK: Attack = Attack {
    about: "uniform noise in −ε..=ε",
    gradient: false,
    steps: |_| 0,
    run,
    settings: |_, _| vec![rule("noise", "integers uniform in -eps..=eps, each element on its own")],
};

fn run(task: &Task) -> Candidates {
    let mut images = Array4::zeros(task.images.raw_dim());
    let (eps, originals) = (i32::from(task.eps), task.images.outer_iter());
    for (i, (mut image, original)) in images.outer_iter_mut().zip(originals).enumerate() {
        let mut random = task.random(i);
        image.zip_mut_with(&original, |to, &from| *to = shifted(from, random.within(-eps, eps)));
    }
    Candidates { images, zero_gradient: vec![false; task.labels.len()] }
}
