//! Searches a box by cutting it where its lines lose most: at a quantizer's stairs. In one part an accumulator
//! is at most a value, in the other more, so that the lines of both parts come nearer to their stairs (branch
//! and bound, Bunel 2020). Every part is bounded in whole numbers, and the parts together hold every image.

use super::LinearBounds;
use super::bounded::{Bounded, Turned};
use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most times that the lines of a whole box are turned for one class.
const TURNS: i64 = 20;
/// Most times that those of a part are turned.
const TURNS_OF_PART: i64 = 4;
/// Number of parts that are bounded side by side.
const BATCH: usize = 16;

/// Says what became of a box.
pub(crate) enum Verdict {
    /// Every image of it has the label.
    Certified,
    /// This image of it has another label.
    Broken(Array3<u8>),
    /// Neither was found.
    Open,
}

/// Is a part of a box, with the classes over which the label is not yet known to lead there.
struct Part<'a> {
    bounded: Bounded<'a>,
    open: Vec<usize>,
}

/// Says what one look at a part gave: smaller parts, none where it is decided.
enum Look<'a> {
    Parts(Vec<Part<'a>>),
    Broken(Array3<u8>),
    Open,
}

impl LinearBounds<'_> {
    /// Says whether every image of the box `lo..=hi` (height × width × channels) has the label, and how many
    /// parts it bounded for that, at most `budget`, the box among them.
    ///
    /// Where lines between the ends of interval bounds do not show it, the ends of inner nodes are made tighter
    /// by lines too, as far as that is cheap, from the first node to the last; then lines are turned for each
    /// class that is left; then the box is cut.
    pub fn search(
        &self,
        boxes: [ArrayView3<u8>; 2],
        label: usize,
        budget: usize,
        stop: &AtomicBool,
    ) -> (Verdict, usize) {
        let open = Part { bounded: self.bounded(boxes, false), open: self.others(label) }.undecided(label);
        if open.is_empty() {
            return (Verdict::Certified, 1);
        }
        let mut parts = vec![Part { bounded: self.bounded(boxes, true), open }];
        let mut spent = 0;
        while !parts.is_empty() {
            if spent == budget || stop.load(Ordering::Relaxed) {
                return (Verdict::Open, spent);
            }
            let batch = parts.split_off(parts.len().saturating_sub(BATCH.min(budget - spent)));
            let turns = if spent == 0 { TURNS } else { TURNS_OF_PART };
            spent += batch.len();
            let looks: Vec<Look> = batch.into_par_iter().map(|part| part.look(label, turns)).collect();
            let mut is_open = false;
            for look in looks {
                match look {
                    Look::Parts(smaller) => parts.extend(smaller),
                    Look::Broken(image) => return (Verdict::Broken(image), spent),
                    Look::Open => is_open = true,
                }
            }
            if is_open {
                return (Verdict::Open, spent);
            }
        }
        (Verdict::Certified, spent)
    }
}

impl<'a> Part<'a> {
    /// Returns the classes over which lines as they are do not show that the label leads.
    fn undecided(&self, label: usize) -> Vec<usize> {
        let slack = self.bounded.slack(label, &self.open);
        self.open.iter().zip(slack).filter(|&(_, slack)| slack < 0).map(|(&other, _)| other).collect()
    }

    /// Bounds the part, and cuts it where the first class needs it whose lead is not shown.
    fn look(self, label: usize, turns: i64) -> Look<'a> {
        let open = self.undecided(label);
        for (n, &other) in open.iter().enumerate() {
            let cut = match self.bounded.turned(label, other, (other < label).into(), turns) {
                Turned::Leads => continue,
                Turned::Broken(image) => return Look::Broken(image.index_axis_move(Axis(0), 0)),
                Turned::Open(None) => return Look::Open,
                Turned::Open(Some(cut)) => cut,
            };
            let sides = [false, true].map(|is_above| self.bounded.part(cut, is_above));
            let open = &open[n..];
            let parts = sides.into_iter().flatten().map(|bounded| Part { bounded, open: open.to_vec() });
            return Look::Parts(parts.collect());
        }
        Look::Parts(vec![])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::engine::linear_bounds::tests::drawn;
    use dq_net::SplitMix64;
    use dq_net::random::{self, Options};

    /// What cuts at stairs decide holds for images of the ball, and they decide what the whole ball's lines do
    /// not.
    #[test]
    fn cuts_at_stairs_prove_and_break_what_the_whole_ball_leaves_open() {
        let never = AtomicBool::new(false);
        let (mut certified, mut broken) = (0, 0);
        for seed in 0..100 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let engine = Engine::new(&network);
            let bounds = LinearBounds::new(&engine);
            let image = random::image(seed, network.input());
            let label = engine.labels(image.view().insert_axis(Axis(0)))[0];
            // The first radius that the whole ball's lines leave open, and the next.
            let mut left = 2;
            for eps in 1..=40 {
                let lo = image.mapv(|pixel| pixel.saturating_sub(eps));
                let hi = image.mapv(|pixel| pixel.saturating_add(eps).min(network.input().top()));
                let search = |budget| bounds.search([lo.view(), hi.view()], label, budget, &never);
                if left == 0 {
                    break;
                }
                if matches!(search(1).0, Verdict::Certified) {
                    continue;
                }
                left -= 1;
                let (verdict, spent) = search(100);
                assert!(spent <= 100, "seed {seed}");
                match verdict {
                    Verdict::Certified => {
                        let images = drawn([&lo, &hi], 64, &mut SplitMix64::new(seed));
                        let is_same = |&found: &usize| found == label;
                        assert!(engine.labels(images.view()).iter().all(is_same), "seed {seed}, eps {eps}");
                        certified += 1;
                    }
                    Verdict::Broken(found) => {
                        let inside = found.iter().zip(lo.iter().zip(&hi));
                        assert!(inside.clone().all(|(v, (lo, hi))| lo <= v && v <= hi), "seed {seed}");
                        assert_ne!(engine.labels(found.view().insert_axis(Axis(0)))[0], label, "seed {seed}");
                        broken += usize::from(spent > 1);
                    }
                    Verdict::Open => {}
                }
            }
        }
        assert!(certified > 4 && broken > 2, "{certified} certified and {broken} broken by cuts");
    }
}
