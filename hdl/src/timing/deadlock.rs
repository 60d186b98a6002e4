//! Explains a deadlock: a fork waits for a place in the FIFO to one reader, while a join behind it waits for
//! a beat that must come through the fork's other outputs. Only FIFOs that are too shallow can cause it,
//! never the timing.

use super::link::Link;
use crate::stage::kind::{Schedule, Stage};
use thiserror::Error;

/// Describes a pipeline that stops for ever.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("deadlock at stage `{stage}`: the FIFO of `{fork}`, output {port}, has only {depth} places")]
pub struct Deadlock {
    /// Name of the stage that waits for a beat that never comes.
    pub stage: String,
    /// Name of the fork that cannot give this beat.
    pub fork: String,
    /// Number of the fork's output whose FIFO is full.
    pub port: usize,
    /// Number of places in that FIFO.
    pub depth: usize,
    /// Index of the fork among the stages.
    pub at: usize,
}

/// Returns what stopped a run in which no stage can advance; `ports` are the links of each stage, inputs and
/// outputs.
pub fn find(stages: &[Stage], links: &[Link], ports: &[[Vec<usize>; 2]]) -> Deadlock {
    // Nothing leaves. So, upstream from the egress, some input link of every stage is empty, up to a stage
    // whose inputs have beats but whose output has no place: the fork.
    let is_empty = |&l: &usize| links[l].front().is_none();
    let (mut at, mut waits) = (stages.len() - 1, stages.len() - 1);
    let empty_input = |at: usize| {
        let inputs: &[usize] = &ports[at][0];
        match stages[at].schedule() {
            Schedule::Turns { beats: [of_x, of_y] } => {
                let taken: u64 = inputs.iter().map(|&l| links[l].moved).sum();
                let port = usize::from(taken % (of_x + of_y) as u64 >= of_x as u64);
                is_empty(&inputs[port]).then_some(port)
            }
            _ => inputs.iter().position(&is_empty),
        }
    };
    while let Some(port) = empty_input(at) {
        let sources = &stages[at].site.sources;
        if sources.len() > 1 {
            waits = at;
        }
        at = sources[port].stage;
    }
    let is_full = |&l: &usize| links[l].places(1).is_none();
    let port = ports[at][1].iter().position(is_full).expect("it waits for a place");
    Deadlock {
        stage: stages[waits].site.name.clone(),
        fork: stages[at].site.name.clone(),
        port,
        depth: stages[at].site.depths[port],
        at,
    }
}
