//! Passes slopes back through a Step: times the surrogate's gain, where the accumulator lies in the
//! surrogate's open interval.

use crate::buffers;
use crate::kernel::multiversion;
use crate::kind::pass::{Backward, Flow, Site};
use dq_net::layer::Surrogate;

/// Holds the least and the largest accumulator of each channel at which slopes pass.
pub(super) struct Interval {
    lo: Vec<i32>,
    hi: Vec<i32>,
}

impl Interval {
    pub fn of(surrogate: &Surrogate) -> Self {
        Self { lo: surrogate.open_lo.clone(), hi: surrogate.open_hi.clone() }
    }
}

/// Is the backward pass.
pub(super) struct Open {
    gain: Vec<f32>,
    interval: Interval,
}

impl Open {
    pub fn new(surrogate: &Surrogate) -> Self {
        let gain = surrogate.gain.iter().map(|&gain| gain as f32).collect();
        Self { gain, interval: Interval::of(surrogate) }
    }
}

impl Backward for Open {
    fn run(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        let found = self.alone(site, flow, into.len());
        into.iter_mut().zip(&found).for_each(|(to, slope)| *to += slope);
        buffers::give(found);
    }

    fn alone(&self, site: &Site, flow: &Flow, length: usize) -> Vec<f32> {
        let mut found = buffers::stale(length);
        let mut marks = vec![];
        let open = flow.open.unwrap_or_else(|| {
            marks = buffers::stale(length);
            mark(site.kernel, &self.interval, &flow.values().words(), &mut marks);
            &marks
        });
        pass(site.kernel, &self.gain, open, flow.slopes, &mut found);
        buffers::give(marks);
        found
    }
}

multiversion! {
    /// Says of each accumulator whether it lies within its channel's interval (1) or not (0).
    pub(super) fn mark = mark_body(interval: &Interval, acc: &[i32], open: &mut [u8])
}

#[inline(always)]
fn mark_body(interval: &Interval, acc: &[i32], open: &mut [u8]) {
    let channels = interval.lo.len();
    let (lo, hi) = (&interval.lo[..channels], &interval.hi[..channels]);
    for (acc, open) in acc.chunks_exact(channels).zip(open.chunks_exact_mut(channels)) {
        for c in 0..channels {
            open[c] = u8::from(lo[c] <= acc[c] && acc[c] <= hi[c]);
        }
    }
}

multiversion! {
    /// Writes the slopes that are `open`, times their channel's gain, and zero for others.
    fn pass = pass_body(gain: &[f32], open: &[u8], slopes: &[f32], into: &mut [f32])
}

#[inline(always)]
fn pass_body(gain: &[f32], open: &[u8], slopes: &[f32], into: &mut [f32]) {
    let channels = gain.len();
    let pixels = open.chunks_exact(channels).zip(slopes.chunks_exact(channels));
    for (into, (open, slopes)) in into.chunks_exact_mut(channels).zip(pixels) {
        for c in 0..channels {
            into[c] = if open[c] > 0 { slopes[c] * gain[c] } else { 0.0 };
        }
    }
}
