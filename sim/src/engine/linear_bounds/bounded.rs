//! Carries linear functions back through the bounds of one box, and turns its lines for one function.

use super::LinearBounds;
use crate::kind::{Descend, Relax};
use crate::rows::{Ends, Floor, Rows};
use crate::tensor::Tensor;
use ndarray::Array4;
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// Number of functions that go back together.
const CHUNK: usize = 32;

/// Holds bounds of every node over one box.
pub(super) struct Bounded<'a> {
    pub bounds: &'a LinearBounds<'a>,
    pub ends: Vec<Arc<Ends>>,
    /// How functions of each node's output go back, prepared when it is first asked for.
    pub descents: Vec<OnceLock<Arc<dyn Descend + 'a>>>,
}

/// Says what lines show that were turned for one class.
pub(super) enum Turned {
    /// The label leads by enough.
    Leads,
    /// At this image of the box it does not.
    Broken(Array4<u8>),
    /// They do not show it; a cut of the box promises most here.
    Open(Option<Cut>),
}

/// Is a place where a box can be cut in two: an element of a node's output is at most `value` in one part, and
/// more in the other.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub node: usize,
    pub at: usize,
    pub value: i64,
}

impl<'a> Bounded<'a> {
    /// Returns the label's lead over each of the classes `others`, less 1 over those before it.
    pub fn slack(&self, label: usize, others: &[usize]) -> Vec<i64> {
        let needed: Vec<i64> = others.iter().map(|&class| i64::from(class < label)).collect();
        let leads = self.least(self.ends.len() - 1, self.leads(label, others), &needed);
        leads.iter().zip(needed).map(|(lead, needed)| lead.saturating_sub(needed)).collect()
    }

    /// Returns the functions of the scores that say by how much the label leads over `others`.
    fn leads(&self, label: usize, others: &[usize]) -> Rows {
        let classes = self.bounds.engine.network.classes();
        let mut rows = Rows::units(classes, &vec![(label, 1); others.len()]);
        for (row, &class) in rows.factors.chunks_exact_mut(classes).zip(others) {
            row[class] = -1;
        }
        rows
    }

    /// Says whether the label leads over class `other` by what is `wanted`, as lines show it that are turned for
    /// it, `turns` times at most: towards those which are best at the image where the lines found so far put the
    /// least lead. Both sides of a game with one value come nearer to it so (fictitious play, Brown 1951). Ends
    /// where the lead is enough, or where that image has less.
    pub fn turned(&self, label: usize, other: usize, wanted: i64, turns: i64) -> Turned {
        let engine = self.bounds.engine;
        let relaxations = self.bounds.relaxations.iter().enumerate();
        let mut descents: Vec<Option<Box<dyn Descend + 'a>>> = relaxations
            .map(|(i, relaxation)| relaxation.as_deref().map(|relaxation| self.prepare(i, relaxation)))
            .collect();
        let last = self.ends.len() - 1;
        let mut heaviest: Option<(f64, Cut)> = None;
        for turn in 0..=turns {
            let is_last = turn == turns;
            let (lead, images) = self.walk(last, self.leads(label, &[other]), &[wanted], |i, rows| {
                let descent = descents[i].as_deref()?;
                if is_last
                    && let Some((weight, at, value)) = descent.cut(rows)
                    && heaviest.is_none_or(|(most, _)| weight > most)
                {
                    heaviest = Some((weight, Cut { node: engine.network.sources(i)[0], at, value }));
                }
                Some(descent)
            });
            if lead[0] >= wanted {
                return Turned::Leads;
            }
            let Some(images) = images else { break };
            let image = self.least_image(images.row(0));
            let values = engine.values(image.view());
            let score = |class: usize| i64::from(values[last].get(class));
            if score(label) - score(other) < wanted {
                return Turned::Broken(image);
            }
            if is_last {
                break;
            }
            for (i, descent) in descents.iter_mut().enumerate() {
                if let Some(descent) = descent {
                    let inputs: Vec<&Tensor> =
                        engine.network.sources(i).iter().map(|&source| &values[source]).collect();
                    descent.turn(&inputs, turn + 2);
                }
            }
        }
        Turned::Open(heaviest.map(|(_, cut)| cut))
    }

    /// Returns bounds of the part of the box on one side of a cut; none if no image lies there. What this box
    /// is known to hold, its part holds.
    pub fn part(&self, cut: Cut, is_above: bool) -> Option<Self> {
        let (bounds, network) = (self.bounds, &self.bounds.engine.network);
        let mut part = Self { bounds, ends: self.ends.clone(), descents: self.descents.clone() };
        let mut changed = vec![false; self.ends.len()];
        let boxes = [&self.ends[0].lo, &self.ends[0].hi].map(|end| self.image(|at| end[at]));
        let mut values: [Vec<Option<Tensor>>; 2] = [vec![], vec![]];
        for node in 0..self.ends.len() {
            let range = network.wire(node).range;
            let mut ends = Ends::clone(&self.ends[node]);
            let depends = network.sources(node).iter().any(|&source| changed[source]);
            if depends {
                let [low, high] = bounds.intervals.node(node, [boxes[0].view(), boxes[1].view()], &values);
                for at in 0..ends.lo.len() {
                    ends.lo[at] = ends.lo[at].max(low.get(at).into());
                    ends.hi[at] = ends.hi[at].min(high.get(at).into());
                }
            }
            if node == cut.node {
                match is_above {
                    true => ends.lo[cut.at] = ends.lo[cut.at].max(cut.value + 1),
                    false => ends.hi[cut.at] = ends.hi[cut.at].min(cut.value),
                }
            }
            if ends.lo.iter().zip(&ends.hi).any(|(lo, hi)| lo > hi) {
                return None;
            }
            changed[node] = ends.lo != self.ends[node].lo || ends.hi != self.ends[node].hi;
            if depends || changed[node] {
                part.descents[node] = OnceLock::new();
            }
            let [low, high] = ends.tensors(range);
            values[0].push(Some(low));
            values[1].push(Some(high));
            if changed[node] {
                part.ends[node] = Arc::new(ends);
            }
        }
        Some(part)
    }

    /// Returns the image of the box at which a function of its pixels is least, as a batch of one.
    fn least_image(&self, factors: &[i32]) -> Array4<u8> {
        self.image(|at| {
            let (lo, hi) = self.ends[0].get(at);
            match factors[at].signum() {
                1 => lo,
                0 => (lo + hi) / 2,
                _ => hi,
            }
        })
    }

    /// Makes an image of its pixels, as a batch of one.
    fn image(&self, pixel: impl Fn(usize) -> i64) -> Array4<u8> {
        let shape = self.bounds.engine.network.input_shape();
        let (height, width, channels) = shape.dim();
        let pixels = (0..shape.len()).map(|at| pixel(at) as u8).collect();
        Array4::from_shape_vec((1, height, width, channels), pixels).expect("a pixel per element")
    }

    /// Makes the ends of some elements of a node tighter.
    pub fn tighten(&self, node: usize, elements: &[usize], ends: &mut Ends) {
        let width = ends.lo.len();
        let least = |elements: &[usize]| {
            let units: Vec<(usize, i32)> = elements.iter().flat_map(|&at| [(at, 1), (at, -1)]).collect();
            self.least(node, Rows::units(width, &units), &vec![i64::MAX; units.len()])
        };
        let found: Vec<i64> = elements.par_chunks(CHUNK / 2).flat_map_iter(least).collect();
        for (&at, found) in elements.iter().zip(found.chunks_exact(2)) {
            ends.lo[at] = ends.lo[at].max(found[0]);
            ends.hi[at] = ends.hi[at].min(found[1].saturating_neg());
        }
    }

    /// Returns for each row a bound from below of its function of node `node`'s output. Where a bound is at
    /// least what is `wanted` it may not be the best one.
    pub fn least(&self, node: usize, rows: Rows, wanted: &[i64]) -> Vec<i64> {
        self.walk(node, rows, wanted, |i, _| self.descent(i)).0
    }

    /// Does the same with these ways back from each node, and returns the functions of the images that the rows
    /// became which fall short of what is wanted.
    fn walk<'d>(
        &self,
        node: usize,
        rows: Rows,
        wanted: &[i64],
        mut descent: impl FnMut(usize, &Rows) -> Option<&'d (dyn Descend + 'd)>,
    ) -> (Vec<i64>, Option<Rows>) {
        let network = &self.bounds.engine.network;
        let mut best = vec![i64::MIN; wanted.len()];
        let mut floors = vec![Floor::ZERO; wanted.len()];
        let mut left: Vec<usize> = (0..wanted.len()).collect();
        let mut pending: Vec<Option<Rows>> = vec![None; node + 1];
        pending[node] = Some(rows);
        for i in (0..=node).rev() {
            let Some(mut rows) = pending[i].take() else { continue };
            // Where the functions depend on this node alone, its ends bound them.
            if pending.iter().all(Option::is_none) {
                for (n, &at) in left.iter().enumerate() {
                    let mut here = floors[n];
                    here.add(rows.least(n, &self.ends[i]), rows.exponents[n]);
                    best[at] = best[at].max(here.whole());
                }
                let kept: Vec<usize> = (0..left.len()).filter(|&n| best[left[n]] < wanted[left[n]]).collect();
                if kept.is_empty() {
                    return (best, None);
                }
                if kept.len() < left.len() {
                    rows.keep(&kept);
                    floors = kept.iter().map(|&n| floors[n]).collect();
                    left = kept.iter().map(|&n| left[n]).collect();
                }
            }
            let Some(descent) = descent(i, &rows) else { return (best, Some(rows)) };
            let sources = network.sources(i);
            for (&source, found) in sources.iter().zip(descent.run(&rows, &mut floors)) {
                pending[source] = Some(match pending[source].take() {
                    Some(others) => others.plus(&found, &self.ends[source], &mut floors),
                    None => found,
                });
            }
        }
        (best, None)
    }

    /// Returns how functions of node `i`'s output go back; none at the images.
    fn descent(&self, i: usize) -> Option<&(dyn Descend + 'a)> {
        let relaxation = self.bounds.relaxations[i].as_deref()?;
        Some(&**self.descents[i].get_or_init(|| self.prepare(i, relaxation).into()))
    }

    fn prepare(&self, i: usize, relaxation: &'a dyn Relax) -> Box<dyn Descend + 'a> {
        let engine = self.bounds.engine;
        let inputs: Vec<&Arc<Ends>> = engine.network.sources(i).iter().map(|&s| &self.ends[s]).collect();
        relaxation.on(engine.site(i), &inputs, &self.ends[i])
    }
}
