//! Tries ten thousand random draws, to see what noise alone finds. The attack asks for labels only: an image
//! that it breaks and gradients do not is a sign of gradient masking.

use super::search::Search;
use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;

const DRAWS: usize = 10_000;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "10,000 draws of uniform noise in −ε..=ε",
    norm: Norm::Linf,
    gradient: false,
    steps: |_| 0,
    run,
    settings: |_, _| {
        vec![rule("draws", DRAWS), rule("noise", "integers uniform in -eps..=eps, each element on its own")]
    },
};

fn run(task: &Task) -> Candidates {
    let mut search = Search::new(task);
    let mut random: Vec<_> = (0..task.labels.len()).map(|i| task.random(i)).collect();
    for _ in 0..DRAWS {
        if search.surviving.is_empty() {
            break;
        }
        let images = search.noisy(&mut random);
        search.margins(&images);
    }
    search.finish()
}
