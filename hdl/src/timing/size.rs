//! Sizes the FIFOs behind forks, from exact timing: finds the fewest places at which the interval is that of
//! unbounded FIFOs. No FIFO of the result could have one place less.
//!
//! A run tells how many places each FIFO filled: with as many, the run is the same, and nearly always a few
//! less suffice. How many, the first frame nearly always tells, in the part of the pipeline where the FIFO
//! lies: the search begins with that guess, and ends once whole runs have shown that it is enough and that one
//! place less is not. It compares depths by the second frame; the result is checked by the interval, and
//! searched by it where that is longer.
//!
//! A plan that names fewer places is refused where they deadlock, by the recurrence and never by a
//! simulation.

use super::beats::frame_beats;
use super::run::Run;
use super::{Deadlock, Timing, last_beat, last_interval, second_frame, settle, timing_of, try_timing};
use crate::plan::data::{MAX_FIFO, PlanError};
use crate::stage::kind::{Schedule, Stage};
use crate::stalls::Stalls;

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
    let mut run = Run::new(stages, &Stalls::NONE);
    ports.iter().for_each(|&(s, port)| run.watch(s, port));
    let mut second = None;
    let mut timing = timing_of(stages, run, |run, cycles| second = Some((cycles, Filled::of(run, &ports))));
    if let (Ok(Timing { interval: best, .. }), false) = (&timing, ports.is_empty()) {
        let best = *best;
        let interval: Measure = |run| settle(run, vec![]).map(|ends| last_interval(&ends));
        for measure in [second_frame, interval] {
            ample(stages);
            // The first search begins with what the run above has filled.
            let begun = second.take().filter(|(cycles, _)| *cycles <= best).map(|(_, filled)| filled);
            if !(Search { stages, ports: &ports, best, measure }).shrink(begun) {
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
    fn shrink(&mut self, begun: Option<Filled>) -> bool {
        let Some(mut filled) = begun.or_else(|| self.filled(0)) else { return false };
        for at in 0..self.ports.len() {
            let (s, port) = self.ports[at];
            // `high` places are enough, `low` are too few.
            let (mut high, mut low) = (filled.places[at], 1);
            let guess = self.guess(at, &filled);
            let mut hints = vec![guess - 1, guess];
            while low + 1 < high {
                let depth = hints.pop().unwrap_or(low + (high - low) / 2);
                if depth <= low || depth >= high {
                    continue;
                }
                self.stages[s].site.depths[port] = depth;
                match self.filled(at) {
                    Some(found) => {
                        high = found.places[at].min(depth);
                        filled = found;
                    }
                    None => low = depth,
                }
            }
            self.stages[s].site.depths[port] = high;
        }
        true
    }

    /// Guesses how few places FIFO `at` needs, of which those `filled` suffice: as few as keep the end of the
    /// first frame, in the part of the pipeline up to where the fork's branches have met again.
    fn guess(&mut self, at: usize, filled: &Filled) -> usize {
        let ((s, port), high) = (self.ports[at], filled.places[at]);
        let end = self.meeting(s);
        let mut suffices = |depth: usize| {
            self.stages[s].site.depths[port] = depth;
            last_beat(&mut Run::new(&self.stages[..=end], &Stalls::NONE))
                .is_ok_and(|last| last <= filled.ends[end])
        };
        if high < 3 || suffices(2) {
            return 2;
        }
        // `low` are too few. Nearly always a few less than were filled are enough.
        let (mut low, mut high, mut step) = (2, high, 1);
        while low + 1 < high {
            let half = low + (high - low) / 2;
            let depth = if low == 2 && step <= NEAR { high.saturating_sub(step).max(half) } else { half };
            step = wider(step);
            if suffices(depth) { high = depth } else { low = depth }
        }
        high
    }

    /// Returns the first stage behind fork `s` that all beats pass: from which one stream alone goes on.
    fn meeting(&self, s: usize) -> usize {
        let last = self.stages.len() - 1;
        let reads = |end: usize| {
            let sources = self.stages[end + 1..].iter().flat_map(|stage| &stage.site.sources);
            sources.filter(|from| from.stage <= end).count()
        };
        // A window and the stage behind it go together.
        let ends = |end: &usize| !matches!(self.stages[*end].schedule(), Schedule::Window(_));
        (s + 1..last).filter(ends).find(|&end| reads(end) == 1).unwrap_or(last)
    }

    /// Returns the places that each FIFO fills, from FIFO `from` on; none where a frame takes longer than the
    /// best, or for ever.
    fn filled(&self, from: usize) -> Option<Filled> {
        let mut run = Run::new(self.stages, &Stalls::NONE);
        self.ports[from..].iter().for_each(|&(s, port)| run.watch(s, port));
        let cycles = (self.measure)(&mut run).ok()?;
        (cycles <= self.best).then(|| Filled::of(&run, self.ports))
    }
}

/// Holds what a run says of the FIFOs.
struct Filled {
    /// Number of places that each FIFO filled, at least 2; of those that were not watched nothing is known.
    places: Vec<usize>,
    /// The cycle in which the last beat of the first frame left each stage.
    ends: Vec<u64>,
}

impl Filled {
    /// Returns what `run` says of the FIFOs `ports`.
    fn of(run: &Run, ports: &[(usize, usize)]) -> Filled {
        let places = ports.iter().map(|&(s, port)| run.filled(s, port).max(2)).collect();
        Filled { places, ends: run.spans().into_iter().map(|[_, last]| last).collect() }
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
