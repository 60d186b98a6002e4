//! Sizes the FIFOs behind forks, from exact timing: finds the fewest places at which the interval is that of
//! unbounded FIFOs. No FIFO of the result could have one place less.
//!
//! A run tells how many places each FIFO filled: with as many, the run is the same, and nearly always a few
//! less suffice. How many, the first third of the first frame nearly always tells, in the part of the pipeline
//! where the FIFO lies, with beats that come to the fork before it when they come beside ample FIFOs. All are
//! guessed so first. A whole run shows that the guesses are enough; that one place less is not, the part
//! around the fork shows alone, where every frame comes later than the best, else a whole run. Where they do
//! not show it, one FIFO after the other is searched. Depths are compared by the second frame; the result is
//! checked by the interval, and searched by it where that is longer.
//!
//! A plan that names fewer places is refused where they deadlock, by the recurrence and never by a
//! simulation.

use super::beats::{frame_beats, most_beats};
use super::run::Run;
use super::{Deadlock, Timing, bounded, last_interval, second_frame, settle, timing_of, try_timing};
use crate::plan::data::{MAX_FIFO, PlanError};
use crate::stage::kind::{Schedule, Stage};
use crate::stalls::Stalls;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Number of places below those filled, among which the fewest nearly always lie.
const NEAR: usize = 16;

/// Sets the depths of every fork that is not fixed, and gives the timing that comes of it; `describe` gives
/// the name of a fork's node and whether it is fixed. An error where the fixed ones deadlock, whatever the
/// others are.
pub fn size(stages: &mut [Stage], describe: impl Fn(&Stage) -> (String, bool)) -> Result<Timing, PlanError> {
    let forks = (0..stages.len()).filter(|&s| stages[s].site.depths.len() > 1);
    let open: Vec<usize> = forks.filter(|&s| !describe(&stages[s]).1).collect();
    let beats = frame_beats(stages);
    for &s in &open {
        stages[s].site.depths.fill((2 * beats[s].1 as usize).clamp(2, MAX_FIFO));
    }
    let ports: Vec<(usize, usize)> =
        open.iter().flat_map(|&s| (0..stages[s].site.depths.len()).map(move |port| (s, port))).collect();
    let timing = if ports.is_empty() {
        try_timing(stages)
    } else {
        fewest(stages, &ports).map(|(depths, timing)| {
            ports.iter().zip(depths).for_each(|(&(s, port), depth)| stages[s].site.depths[port] = depth);
            timing
        })
    };
    timing.map_err(|deadlock| refused(&deadlock, &describe(&stages[deadlock.at]).0))
}

/// Returns the fewest places of the FIFOs `ports` of `stages`, which have ample ones, with the timing that
/// comes of them.
fn fewest(stages: &[Stage], ports: &[(usize, usize)]) -> Result<(Vec<usize>, Timing), Deadlock> {
    let ample: Vec<usize> = ports.iter().map(|&(s, port)| stages[s].site.depths[port]).collect();
    let mut run = Run::new(stages, &Stalls::NONE);
    ports.iter().for_each(|&(s, port)| run.watch(s, port));
    let forks: BTreeSet<usize> = ports.iter().map(|&(s, _)| s).collect();
    forks.iter().for_each(|&s| run.watch_input(s));
    let second = second_frame(&mut run)?;
    let filled = filled(&run, ports);
    let arrivals: BTreeMap<usize, Vec<u64>> = forks.into_iter().map(|s| (s, run.arrivals(s))).collect();
    let search = |best, measure| Search { stages, ports, ample: &ample, arrivals: &arrivals, best, measure };
    // No circuit is faster than its busiest stage.
    if second == most_beats(stages)
        && let Some(found) = search(second, second_frame).run(Some(filled.clone()))
    {
        return Ok(found);
    }
    let timing = try_timing(stages)?;
    let begun = (second <= timing.interval).then_some(filled);
    let found = begun.and_then(|filled| search(timing.interval, second_frame).run(Some(filled)));
    let interval: Measure = |run| settle(run, vec![]).map(|ends| last_interval(&ends));
    let found = found.or_else(|| search(timing.interval, interval).run(None));
    Ok(found.unwrap_or((ample, timing)))
}

/// Measures the cycles of a frame, in one way or another.
type Measure = fn(&mut Run) -> Result<u64, Deadlock>;

/// Searches for the fewest places.
struct Search<'a> {
    stages: &'a [Stage],
    /// The FIFOs, each by its stage and output, and an ample number of places of each.
    ports: &'a [(usize, usize)],
    ample: &'a [usize],
    /// The cycles in which the beats of the first frame come to each fork, beside ample FIFOs.
    arrivals: &'a BTreeMap<usize, Vec<u64>>,
    /// Cycles per frame, by `measure`, that the result must keep.
    best: u64,
    measure: Measure,
}

impl Search<'_> {
    /// Returns the places of which no FIFO could have one less, and the timing; none where this measure finds
    /// the best in no depths, or the interval that comes of them is longer. `begun` is what ample FIFOs fill.
    fn run(&self, begun: Option<Vec<usize>>) -> Option<(Vec<usize>, Timing)> {
        let filled = begun.or_else(|| self.filled(self.ample, 0))?;
        self.at_once(&filled).or_else(|| {
            let depths = self.one_by_one(filled);
            let timing = try_timing(&self.with(&depths, self.stages.len() - 1)).ok()?;
            (timing.interval <= self.best).then_some((depths, timing))
        })
    }

    /// Guesses all places before any whole run; none where whole runs show that the guesses are not enough,
    /// or that one place less is. These runs are independent of each other, and of this result
    /// [`Search::one_by_one`] would say the same.
    fn at_once(&self, filled: &[usize]) -> Option<(Vec<usize>, Timing)> {
        let (mut guesses, mut places) = (self.ample.to_vec(), filled.to_vec());
        for at in 0..self.ports.len() {
            guesses[at] = self.guess(at, &guesses, &mut places);
        }
        let timed = || {
            let stages = self.with(&guesses, self.stages.len() - 1);
            let mut second = u64::MAX;
            let timing = timing_of(&stages, Run::new(&stages, &Stalls::NONE), |cycles| second = cycles);
            timing.ok().filter(|timing| timing.interval.max(second) <= self.best)
        };
        let one_less_is_too_few = || {
            (0..self.ports.len()).into_par_iter().filter(|&at| guesses[at] > 2).all(|at| {
                let depths = [&guesses[..at], &[guesses[at] - 1], &self.ample[at + 1..]].concat();
                self.holds_back(at, &depths) || self.filled(&depths, at).is_none()
            })
        };
        let (timing, fewest) = rayon::join(timed, one_less_is_too_few);
        timing.filter(|_| fewest).map(|timing| (guesses, timing))
    }

    /// Takes places away, from one FIFO after the other, until none could have one less.
    fn one_by_one(&self, mut filled: Vec<usize>) -> Vec<usize> {
        let mut depths = self.ample.to_vec();
        for at in 0..self.ports.len() {
            // `high` places are enough, `low` are too few.
            let (mut high, mut low) = (filled[at], 1);
            let guess = self.guess(at, &depths, &mut filled.clone());
            let mut hints = vec![guess - 1, guess];
            while low + 1 < high {
                let depth = hints.pop().unwrap_or(low + (high - low) / 2);
                if depth <= low || depth >= high {
                    continue;
                }
                depths[at] = depth;
                match self.filled(&depths, at) {
                    Some(found) => {
                        high = found[at].min(depth);
                        filled = found;
                    }
                    None => low = depth,
                }
            }
            depths[at] = high;
        }
        depths
    }

    /// Guesses how few places FIFO `at` needs beside others of `depths`, of which those of `places` suffice:
    /// as few as keep the first third of the first frame, in the part of the pipeline around the fork, to
    /// where its branches have met again. What the fork's FIFOs fill so goes to `places`.
    fn guess(&self, at: usize, depths: &[usize], places: &mut [usize]) -> usize {
        let ((s, port), mut high) = (self.ports[at], places[at]);
        if high < 3 {
            return 2;
        }
        let end = self.meeting(s);
        // What lies between the fork before and this one holds beats back where this one does.
        let before = self.arrivals.range(..s).next_back();
        let part = before
            .and_then(|(&first, arrivals)| Some((first, &arrivals[..], self.part(first, end, depths)?)));
        let (first, arrivals, mut stages) = part.unwrap_or_else(|| (0, &[], self.with(depths, end)));
        let others = (at..self.ports.len()).take_while(|&other| self.ports[other].0 == s);
        let of_fork: Vec<(usize, usize)> = others.map(|other| (other, self.ports[other].1)).collect();
        let mut within = |depth: usize, latest: u64| {
            stages[s - first].site.depths[port] = depth;
            let mut run = Run::part(&stages, arrivals);
            of_fork.iter().for_each(|&(_, port)| run.watch(s - first, port));
            let third = run.third().ok().filter(|&third| third <= latest)?;
            of_fork.iter().for_each(|&(other, port)| {
                places[other] = run.filled(s - first, port).clamp(2, places[other])
            });
            Some((third, places[at]))
        };
        let Some((third, _)) = within(high, u64::MAX) else { return high };
        if within(2, third).is_some() {
            return 2;
        }
        // `low` are too few. Nearly always a few less than were filled are enough.
        let (mut low, mut step) = (2, 1);
        while low + 1 < high {
            let half = low + (high - low) / 2;
            let depth = if low == 2 && step <= NEAR { high.saturating_sub(step).max(half) } else { half };
            step = wider(step);
            match within(depth, third) {
                Some((_, filled)) => high = filled.min(depth),
                None => low = depth,
            }
        }
        high
    }

    /// Returns whether a part of the pipeline alone, from the fork of FIFO `at` or the one before to where the
    /// branches have met, is slower than the best with FIFOs of `depths`, fed as fast as it takes beats: then
    /// the whole is as slow.
    fn holds_back(&self, at: usize, depths: &[usize]) -> bool {
        let s = self.ports[at].0;
        self.arrivals.range(..=s).rev().take(2).any(|(&first, arrivals)| {
            let Some(stages) = self.part(first, self.meeting(s), depths) else { return false };
            let at_once = vec![0; arrivals.len()];
            let mut run = Run::part(&stages, &at_once);
            let found = run.frame().and_then(|_| bounded(&mut run));
            found.map_or(true, |(_, bounds)| bounds.is_some_and(|[least, _]| least > self.best))
        })
    }

    /// Returns the stages from fork `first` up to `end` with FIFOs of `depths`; none where a stream from
    /// before that fork, or from outside, joins them.
    fn part(&self, first: usize, end: usize, depths: &[usize]) -> Option<Vec<Stage>> {
        let mut stages = self.with(depths, end);
        let mut inner = stages[first + 1..].iter().map(|stage| &stage.site.sources);
        if inner.any(|sources| sources.is_empty() || sources.iter().any(|from| from.stage < first)) {
            return None;
        }
        stages.drain(..first);
        stages[0].site.sources.clear();
        stages.iter_mut().flat_map(|stage| &mut stage.site.sources).for_each(|from| from.stage -= first);
        Some(stages)
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

    /// Returns the places that each FIFO fills where they have `depths`, from FIFO `from` on; none where a
    /// frame takes longer than the best, or for ever.
    fn filled(&self, depths: &[usize], from: usize) -> Option<Vec<usize>> {
        let stages = self.with(depths, self.stages.len() - 1);
        let mut run = Run::new(&stages, &Stalls::NONE);
        self.ports[from..].iter().for_each(|&(s, port)| run.watch(s, port));
        let cycles = (self.measure)(&mut run).ok()?;
        (cycles <= self.best).then(|| filled(&run, self.ports))
    }

    /// Returns the stages up to `end` with FIFOs of `depths`.
    fn with(&self, depths: &[usize], end: usize) -> Vec<Stage> {
        let mut stages = self.stages[..=end].to_vec();
        for (&(s, port), &depth) in self.ports.iter().zip(depths).filter(|((s, _), _)| *s <= end) {
            stages[s].site.depths[port] = depth;
        }
        stages
    }
}

/// Returns the number of places that each of the FIFOs `ports` filled in `run`, at least 2; of those that were
/// not watched nothing is known.
fn filled(run: &Run, ports: &[(usize, usize)]) -> Vec<usize> {
    ports.iter().map(|&(s, port)| run.filled(s, port).max(2)).collect()
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
