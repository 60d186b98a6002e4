//! Holds experiments on networks, each a function from networks and images to plain results. None reads
//! arguments, prints or writes files: commands do.

pub mod amplify;
pub mod certify;
pub mod corrupt;
pub mod faults;
pub mod landscape;
pub mod proved;
pub mod saturate;
pub mod scene;

use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

/// Holds who is told of an experiment's progress, and who may stop it.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Is called with the number of further steps that are done.
    pub tick: &'a (dyn Fn(u64) + Sync),
    /// A flag that stops the experiment when it is set.
    pub stop: &'a AtomicBool,
}

/// Says that the experiment was stopped before it had a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stopped")]
pub struct Stopped;

impl Watch<'_> {
    /// Fails once the flag is set.
    fn check(&self) -> Result<(), Stopped> {
        if self.stop.load(Ordering::Relaxed) { Err(Stopped) } else { Ok(()) }
    }

    /// Tells of `steps` more that are done, and fails once the flag is set.
    fn step(&self, steps: u64) -> Result<(), Stopped> {
        (self.tick)(steps);
        self.check()
    }
}
