//! Sizes the FIFOs behind forks, from exact timing: finds the fewest places at which the interval is that of
//! unbounded FIFOs. No FIFO of the result could have one place less.
//!
//! A run tells how many places each FIFO filled: with as many, the run is the same, and nearly always a few
//! less suffice, so the search begins there. The search compares depths by the second frame; the result is
//! checked by the interval, and searched by it where that is longer.
//!
//! A plan that names fewer places is refused where they deadlock, by the recurrence and never by a
//! simulation.

use super::beats::frame_beats;
use super::run::Run;
use super::{Deadlock, Timing, last_interval, second_frame, settle, try_timing};
use crate::plan::data::{MAX_FIFO, PlanError};
use crate::stage::kind::Stage;

/// Number of places below those filled, among which the fewest nearly always lie.
const NEAR: usize = 16;

/// Sets the depths of every fork that is not fixed, and gives the timing that comes of it; `describe` gives
/// the name of a fork's node and whether it is fixed. An error where the fixed ones deadlock, whatever the
/// others are.
pub fn size(stages: &mut [Stage], describe: impl Fn(&Stage) -> (String, bool)) -> Result<Timing, PlanError> {
    let forks = (0..stages.len()).filter(|&s| stages[s].site.depths.len() > 1);
    let open: Vec<usize> = forks.filter(|&s| !describe(&stages[s]).1).collect();
    let beats = frame_beats(stages);
    let ample = |stages: &mut [Stage]| {
        for &s in &open {
            stages[s].site.depths.fill((2 * beats[s].1 as usize).clamp(2, MAX_FIFO));
        }
    };
    ample(stages);
    let ports: Vec<(usize, usize)> =
        open.iter().flat_map(|&s| (0..stages[s].site.depths.len()).map(move |port| (s, port))).collect();
    let mut timing = try_timing(stages);
    if let (Ok(Timing { interval: best, .. }), false) = (&timing, ports.is_empty()) {
        let best = *best;
        let interval: Measure = |run| settle(run, vec![]).map(|ends| last_interval(&ends));
        for measure in [second_frame, interval] {
            ample(stages);
            if !(Search { stages, ports: &ports, best, measure }).shrink() {
                continue;
            }
            timing = try_timing(stages);
            if timing.as_ref().is_ok_and(|timing| timing.interval <= best) {
                break;
            }
        }
    }
    timing.map_err(|deadlock| refused(&deadlock, &describe(&stages[deadlock.at]).0))
}

/// Measures the cycles of a frame, in one way or another.
type Measure = fn(&mut Run) -> Result<u64, Deadlock>;

/// Searches for the fewest places.
struct Search<'a> {
    stages: &'a mut [Stage],
    /// The FIFOs, each by its stage and output.
    ports: &'a [(usize, usize)],
    /// Cycles per frame, by `measure`, that the result must keep.
    best: u64,
    measure: Measure,
}

impl Search<'_> {
    /// Takes places away until no FIFO could have one less; false where this measure finds the best in no
    /// depths.
    fn shrink(&mut self) -> bool {
        let Some(mut filled) = self.filled() else { return false };
        for at in 0..self.ports.len() {
            let (s, port) = self.ports[at];
            // `high` places are enough, `low` are too few.
            let (mut high, mut low) = (filled[at], 1);
            let (mut depth, mut step) = (2, 1);
            while low + 1 < high {
                self.stages[s].site.depths[port] = depth;
                match self.filled() {
                    Some(found) => {
                        high = found[at].min(depth);
                        filled = found;
                    }
                    None => low = depth,
                }
                // Nearly always a few less than were filled are enough; otherwise the interval is halved.
                let half = low + (high - low) / 2;
                depth = if low == 2 && step <= NEAR { high.saturating_sub(step).max(half) } else { half };
                step = wider(step);
            }
            self.stages[s].site.depths[port] = high;
        }
        true
    }

    /// Returns the places that each FIFO fills; none where a frame takes longer than the best, or for ever.
    fn filled(&self) -> Option<Vec<usize>> {
        let mut run = Run::new(self.stages, &crate::stalls::Stalls::NONE);
        self.ports.iter().for_each(|&(s, port)| run.watch(s, port));
        let cycles = (self.measure)(&mut run).ok()?;
        (cycles <= self.best)
            .then(|| self.ports.iter().map(|&(s, port)| run.filled(s, port).max(2)).collect())
    }
}

/// Returns the next distance from the places filled. A search in deep FIFOs takes more turns than a power of
/// [`NEAR`] has room for.
fn wider(step: usize) -> usize {
    step.saturating_mul(NEAR)
}

/// Returns the deadlock as an error of the plan.
fn refused(deadlock: &Deadlock, node: &str) -> PlanError {
    let expected = format!("more places: stage `{}` waits for ever, a deadlock", deadlock.stage);
    PlanError::new(node, &format!("forks[{}]", deadlock.port), expected, deadlock.depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_of_any_number_of_turns_goes_on() {
        assert_eq!((0..3).fold(1, |step, _| wider(step)), NEAR.pow(3));
        assert_eq!((0..40).fold(1, |step, _| wider(step)), usize::MAX);
    }
}
