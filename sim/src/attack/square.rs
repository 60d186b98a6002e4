//! Runs the Square attack (Andriushchenko et al., ECCV 2020), L∞: a random search over squares of ±ε. It asks
//! the network under attack for its scores alone, so that masked gradients hide nothing from it.

use super::search::{Nearby, Search, drop_broken};
use super::task::{Attack, Candidates, NEVER, Task, rule};
use crate::ball::Norm;
use crate::gradient::GradientSource;
use crate::lattice::edge;
use crate::random::Random;
use crate::report::Start;
use ndarray::{Array3, Array4, ArrayView3, ArrayView4, Axis};
use serde_json::Value;

/// Share of the pixels that the first squares change.
const FIRST_SHARE: f64 = 0.8;

const STRIPES: &str = "vertical stripes of +eps or -eps";

/// The attack with 5,000 queries per image, as in AutoAttack.
pub(super) const ATTACK: Attack = Attack {
    about: "5,000 queries of random squares, scores alone",
    norm: Norm::Linf,
    gradient: false,
    steps: |_| 0,
    run: |task| run(task, 5_000),
    settings: |_, _| settings(5_000, STRIPES),
};

/// The attack with 20,000 queries per image.
pub(super) const LONG: Attack = Attack {
    about: "20,000 queries of random squares, scores alone",
    norm: Norm::Linf,
    gradient: false,
    steps: |_| 0,
    run: |task| run(task, 20_000),
    settings: |_, _| settings(20_000, STRIPES),
};

pub(super) fn settings(queries: usize, start: &str) -> Vec<(String, Value)> {
    vec![
        rule("queries", queries),
        rule("first_share", FIRST_SHARE),
        rule("schedule", "AutoAttack's halvings, which are made for 10,000 queries, scaled to these queries"),
        rule("start", start),
        rule("loss", "margin"),
    ]
}

/// Holds the search on one image.
struct Square {
    image: Array3<u8>,
    margin: f64,
    random: Random,
}

pub(super) fn run(task: &Task, queries: usize) -> Candidates {
    let mut search = Search::new(task);
    let shape = task.target.input_shape().dim();
    let mut squares: Vec<Square> = (0..task.labels.len())
        .map(|i| {
            let mut random = task.random(i);
            let image = stripes(task.images.index_axis(Axis(0), i), (task.eps, task.top), &mut random);
            Square { image, margin: f64::NEG_INFINITY, random }
        })
        .collect();
    let mut near = Nearby::new(task, squares.iter().map(|square| square.image.view()));
    for query in 0..queries {
        if squares.is_empty() {
            break;
        }
        let mut proposals = Array4::zeros((squares.len(), shape.0, shape.1, shape.2));
        let surviving = search.surviving.iter().zip(&mut squares);
        for (mut proposal, (&i, square)) in proposals.outer_iter_mut().zip(surviving) {
            proposal.assign(&square.image);
            if query > 0 {
                let side = side(query, queries, shape);
                let original = task.images.index_axis(Axis(0), i);
                let (y, x) = (
                    square.random.within(0, (shape.0 - side) as i32) as usize,
                    square.random.within(0, (shape.1 - side) as i32) as usize,
                );
                for c in 0..shape.2 {
                    let up = square.random.word() >> 63 == 0;
                    for at in (y..y + side).flat_map(|y| (x..x + side).map(move |x| [y, x, c])) {
                        // A move of 2ε from anywhere in the ball ends at its edge.
                        proposal[at] = edge(original[at], task.eps, up, task.top);
                    }
                }
            }
        }
        let (margins, broken) = search.margins_near(&proposals, &mut near);
        for (at, (square, margin)) in squares.iter_mut().zip(margins).enumerate() {
            if margin > square.margin {
                square.margin = margin;
                square.image.assign(&proposals.index_axis(Axis(0), at));
                near.move_on(at);
            }
        }
        drop_broken(&mut squares, &broken);
        near.drop_broken(&broken);
    }
    search.finish()
}

/// Limits what Square may spend.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// Seed of every random number.
    pub seed: u64,
    /// Evaluations per image.
    pub queries: usize,
}

/// Runs Square with as many queries as are asked for, on images that are numbered from 0; see [`super::ALL`]
/// for the usual numbers.
///
/// # Panics
/// If the shapes do not fit, or a label is not a class.
pub fn square(
    target: &dyn GradientSource,
    images: ArrayView4<u8>,
    labels: &[u8],
    budget: &Budget,
) -> Candidates {
    let indices: Vec<usize> = (0..labels.len()).collect();
    let task = Task {
        images,
        labels,
        indices: &indices,
        norm: Norm::Linf,
        eps: budget.eps,
        top: target.input().top(),
        target,
        source: target,
        is_white_box: true,
        start: Start::default(),
        seed: budget.seed,
        name: "square",
        stop: &NEVER,
    };
    run(&task, budget.queries)
}

fn stripes(image: ArrayView3<u8>, (eps, top): (u8, u8), random: &mut Random) -> Array3<u8> {
    let (_, width, channels) = image.dim();
    let up: Vec<bool> = (0..width * channels).map(|_| random.word() >> 63 == 0).collect();
    Array3::from_shape_fn(image.dim(), |(y, x, c)| edge(image[[y, x, c]], eps, up[x * channels + c], top))
}

/// Returns the side of the square that query `n` of `queries` changes: its share of the image halves on the
/// paper's schedule, which is for 10,000 queries.
pub(super) fn side(n: usize, queries: usize, (height, width, _): (usize, usize, usize)) -> usize {
    let at = n * 10_000 / queries;
    let halvings =
        [10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000].iter().filter(|&&end| at > end).count();
    let share = FIRST_SHARE / f64::from(1u32 << halvings);
    ((share * (height * width) as f64).sqrt().round() as usize).clamp(1, height.min(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_shrink_on_the_papers_schedule() {
        let shape = (32, 32, 3);
        let sides: Vec<usize> =
            [0, 6, 26, 101, 251, 501, 1_001, 2_001, 3_001, 4_001].map(|n| side(n, 5_000, shape)).to_vec();
        assert_eq!(sides, [29, 20, 14, 10, 7, 5, 4, 3, 2, 1]);
        assert_eq!(side(0, 100, (2, 5, 1)), 2);
    }
}
