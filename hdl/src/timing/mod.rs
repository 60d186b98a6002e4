//! Computes timing: the exact cycle of every beat, from the pipeline, without simulating a clock.
//!
//! Nothing in the circuit waits for data's values, so the cycles follow from the handshakes alone. With
//! `H[l][j]` the cycle in which beat j moves over link l, the recurrence is in max and plus:
//! - a beat moves when its producer can give it (`latency` after its operation), its consumer can take it,
//!   and the beat before it has moved: `H[j] = max(given[j], taken[j], H[j−1] + 1)`;
//! - an operation that produces beat k needs a free place: not before `H_out[k − depth] + 1`;
//! - a window's operation needs its tap written (`H_in[tap] + 1`), and a row of its line buffer is written
//!   again no earlier than 2 cycles after the operation that released it.
//!
//! A stage with several inputs takes a beat of each at once (or of one after the other, where they take
//! turns), one with several outputs gives each a beat at once, so that their conditions join in the same
//! maximum. FIFOs that are too shallow can make a fork and a join wait for each other: the recurrence stops,
//! and that is a [`Deadlock`].
//!
//! Cycle 0 and stalls are those of [`crate::stalls`].

mod beats;
mod deadlock;
mod link;
mod moves;
mod run;
pub(crate) mod size;
mod snapshot;
mod window;

pub use deadlock::Deadlock;

use crate::stage::kind::Stage;
use crate::stalls::Stalls;
use beats::frame_beats;
use run::Run;
use serde::{Deserialize, Serialize};

/// Holds the cycles of a network without stalls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Cycles from the first beat of a frame at the input to its last beat at the output, in an idle circuit.
    pub latency: u64,
    /// Cycles from one frame to the next, back to back, once the pipeline is full.
    pub interval: u64,
    /// Interval of the busiest stage if it never waited: its operations per frame.
    pub ideal_interval: u64,
    /// Name of the busiest stage.
    pub bottleneck: String,
    /// Work of each stage per frame, in stream order.
    pub stages: Vec<StageTiming>,
}

/// Holds the work of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTiming {
    /// Instance name.
    pub stage: String,
    /// Cycles in which it is busy per frame.
    pub cycles: u64,
    /// Cycles from the issue of an operation to its beat.
    pub latency: u64,
    /// Number of beats that the FIFO of each output holds.
    pub depths: Vec<usize>,
    /// Cycle in which the first beat of a frame leaves it, in an idle circuit; cycle 0 is that of the frame's
    /// first beat at the input.
    #[serde(default)]
    pub first: u64,
    /// Cycle in which the last beat of that frame leaves it.
    #[serde(default)]
    pub last: u64,
}

/// Number of frames after which the interval is taken as it is, if it has not settled before.
const MAX_FRAMES: usize = 24;

/// Returns the latency and interval of `stages` without stalls.
///
/// # Panics
/// If `stages` deadlock, which [`crate::pipeline::stages`] refuses.
pub fn timing(stages: &[Stage]) -> Timing {
    try_timing(stages).unwrap_or_else(|deadlock| panic!("{deadlock}"))
}

/// Returns the cycles from the end of the first frame to that of the second, both offered to an idle circuit
/// without a wait; quickly known, and nearly always the interval.
fn second_frame(run: &mut Run) -> Result<u64, Deadlock> {
    let first = last_beat(run)?;
    Ok(last_beat(run)? - first)
}

/// Runs frames until they settle, and returns the cycle of the last beat of each; `ends` are those of the
/// frames that ran before.
fn settle(run: &mut Run, mut ends: Vec<u64>) -> Result<Vec<u64>, Deadlock> {
    while ends.len() < MAX_FRAMES {
        let (end, bounds) = bounded(run)?;
        ends.push(end);
        // The interval has settled when no other one is possible, or when three frames in a row took equally
        // long.
        if bounds.is_some_and(|[least, most]| least == most) {
            break;
        }
        if let [.., a, b, c, d] = ends[..]
            && b - a == c - b
            && c - b == d - c
        {
            break;
        }
    }
    Ok(ends)
}

/// Runs one more frame, and returns the cycle of its last beat, and the least and the most cycles that the
/// interval can be, as far as this frame can tell.
fn bounded(run: &mut Run) -> Result<(u64, Option<[u64; 2]>), Deadlock> {
    let before = run.snapshot();
    let end = last_beat(run)?;
    let bounds = before.and_then(|before| run.snapshot()?.interval(&before));
    Ok((end, bounds))
}

/// Runs one more frame, and returns the cycle of its last beat.
fn last_beat(run: &mut Run) -> Result<u64, Deadlock> {
    Ok(*run.frame()?.last().expect("a frame has beats"))
}

/// Returns the cycles between the last two of the `ends` of frames.
fn last_interval(ends: &[u64]) -> u64 {
    ends[ends.len() - 1] - ends[ends.len() - 2]
}

/// Returns [`timing`], if nothing deadlocks.
pub(crate) fn try_timing(stages: &[Stage]) -> Result<Timing, Deadlock> {
    timing_of(stages, Run::new(stages, &Stalls::NONE), |_| ())
}

/// Returns the timing of `stages`, which `run` has not begun yet; `second` is told of
/// the cycles that the second frame took.
fn timing_of(stages: &[Stage], mut run: Run, second: impl FnOnce(u64)) -> Result<Timing, Deadlock> {
    let first = last_beat(&mut run)?;
    let spans = run.spans();
    let ends = vec![first, last_beat(&mut run)?];
    second(last_interval(&ends));
    let ends = settle(&mut run, ends)?;
    let beats = frame_beats(stages);
    let works: Vec<StageTiming> = stages
        .iter()
        .zip(beats.iter().zip(spans))
        .map(|(stage, (&(taken, given), [first, last]))| StageTiming {
            stage: stage.site.name.clone(),
            cycles: taken.max(given),
            latency: stage.site.latency,
            depths: stage.site.depths.clone(),
            first: first - run.first_in,
            last: last - run.first_in,
        })
        .collect();
    // A port of weights that is as busy as the window beside it is not what slows them down.
    let key = |(work, stage): &(&StageTiming, &Stage)| (work.cycles, stage.kind.weight_port().is_none());
    let (busiest, _) = works.iter().zip(stages).rev().max_by_key(key).expect("a pipeline has stages");
    Ok(Timing {
        latency: ends[0] - run.first_in,
        interval: last_interval(&ends),
        ideal_interval: busiest.cycles,
        bottleneck: busiest.stage.clone(),
        stages: works,
    })
}

/// Returns the cycle in which each output beat of `frames` frames moves.
///
/// # Panics
/// If `stages` deadlock, which [`crate::pipeline::stages`] refuses.
pub fn cycles(stages: &[Stage], frames: usize, stalls: &Stalls) -> Vec<u64> {
    let mut run = Run::new(stages, stalls);
    (0..frames).flat_map(|_| run.frame().unwrap_or_else(|deadlock| panic!("{deadlock}"))).collect()
}
