//! Runs RayS (Chen, Gu, KDD 2020), a hard-label attack on the lattice, which knows nothing but the label. It
//! looks for the direction of signs along which the nearest other label lies, by flipping blocks that halve;
//! a direction is measured, by bisection, only if it is nearer than the best one so far.

use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;
use crate::gradient::arg_max;
use crate::lattice::edge;
use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

const QUERIES: u32 = 10_000;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "10,000 queries of RayS, labels alone",
    norm: Norm::Linf,
    gradient: false,
    steps: |_| 0,
    run,
    settings: |_, _| {
        vec![
            rule("queries", QUERIES),
            rule("start", "all signs up"),
            rule("distance", "integers, by bisection"),
            rule("knows", "the label"),
        ]
    },
};

fn run(task: &Task) -> Candidates {
    let mut found = task.start();
    let search = |i: usize| {
        let original = task.images.index_axis(Axis(0), i);
        Rays { task, original, label: task.labels[i].into(), queries: 0 }.search()
    };
    let rays: Vec<(Array3<u8>, u32)> = (0..task.labels.len()).into_par_iter().map(search).collect();
    for (i, (image, queries)) in rays.into_iter().enumerate() {
        found.images.index_axis_mut(Axis(0), i).assign(&image);
        found.queries[i] = queries;
    }
    found
}

/// Holds the search on one image.
struct Rays<'t, 'i> {
    task: &'t Task<'i>,
    original: ArrayView3<'t, u8>,
    label: usize,
    queries: u32,
}

impl Rays<'_, '_> {
    /// Returns the image at `radius` along the direction whose elements go `up` or down.
    fn at(&self, up: &[bool], radius: u8) -> Array3<u8> {
        let mut image = self.original.to_owned();
        for (pixel, &up) in image.iter_mut().zip(up) {
            *pixel = edge(*pixel, radius, up, self.task.top);
        }
        image
    }

    /// Returns whether the label is another there, undetected. This is the only question that the attack asks.
    fn differs(&mut self, up: &[bool], radius: u8) -> bool {
        self.queries += 1;
        let image = self.at(up, radius);
        let logits = self.task.target.judged_logits(image.view().insert_axis(Axis(0)), &[self.label as u8]);
        arg_max(logits.row(0)) != self.label
    }

    /// Returns whether the queries are spent, `nearest` lies in the ball, or the attack is to stop.
    fn is_done(&self, nearest: u16) -> bool {
        self.queries >= QUERIES || nearest <= u16::from(self.task.eps) || self.task.is_stopped()
    }

    fn search(mut self) -> (Array3<u8>, u32) {
        let length = self.original.len();
        let mut up = vec![true; length];
        // This is the nearest radius known to have another label, or 256 where none is known.
        let mut nearest = 256u16;
        let mut size = length;
        while !self.is_done(nearest) {
            for first in (0..length).step_by(size) {
                if self.is_done(nearest) {
                    break;
                }
                let block = first..length.min(first + size);
                up[block.clone()].iter_mut().for_each(|up| *up = !*up);
                let radius = (nearest - 1) as u8;
                if self.differs(&up, radius) {
                    // Bisection runs between the last radius with the image's label and the first with
                    // another, as if labels changed only once in between.
                    let (mut low, mut high) = (0, radius);
                    while high - low > 1 && self.queries < QUERIES {
                        let middle = low + (high - low) / 2;
                        if self.differs(&up, middle) { high = middle } else { low = middle }
                    }
                    nearest = high.into();
                } else {
                    up[block].iter_mut().for_each(|up| *up = !*up);
                }
            }
            size = if size == 1 { length } else { size.div_ceil(2) };
        }
        (self.at(&up, nearest.min(u16::from(self.task.eps)) as u8), self.queries)
    }
}
