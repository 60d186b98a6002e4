//! Says what a plan is chosen for, and why there may be none.

use super::data::{Mac, Output, PlanError};
use crate::device::{Budget, Device};
use dq_net::Squeezing;
use thiserror::Error;

/// Clock of a plan, in MHz, when none is given.
pub const DEFAULT_CLOCK_MHZ: u32 = 100;
/// Frames per second of a plan when none are given, or fewer where the network cannot reach them.
pub const DEFAULT_FRAMES_PER_SECOND: u64 = 100;

/// Says what a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether scores or the label leave the circuit.
    pub output: Output,
    /// How a detector squeezes images, where there is one: what leaves is a label then.
    pub detector: Option<Squeezing>,
    /// Clock in MHz.
    pub clock_mhz: u32,
    /// Least number of frames per second; with `None` as many as the budget allows.
    pub frames_per_second: Option<u64>,
    /// The device.
    pub device: Option<&'static Device>,
    /// Most hardware that may be used.
    pub budget: Budget,
    /// How products are built, wherever a node can have them so.
    pub mac: Mac,
    /// Whether weights that find no place in the circuit may come from outside, and how.
    pub stream: Option<Streaming>,
}

/// Says how weights may come from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Most bits of a port: a word of weights is one beat.
    pub port_bits: usize,
    /// Most bytes per second through all ports together; `u64::MAX` where nothing bounds them but the ports.
    pub bytes_per_second: u64,
}

/// Says why there is no plan for a target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FoldError {
    /// The network cannot be built at all.
    #[error(transparent)]
    Network(#[from] PlanError),
    /// Products in DSP blocks were asked for on a device that has none.
    #[error("products in DSP blocks: expected a device that has them, found {device}, which has none")]
    NoDsps {
        /// Name of the device.
        device: &'static str,
    },
    /// Even unfolded, a stage needs more cycles than a frame has.
    #[error(
        "stage `{stage}` needs {needed} cycles per frame even unfolded, but {frames_per_second} frames/s at \
         {clock_mhz} MHz \
         leave {available}: at most {possible} frames/s"
    )]
    TooFast {
        /// The slowest stage.
        stage: String,
        /// Number of cycles per frame that it needs.
        needed: u64,
        /// Number of cycles per frame that the target leaves.
        available: u64,
        /// Frames per second of the target.
        frames_per_second: u64,
        /// Clock of the target, in MHz.
        clock_mhz: u32,
        /// Frames per second that are possible.
        possible: u64,
    },
    /// The circuit is larger than its budget.
    #[error(
        "{needed} {resource} needed of {available} ({} too many): most of them in stage `{stage}`, \
         {of_stage}{hint}",
        needed - available
    )]
    TooLarge {
        /// Name of the resource that is exceeded.
        resource: &'static str,
        /// Amount that the plan needs, by the estimate.
        needed: u64,
        /// Amount that the budget has.
        available: u64,
        /// Name of the stage that takes most of it.
        stage: String,
        /// Amount that this stage takes.
        of_stage: u64,
        /// A hint that says what would fit, if anything does.
        hint: String,
    },
}

impl Target {
    /// Returns a target of that speed, whatever it takes, on no device in particular.
    pub fn unbounded(output: Output, clock_mhz: u32, frames_per_second: u64) -> Self {
        Target {
            output,
            detector: None,
            clock_mhz,
            frames_per_second: Some(frames_per_second),
            device: None,
            budget: Budget::NONE,
            mac: Mac::Auto,
            stream: None,
        }
    }

    /// Returns its clock in Hz.
    pub(crate) fn clock(&self) -> u64 {
        u64::from(self.clock_mhz) * 1_000_000
    }
}
