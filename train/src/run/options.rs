//! Says how to run a training, as opposed to what to train.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::files::LAST;
use crate::compute::Compute;

/// Says how to run a training, as opposed to what to train.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Folder of the run; made where it is missing.
    pub run: &'a Path,
    /// Whether to go on from `last.safetensors`; without it a folder that holds a run is refused.
    pub resume: bool,
    /// Weights to start a new run from (safetensors), by the names of `docs/weights.md`.
    pub init: Option<&'a Path>,
    /// Where to compute.
    pub compute: Compute,
    /// Longest time between two checkpoints within an epoch.
    pub save_every: Duration,
    /// A flag that stops the run after the current batch when it is set; the run can be resumed from there.
    pub stop: &'a AtomicBool,
}

impl Options<'_> {
    /// Returns whether there is a checkpoint from which the run goes on.
    pub(crate) fn goes_on(&self) -> bool {
        self.resume && self.run.join(LAST).exists()
    }
}
