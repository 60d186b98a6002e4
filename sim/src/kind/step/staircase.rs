//! Bounds a Step by lines: the corners of its stairs between the ends of its accumulators.

use crate::kind::Site;
use crate::kind::relax::lines::{Corners, Lines, stairs};
use crate::kind::relax::{Descend, Relax};
use crate::rows::Ends;
use dq_net::layer::Step;
use std::sync::Arc;

/// Holds where each channel's stairs are.
pub(super) struct Staircase {
    falls: Vec<bool>,
    /// Ascending, in units of the directed accumulator.
    thresholds: Vec<Vec<i64>>,
}

impl Staircase {
    pub fn of(step: &Step) -> Self {
        let rows = step.thresholds.rows().into_iter();
        let thresholds = rows.map(|row| row.iter().map(|&t| t.into()).collect()).collect();
        Self { falls: step.dir.iter().map(|&dir| dir < 0).collect(), thresholds }
    }

    /// Returns the least and the largest directed accumulator of element `at`.
    fn directed(&self, at: usize, (lo, hi): (i64, i64)) -> (i64, i64) {
        if self.falls[at % self.falls.len()] { (-hi, -lo) } else { (lo, hi) }
    }
}

impl Corners for Staircase {
    fn write(&self, at: usize, ends: (i64, i64), points: &mut Vec<(i64, i64)>) {
        let channel = at % self.falls.len();
        stairs(&self.thresholds[channel], self.directed(at, ends), points);
        if self.falls[channel] {
            points.reverse();
            points.iter_mut().for_each(|point| point.0 = -point.0);
        }
    }
}

impl Relax for Staircase {
    fn on<'a>(&'a self, _: &'a Site, inputs: &[&Arc<Ends>], _: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        Box::new(Lines::new(inputs[0].clone(), self))
    }

    /// Lines are exact where no threshold lies between the ends.
    fn loose(&self, _: &Site, input: &Ends) -> Vec<usize> {
        let crosses = |&at: &usize| {
            let (lo, hi) = self.directed(at, input.get(at));
            let thresholds = &self.thresholds[at % self.falls.len()];
            let reached = |end: i64| thresholds.partition_point(|&t| t <= end);
            reached(lo) < reached(hi)
        };
        (0..input.lo.len()).filter(crosses).collect()
    }
}
