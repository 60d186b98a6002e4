//! Deadlock: a fork that waits for a place in the FIFO to one reader, while a mix behind it waits for a beat that must
//! come through the fork's other outputs. Only FIFOs that are too shallow can cause it, never the timing.

use super::run::Run;
use crate::pipeline::{Kind, Stage};
use thiserror::Error;

/// A pipeline that stops for ever.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("deadlock at stage `{stage}`: the FIFO of `{fork}`, output {port}, has only {depth} places")]
pub struct Deadlock {
    /// The stage that waits for a beat that never comes.
    pub stage: String,
    /// The fork that cannot give it.
    pub fork: String,
    /// The output whose FIFO is full.
    pub port: usize,
    /// Its places.
    pub depth: usize,
    /// The fork's place among the stages.
    pub at: usize,
}

/// What stopped `run`, in which no stage can advance.
pub(super) fn find(stages: &[Stage], run: &Run) -> Deadlock {
    // Nothing leaves, so upstream of the egress some link is empty at every stage, up to one that has its beats but
    // no place: the fork.
    let empty = |&l: &usize| run.links[l].front().is_none();
    let (mut at, mut waits) = (stages.len() - 1, stages.len() - 1);
    while let Some(port) = run.ports[at][0].iter().position(&empty) {
        if matches!(stages[at].kind, Kind::Mix { .. }) {
            waits = at;
        }
        at = stages[at].sources[port].stage;
    }
    let full = |&l: &usize| run.links[l].places(1).is_none();
    let port = run.ports[at][1].iter().position(full).expect("it waits for a place");
    Deadlock {
        stage: stages[waits].name.clone(),
        fork: stages[at].name.clone(),
        port,
        depth: stages[at].depths[port],
        at,
    }
}
