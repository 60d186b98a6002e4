//! Folding: the cheapest plan that meets a target. Chooses PE and SIMD only; FIFO depths follow from the timing.

use crate::estimate::{self, Resources};
use crate::pipeline;
use crate::plan::{Control, Limits, Memory, NodePlan, Output, PLAN_VERSION, Plan, PlanError, limits};
use crate::timing;
use dq_net::Network;
use thiserror::Error;

/// Clock of a plan when none is given, in MHz.
pub const DEFAULT_CLOCK_MHZ: u32 = 100;
/// Frames a second of a plan when none are given, or fewer where the network cannot reach them.
pub const DEFAULT_FRAMES_PER_SECOND: u64 = 100;

/// Why there is no plan for a target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FoldError {
    /// The network cannot be built at all.
    #[error(transparent)]
    Network(#[from] PlanError),
    /// Even unfolded, a stage needs more cycles than a frame has.
    #[error(
        "stage `{stage}` needs {needed} cycles a frame even unfolded, but {frames_per_second} frames/s at {clock_mhz} MHz \
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
}

/// The cheapest plan for at least `frames_per_second` at `clock_mhz`.
pub fn for_target(
    network: &Network,
    output: Output,
    clock_mhz: u32,
    frames_per_second: u64,
) -> Result<Plan, FoldError> {
    let clock = u64::from(clock_mhz) * 1_000_000;
    let available = clock / frames_per_second.max(1);
    let too_fast = |stage: &str, needed: u64| FoldError::TooFast {
        stage: stage.into(),
        needed,
        available,
        frames_per_second,
        clock_mhz,
        possible: clock / needed,
    };
    // Where waiting makes the interval longer than the busiest stage's work, the work is cut until it fits.
    let mut budget = available;
    loop {
        let found = within(network, output, clock_mhz, budget);
        let (Ok(plan) | Err(plan)) = &found;
        let timing = timing::timing(&pipeline::stages(network, plan)?);
        match found {
            Ok(plan) if timing.interval <= available => return Ok(plan),
            Ok(_) => {
                let scaled = u128::from(budget) * u128::from(available) / u128::from(timing.interval);
                budget = (scaled as u64).min(timing.ideal_interval - 1);
            }
            Err(_) => return Err(too_fast(&timing.bottleneck, timing.interval)),
        }
    }
}

/// A plan for [`DEFAULT_FRAMES_PER_SECOND`], or as fast as the network can be.
pub fn default(network: &Network, output: Output) -> Result<Plan, PlanError> {
    match for_target(network, output, DEFAULT_CLOCK_MHZ, DEFAULT_FRAMES_PER_SECOND) {
        Ok(plan) => Ok(plan),
        Err(FoldError::Network(error)) => Err(error),
        Err(FoldError::TooFast { .. }) => {
            Ok(within(network, output, DEFAULT_CLOCK_MHZ, 0).unwrap_or_else(|plan| plan))
        }
    }
}

/// The cheapest plan in which no stage works for more than `budget` cycles a frame; `Err` holds the plan in which
/// those stages that cannot are unfolded.
fn within(network: &Network, output: Output, clock_mhz: u32, budget: u64) -> Result<Plan, Plan> {
    let mut plan = Plan { version: PLAN_VERSION, output, clock_mhz, control: Control::None, nodes: vec![] };
    for i in 0..network.nodes().len() {
        if limits(network, i).is_some() {
            plan.nodes.push(NodePlan {
                node: network.nodes()[i].name.clone(),
                pe: 1,
                simd: 1,
                memory: Memory::Auto,
                fifo: None,
                forks: vec![],
            });
        }
    }
    let mut met = true;
    let mut entry = 0;
    for i in 0..network.nodes().len() {
        let Some(limits) = limits(network, i) else { continue };
        met &= fold_node(network, &mut plan, entry, i, limits, budget);
        entry += 1;
    }
    if met { Ok(plan) } else { Err(plan) }
}

/// Sets the cheapest folding of node `i` within `budget`; false if there is none, and then the fastest.
fn fold_node(
    network: &Network,
    plan: &mut Plan,
    entry: usize,
    i: usize,
    limits: Limits,
    budget: u64,
) -> bool {
    // Least first: over the budget or not, then cost or cycles.
    let mut least = (true, u64::MAX, u64::MAX);
    let mut best = (1, 1);
    for pe in divisors(limits.outputs) {
        for simd in divisors(limits.inputs) {
            (plan.nodes[entry].pe, plan.nodes[entry].simd) = (pe, simd);
            let stages = pipeline::lower(network, plan);
            let beats = timing::frame_beats(&stages);
            let own = || stages.iter().zip(&beats).filter(|(stage, _)| stage.node == i);
            let cycles = own().map(|(_, &(taken, given))| taken.max(given)).max().expect("a node has stages");
            let cost = own().map(|(stage, _)| cost(estimate::of_stage(stage))).sum();
            let key = if cycles <= budget { (false, cost, cycles) } else { (true, cycles, cost) };
            if key < least {
                (least, best) = (key, (pe, simd));
            }
        }
    }
    (plan.nodes[entry].pe, plan.nodes[entry].simd) = best;
    !least.0
}

/// What resources are worth against each other, in LUTs.
fn cost(resources: Resources) -> u64 {
    resources.lut + resources.ff / 2 + 200 * resources.bram
}

fn divisors(n: usize) -> impl Iterator<Item = usize> {
    (1..=n).filter(move |&d| n.is_multiple_of(d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::random::{self, Options};

    #[test]
    fn plans_meet_their_target_or_it_is_refused() {
        let (mut met, mut refused) = (0, 0);
        for seed in 0..60 {
            let network = random::network(seed, &Options::default());
            for frames_per_second in [1_000, 300_000, 2_000_000] {
                match for_target(&network, Output::Scores, 100, frames_per_second) {
                    Ok(plan) => {
                        met += 1;
                        let interval = timing::timing(&pipeline::stages(&network, &plan).unwrap()).interval;
                        assert!(interval <= 100_000_000 / frames_per_second, "seed {seed}: {interval}");
                    }
                    Err(FoldError::TooFast { needed, available, .. }) => {
                        refused += 1;
                        assert!(needed > available, "seed {seed}");
                    }
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
        }
        assert!(met > 60 && refused > 10, "{met} met, {refused} refused");
    }

    #[test]
    fn a_slower_target_never_costs_more() {
        let network = random::network(14, &Options::default());
        let lut = |frames_per_second| {
            let plan = for_target(&network, Output::Scores, 100, frames_per_second).unwrap();
            estimate::estimate(&pipeline::stages(&network, &plan).unwrap()).total.lut
        };
        assert!(lut(100) <= lut(10_000));
    }
}
