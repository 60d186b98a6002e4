//! Sizes of the FIFOs behind forks, from exact timing: the fewest places at which the interval is that of FIFOs
//! without end. No FIFO of the result could have one place less.
//!
//! The search looks at each residual alone: the stages between a fork and the mix in which all its streams meet again,
//! fed and emptied without a wait. What is too slow there is too slow in the whole, where more waits; and that the whole
//! is fast enough with what was found is checked at the end. Where it is not, the search is made on the whole. Depths are
//! compared by the second frame; what is taken is checked by the interval.

use super::{Deadlock, interval, second_frame};
use crate::pipeline::{Kind, Source, Stage};
use crate::plan::{MAX_FIFO, PlanError};
use crate::timing::frame_beats;

/// Sets the depths of every fork that is not `fixed`; `describe` gives a node's name and whether its fork is. An error
/// where the fixed ones deadlock, whatever the others are.
pub fn size(stages: &mut [Stage], describe: impl Fn(usize) -> (String, bool)) -> Result<(), PlanError> {
    let forks = |stages: &[Stage]| -> Vec<usize> {
        (0..stages.len()).filter(|&s| matches!(stages[s].kind, Kind::Fork)).collect()
    };
    let forks = forks(stages);
    if forks.is_empty() {
        return Ok(());
    }
    let open: Vec<usize> = forks.into_iter().filter(|&s| !describe(stages[s].node).1).collect();
    let beats = frame_beats(stages);
    for &s in &open {
        let ample = (2 * beats[s].1 as usize).clamp(2, MAX_FIFO);
        stages[s].depths.fill(ample);
    }
    let best =
        interval(stages).map_err(|deadlock| refused(&deadlock, &describe(stages[deadlock.at].node).0))?;
    let ample: Vec<Vec<usize>> = open.iter().map(|&s| stages[s].depths.clone()).collect();
    for &s in &open {
        match residual(stages, s, beats[s].0) {
            Some((mut part, fork)) => {
                let ports = 0..stages[s].depths.len();
                ports.for_each(|port| least(&mut part, fork, port, 2, best, second_frame));
                stages[s].depths = part.swap_remove(fork).depths;
            }
            None => stages[s].depths.fill(2),
        }
    }
    if interval(stages).is_ok_and(|interval| interval <= best) {
        return Ok(());
    }
    // No less will do; for some it must be more, where one residual waits for another.
    let least_alone: Vec<Vec<usize>> = open.iter().map(|&s| stages[s].depths.clone()).collect();
    for measure in [second_frame as Measure, interval] {
        open.iter().zip(&ample).for_each(|(&s, depths)| stages[s].depths.clone_from(depths));
        // Most ports need no more than the least there is: those are tried all at once.
        for (&s, from) in open.iter().zip(&least_alone) {
            let few = stages[s].depths.iter_mut().zip(from).filter(|(_, from)| **from == 2);
            few.for_each(|(depth, _)| *depth = 2);
        }
        if !measure(stages).is_ok_and(|cycles| cycles <= best) {
            open.iter().zip(&ample).for_each(|(&s, depths)| stages[s].depths.clone_from(depths));
        }
        for (&s, from) in open.iter().zip(&least_alone) {
            for (port, &from) in from.iter().enumerate() {
                if stages[s].depths[port] > from {
                    least(stages, s, port, from, best, measure);
                }
            }
        }
        if interval(stages).is_ok_and(|interval| interval <= best) {
            break;
        }
    }
    Ok(())
}

/// The stages from fork `s`, which takes `beats` beats a frame, to the mix in which all its streams meet, behind an
/// ingress of their own, and the fork's place among them; none where no such mix is there or others read in between.
fn residual(stages: &[Stage], s: usize, beats: u64) -> Option<(Vec<Stage>, usize)> {
    let mixes = (s + 1..stages.len()).filter(|&m| matches!(stages[m].kind, Kind::Mix { .. }));
    let inside = mixes.into_iter().find_map(|last| between(stages, s, last))?;
    let place = |stage: usize| inside.iter().position(|&other| other == stage).map(|at| at + 1);
    let ingress = Stage {
        kind: Kind::Ingress { beats: beats as usize },
        sources: vec![],
        output: stages[s].input,
        latency: 1,
        depths: vec![2],
        ..stages[s].clone()
    };
    let mut part = vec![ingress];
    for &stage in &inside {
        let mut copy = stages[stage].clone();
        for source in &mut copy.sources {
            let from = if stage == s { 0 } else { place(source.stage)? };
            *source = Source { stage: from, ..*source };
        }
        part.push(copy);
    }
    Some((part, 1))
}

/// The stages on the ways from `first` to `last`, both included; none where a way leads elsewhere.
fn between(stages: &[Stage], first: usize, last: usize) -> Option<Vec<usize>> {
    let reads = |stage: usize, from: usize| stages[stage].sources.iter().any(|source| source.stage == from);
    let mut inside = vec![first];
    for stage in first + 1..=last {
        if inside.iter().any(|&from| from != last && reads(stage, from)) {
            inside.push(stage);
        }
    }
    let closed = inside.iter().filter(|&&stage| stage != last).all(|&stage| {
        let mut readers = (stage + 1..stages.len()).filter(|&reader| reads(reader, stage));
        readers.all(|reader| inside.contains(&reader))
    });
    (closed && inside.last() == Some(&last)).then_some(inside)
}

/// The cycles of a frame, by one measure or another.
type Measure = fn(&[Stage]) -> Result<u64, Deadlock>;

/// Sets the FIFO of output `port` of stage `s` to the fewest places, `from` at least, that keep `measure` at `best`.
fn least(stages: &mut [Stage], s: usize, port: usize, from: usize, best: u64, measure: Measure) {
    let ample = stages[s].depths[port];
    // How many cycles too slow a depth is; no number where it deadlocks.
    let mut excess = |depth: usize| {
        stages[s].depths[port] = depth;
        measure(stages).ok().map(|cycles| cycles.saturating_sub(best))
    };
    // Too few, too many: `low` and `high`. Each place more saves about as many cycles as the last ones did, or fewer.
    let (mut low, mut high) = (from - 1, ample);
    let (mut before, mut depth, mut step) = (None, from, 1);
    while low + 1 < high {
        let here = depth.clamp(low + 1, high - 1);
        match excess(here) {
            Some(0) => {
                high = here;
                depth = low + (high - low) / 2;
            }
            found => {
                low = here;
                depth = match (before, found) {
                    (Some((there, more)), Some(now)) if now < more => {
                        low + (now * (low - there) as u64).div_ceil(more - now) as usize
                    }
                    _ => low + step,
                };
                step *= 2;
                before = found.map(|now| (low, now));
            }
        }
    }
    stages[s].depths[port] = high;
}

/// The deadlock as an error of the plan.
fn refused(deadlock: &Deadlock, node: &str) -> PlanError {
    let expected = format!("more places: stage `{}` waits for ever, a deadlock", deadlock.stage);
    PlanError::new(node, &format!("forks[{}]", deadlock.port), expected, deadlock.depth)
}
