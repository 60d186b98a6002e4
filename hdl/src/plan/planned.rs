//! Defines what a plan is chosen and compared by: what its circuit takes, and its exact cycles.

use super::data::Plan;
use crate::device::Resources;
use crate::estimate;
use crate::stage::kind::Stage;
use crate::timing::Timing;

/// Holds a plan with what it takes and how fast it is.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Resources of the whole circuit, by the model of [`crate::estimate`].
    pub used: Resources,
    /// Its exact cycles.
    pub timing: Timing,
}

impl Planned {
    pub(super) fn new(plan: Plan, stages: &[Stage], timing: Timing) -> Self {
        Planned { plan, used: estimate::estimate(stages).total, timing }
    }

    /// Returns the frames per second at its clock.
    pub fn frames_per_second(&self) -> u64 {
        u64::from(self.plan.clock_mhz) * 1_000_000 / self.timing.interval
    }

    /// Returns by what plans are compared; less is better everywhere.
    pub fn costs(&self) -> Vec<u64> {
        let (Resources { lut, bram, dsp, spram, .. }, timing) = (self.used, &self.timing);
        vec![timing.interval, timing.latency, lut, bram, dsp, spram]
    }
}
