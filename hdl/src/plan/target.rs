//! What a plan is chosen for, and why there may be none.

use super::data::{Mac, Output, PlanError};
use crate::device::{Budget, Device};
use thiserror::Error;

/// Clock of a plan when none is given, in MHz.
pub const DEFAULT_CLOCK_MHZ: u32 = 100;
/// Frames per second of a plan when none are given, or fewer where the network cannot reach them.
pub const DEFAULT_FRAMES_PER_SECOND: u64 = 100;

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// What leaves the circuit.
    pub output: Output,
    /// Clock in MHz.
    pub clock_mhz: u32,
    /// Frames per second at least; none: as many as the budget allows.
    pub frames_per_second: Option<u64>,
    /// The device.
    pub device: Option<&'static Device>,
    /// What may be used.
    pub budget: Budget,
    /// How products are built, wherever a node can have them so.
    pub mac: Mac,
}

/// Why there is no plan for a target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FoldError {
    /// The network cannot be built at all.
    #[error(transparent)]
    Network(#[from] PlanError),
    /// Even unfolded, a stage needs more cycles than a frame has.
    #[error(
        "stage `{stage}` needs {needed} cycles per frame even unfolded, but {frames_per_second} frames/s at \
         {clock_mhz} MHz \
         leave {available}: at most {possible} frames/s"
    )]
    TooFast {
        /// The slowest stage.
        stage: String,
        /// Cycles it needs.
        needed: u64,
        /// Cycles a frame has.
        available: u64,
        /// The target.
        frames_per_second: u64,
        /// The clock.
        clock_mhz: u32,
        /// What could be had.
        possible: u64,
    },
    /// The circuit is larger than its budget.
    #[error(
        "{needed} {resource} needed of {available} ({} too many): most of them in stage `{stage}`, \
         {of_stage}{hint}",
        needed - available
    )]
    TooLarge {
        /// What there is too little of.
        resource: &'static str,
        /// Needed, by the estimate.
        needed: u64,
        /// There.
        available: u64,
        /// The stage that takes most of it.
        stage: String,
        /// How much it takes.
        of_stage: u64,
        /// What would fit, if anything does.
        hint: String,
    },
}

impl Target {
    /// Returns a target of that speed, whatever it takes, on no device in particular.
    pub fn unbounded(output: Output, clock_mhz: u32, frames_per_second: u64) -> Self {
        let frames_per_second = Some(frames_per_second);
        Target { output, clock_mhz, frames_per_second, device: None, budget: Budget::NONE, mac: Mac::Auto }
    }

    /// Returns its clock in Hz.
    pub(crate) fn clock(&self) -> u64 {
        u64::from(self.clock_mhz) * 1_000_000
    }
}
