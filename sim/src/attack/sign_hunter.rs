//! Runs SignHunter (Al-Dujaili, O'Reilly, ICLR 2020): a coordinate search over the corners of the ball, by
//! the network's scores alone. Blocks of signs are flipped where that raises the margin: first all, then
//! halves, down to single elements, and over again until the queries are spent.

use super::search::{Nearby, Search, drop_broken};
use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;
use crate::lattice::edge;
use ndarray::{Array4, Axis};

const QUERIES: usize = 5_000;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "5,000 queries of flipped blocks of signs of ε, scores alone",
    norm: Norm::Linf,
    gradient: false,
    steps: |_| 0,
    run,
    settings: |_, _| {
        vec![
            rule("queries", QUERIES),
            rule("start", "image + eps"),
            rule("blocks", "the whole, then halves, down to single elements; all over again after those"),
            rule("loss", "margin"),
        ]
    },
};

fn run(task: &Task) -> Candidates {
    let mut search = Search::new(task);
    let length = task.target.input_shape().len();
    // Per surviving image: whether each element goes up, and the margin there.
    let mut corners: Vec<(Vec<bool>, f64)> = vec![(vec![true; length], f64::NEG_INFINITY); task.labels.len()];
    // An empty block comes before the whole: the first query is of the start itself.
    let mut blocks = std::iter::once(0..0).chain((0..).flat_map(|_| rounds(length)));
    let mut near = Nearby::new(task, task.images.outer_iter());
    for _ in 0..QUERIES {
        if search.surviving.is_empty() {
            break;
        }
        let block = blocks.next().expect("endless");
        let mut images: Array4<u8> = search.originals();
        for (mut image, (corner, _)) in images.outer_iter_mut().zip(&corners) {
            for (at, pixel) in image.iter_mut().enumerate() {
                let up = corner[at] != block.contains(&at);
                *pixel = edge(*pixel, task.eps, up, task.top);
            }
        }
        debug_assert_eq!(images.len_of(Axis(0)), corners.len());
        let (margins, broken) = search.margins_near(&images, &mut near);
        for (at, ((corner, best), margin)) in corners.iter_mut().zip(margins).enumerate() {
            if margin > *best {
                *best = margin;
                corner[block.clone()].iter_mut().for_each(|up| *up = !*up);
                near.move_on(at);
            }
        }
        drop_broken(&mut corners, &broken);
        near.drop_broken(&broken);
    }
    search.finish()
}

/// Lists the blocks of one round: the whole, its halves, and so on, in order.
fn rounds(length: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let levels = length.next_power_of_two().ilog2();
    (0..=levels).flat_map(move |level| {
        let size = length.div_ceil(1 << level);
        (0..length).step_by(size).map(move |first| first..length.min(first + size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_covers_every_element_once_and_the_last_is_of_single_ones() {
        let blocks: Vec<_> = rounds(12).collect();
        assert_eq!(blocks[..3], [0..12, 0..6, 6..12]);
        assert_eq!(blocks[blocks.len() - 12..], (0..12).map(|at| at..at + 1).collect::<Vec<_>>());
        let covered: usize = blocks.iter().map(|block| block.len()).sum();
        assert_eq!(covered % 12, 0);
    }
}
