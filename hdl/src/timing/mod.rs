//! Timing: the exact cycle of every beat, computed from the pipeline without simulating a clock.
//!
//! Nothing in the circuit waits for data's values, so the cycles follow from the handshakes alone. With `H[l][j]` the
//! cycle in which beat j moves over link l, the recurrence is in max and plus:
//! - a beat moves when its producer can give it (`latency` after its operation), its consumer can take it, and the
//!   beat before it has moved: `H[j] = max(given[j], taken[j], H[j−1] + 1)`;
//! - an operation that produces beat k needs a free place: not before `H_out[k − depth] + 1`;
//! - a window's operation needs its tap written (`H_in[tap] + 1`), and a row of its line buffer is written again no
//!   earlier than 2 cycles after the operation that released it.
//!
//! Cycle 0 and stalls are those of [`crate::stalls`].

mod run;

use crate::pipeline::{Kind, Schedule, Stage};
use crate::stalls::Stalls;
use run::Run;
use serde::{Deserialize, Serialize};

/// Cycles of a network without stalls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Cycles from the first beat of a frame at the input to its last beat at the output, into an idle circuit.
    pub latency: u64,
    /// Cycles from one frame to the next, back to back, once the pipeline is full.
    pub interval: u64,
    /// The interval of the busiest stage if it never waited: operations of a frame.
    pub ideal_interval: u64,
    /// The busiest stage.
    pub bottleneck: String,
    /// Operations of each stage for a frame, in stream order.
    pub stages: Vec<StageTiming>,
}

/// The work of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTiming {
    /// Instance name.
    pub stage: String,
    /// Cycles it is busy with a frame.
    pub cycles: u64,
    /// Cycles from the issue of an operation to its beat.
    pub latency: u64,
    /// Beats its FIFO holds.
    pub depth: usize,
}

/// Frames after which the interval is taken as it is, should it not have settled before.
const MAX_FRAMES: usize = 24;

/// Latency and interval of `stages` without stalls.
pub fn timing(stages: &[Stage]) -> Timing {
    measure(stages).0
}

/// [`timing`], and the cycles of the output beats of the frames it took.
pub(crate) fn measure(stages: &[Stage]) -> (Timing, Vec<u64>) {
    let mut run = Run::new(stages, &Stalls::NONE);
    let (mut ends, mut cycles) = (vec![], vec![]);
    while ends.len() < MAX_FRAMES {
        let frame = run.frame();
        ends.push(*frame.last().expect("a frame has beats"));
        cycles.extend(frame);
        // Settled when three frames in a row took equally long.
        if let [.., a, b, c, d] = ends[..]
            && b - a == c - b
            && c - b == d - c
        {
            break;
        }
    }
    let beats = frame_beats(stages);
    let stages: Vec<StageTiming> = stages
        .iter()
        .zip(&beats)
        .map(|(stage, &(taken, given))| StageTiming {
            stage: stage.name.clone(),
            cycles: taken.max(given),
            latency: stage.latency,
            depth: stage.depth,
        })
        .collect();
    let busiest = stages.iter().rev().max_by_key(|stage| stage.cycles).expect("a pipeline has stages");
    let timing = Timing {
        latency: ends[0] - run.first_in,
        interval: ends[ends.len() - 1] - ends[ends.len() - 2],
        ideal_interval: busiest.cycles,
        bottleneck: busiest.stage.clone(),
        stages,
    };
    (timing, cycles)
}

/// The cycle in which each output beat of `frames` frames moves.
pub fn cycles(stages: &[Stage], frames: usize, stalls: &Stalls) -> Vec<u64> {
    let mut run = Run::new(stages, stalls);
    (0..frames).flat_map(|_| run.frame()).collect()
}

/// Beats that each stage takes and gives for one frame.
pub fn frame_beats(stages: &[Stage]) -> Vec<(u64, u64)> {
    let Kind::Ingress { beats } = stages[0].kind else { panic!("the first stage is the ingress") };
    let mut beats = beats as u64;
    stages
        .iter()
        .map(|stage| {
            let taken = beats;
            beats = match stage.schedule() {
                Schedule::Map { period, tail } => taken / period as u64 * tail as u64,
                Schedule::Split { ratio } => taken * ratio as u64,
                Schedule::Window(window) => window.operations(),
            };
            (taken, beats)
        })
        .collect()
}
