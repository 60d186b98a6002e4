//! Finds the cheapest plan that meets a target within a budget. Chooses PE, SIMD and where memories live;
//! FIFO depths follow from the timing.
//!
//! The planner prices a block RAM in LUTs (a Lagrange multiplier) and moves the price until a plan fits
//! its device.

use super::check::check_detector;
use super::choice::Choice;
use super::data::{Mac, NodePlan, Output, Plan};
use super::fit::{Choices, FILL, Overflow};
use super::planned::Planned;
use super::target::{DEFAULT_CLOCK_MHZ, DEFAULT_FRAMES_PER_SECOND, FoldError, Target};
use crate::device::Budget;
use crate::estimate;
use crate::pipeline::detector;
use crate::stage::kind::Stage;
use dq_net::{Network, Squeezing};

/// Returns the cheapest plan for at least `frames_per_second` at `clock_mhz`, whatever it takes.
pub fn for_target(
    network: &Network,
    output: Output,
    clock_mhz: u32,
    frames_per_second: u64,
) -> Result<Plan, FoldError> {
    choose(network, &Target::unbounded(output, clock_mhz, frames_per_second))
}

/// Returns a plan for [`DEFAULT_FRAMES_PER_SECOND`], or as fast as the network can be.
pub fn default(network: &Network, output: Output) -> Result<Plan, FoldError> {
    usual(network, &Target::unbounded(output, DEFAULT_CLOCK_MHZ, DEFAULT_FRAMES_PER_SECOND))
}

/// Returns a plan as [`default`] does, with a detector that squeezes images so.
pub fn with_detector(network: &Network, squeezing: Squeezing) -> Result<Plan, FoldError> {
    let target = Target::unbounded(Output::Label, DEFAULT_CLOCK_MHZ, DEFAULT_FRAMES_PER_SECOND);
    usual(network, &Target { detector: Some(squeezing), ..target })
}

/// Returns the cheapest plan for `target`, or as fast as the network can be.
fn usual(network: &Network, target: &Target) -> Result<Plan, FoldError> {
    match choose(network, target) {
        Err(FoldError::TooFast { possible, .. }) => {
            choose(network, &Target { frames_per_second: Some(possible.max(1)), ..*target })
        }
        found => found,
    }
}

/// Returns the cheapest plan for `target`, or the fastest where it names no speed.
pub fn choose(network: &Network, target: &Target) -> Result<Plan, FoldError> {
    let mut choices = checked(network, target)?;
    loop {
        let plan = match target.frames_per_second {
            Some(frames) => choices.at_speed(frames)?.plan,
            None => choices.fastest().map_err(|found| choices.too_large(found.1))?,
        };
        if !plan.streams() {
            return Ok(plan);
        }
        // The chip is full, so that FIFOs behind forks count as well.
        let (stages, _) = choices.model.timed(&plan)?;
        let used = estimate::estimate(&stages);
        match target.budget.overflow(used.total) {
            None => return Ok(plan),
            Some(_) if choices.leave_room(&plan, used.total) => {}
            Some(found) => return Err(choices.too_large(Overflow::new(found, &used))),
        }
    }
}

/// Returns the choices of the nodes of `network` for `target`, if it can have the detector that this asks for
/// and the device has the blocks.
pub fn checked<'a>(network: &'a Network, target: &'a Target) -> Result<Choices<'a>, FoldError> {
    if let Some(device) = target.device.filter(|device| target.mac == Mac::Dsp && device.lacks_dsps()) {
        return Err(FoldError::NoDsps { device: device.name });
    }
    if target.detector.is_some() {
        check_detector(network, target.output)?;
    }
    Ok(Choices::new(network, target))
}

impl Choices<'_> {
    /// Returns the cheapest plan for at least `frames_per_second`.
    pub fn at_speed(&self, frames_per_second: u64) -> Result<Planned, FoldError> {
        let (clock, budget) = (self.target.clock(), self.budget());
        let available = clock / frames_per_second.max(1);
        // Where waiting makes the interval longer than the busiest stage's work, the work is cut until it
        // fits.
        let mut cycles = available;
        loop {
            let slowest = self.slowest(cycles);
            let plan = match self.fit(cycles, &budget) {
                Ok(plan) => plan,
                // A plan that is too slow anyway is reported as too slow, not as too large.
                Err(found) if slowest > available => found.0,
                Err(found) => return Err(self.too_large(found.1)),
            };
            let (stages, timing) = self.model.timed(&plan)?;
            if timing.interval <= available {
                return Ok(Planned::new(self.with_forks(plan, &stages), &stages, timing));
            }
            if slowest > cycles {
                return Err(FoldError::TooFast {
                    stage: timing.bottleneck,
                    needed: timing.interval,
                    available,
                    frames_per_second,
                    clock_mhz: self.target.clock_mhz,
                    possible: clock / timing.interval,
                });
            }
            let scaled = u128::from(cycles) * u128::from(available) / u128::from(timing.interval);
            cycles = (scaled as u64).min(timing.ideal_interval - 1);
        }
    }

    /// Returns `plan` with the FIFOs that were found behind forks, so that nobody need look for them again.
    fn with_forks(&self, mut plan: Plan, stages: &[Stage]) -> Plan {
        for stage in stages.iter().filter(|stage| stage.site.depths.len() > 1) {
            if detector::is_fork(&plan, stage) {
                continue;
            }
            let node = &self.model.network.nodes()[stage.site.node].name;
            let at = plan.nodes.iter().position(|plan| plan.node == *node).unwrap_or_else(|| {
                plan.nodes.push(NodePlan::new(node));
                plan.nodes.len() - 1
            });
            plan.nodes[at].forks = stage.site.depths.clone();
        }
        plan
    }

    /// Returns the most frames per second that the budget allows, by bisection over the cycles of a frame.
    pub fn fastest(&self) -> Result<Plan, Box<(Plan, Overflow)>> {
        let all = self.budget();
        let budget = match self.target.device {
            Some(_) => Budget { lut: all.lut / 100 * FILL, ..all },
            None => all,
        };
        let (mut low, mut high) = (self.slowest(0), self.most_cycles());
        let Ok(mut best) = self.fit(high, &budget) else {
            // The slowest plan is the answer, if it fits at all.
            return self.fit(high, &all);
        };
        // The search ends within 1 % of the fastest.
        while high - low > low / 100 {
            let middle = low + (high - low) / 2;
            match self.fit(middle, &budget) {
                Ok(plan) => (best, high) = (plan, middle),
                Err(_) => low = middle + 1,
            }
        }
        Ok(best)
    }

    /// Returns the cycles of the slowest node at its cheapest within `cycles`, or its fastest.
    pub fn slowest(&self, cycles: u64) -> u64 {
        let least = |choices: &Vec<Choice>| {
            let within = choices.iter().map(|choice| choice.cycles).filter(|&c| c <= cycles).max();
            within.unwrap_or_else(|| choices.iter().map(|c| c.cycles).min().expect("a node has choices"))
        };
        self.nodes.iter().map(least).max().unwrap_or(1)
    }

    fn most_cycles(&self) -> u64 {
        self.nodes.iter().flatten().map(|choice| choice.cycles).max().unwrap_or(1)
    }

    pub fn too_large(&self, overflow: Overflow) -> FoldError {
        let Overflow { resource, needed, available, stages } = overflow;
        let most = stages.into_iter().max_by_key(|(_, amount)| *amount);
        let (stage, of_stage) = most.expect("a circuit has stages");
        let hint = match self.target.frames_per_second {
            Some(_) => match self.fastest() {
                Ok(plan) => {
                    let interval = self.model.timed(&plan).map(|(_, timing)| timing.interval);
                    interval.map_or(String::new(), |i| {
                        format!("; {} frames/s would fit", self.target.clock() / i)
                    })
                }
                Err(_) => "; no speed fits".into(),
            },
            None => String::new(),
        };
        FoldError::TooLarge { resource, needed, available, stage, of_stage, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::pipeline::lower::Model;
    use crate::plan::target::Streaming;
    use crate::{pipeline, timing};
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
    fn dsps_help_where_luts_run_out() {
        let network = dq_net::topology::build("lenet:w8a8", 1).unwrap();
        let target = Target::unbounded(Output::Label, 100, 2_000);
        let ample = choose(&network, &target).unwrap();
        let luts = |plan: &Plan| estimate::estimate(&Model::new(&network).lower(plan)).total;
        assert_eq!(luts(&ample).dsp, 0, "while LUTs suffice no DSP is used");
        let lut = luts(&ample).lut * 9 / 10;
        let with_dsps =
            |dsp| choose(&network, &Target { budget: Budget { lut, dsp, ..Budget::NONE }, ..target });
        assert!(matches!(with_dsps(0), Err(FoldError::TooLarge { resource: "LUTs", .. })));
        let used = luts(&with_dsps(40).unwrap());
        assert!(used.lut <= lut && (1..=40).contains(&used.dsp), "{used:?}");
    }

    #[test]
    fn a_device_without_dsps_is_planned_without_them() {
        let device = Device::find("ice40-hx8k").unwrap();
        let network = dq_net::topology::build("mlp:w4a4", 1).unwrap();
        let target = Target { device: Some(device), ..Target::unbounded(Output::Label, 100, 500) };
        for dsp in [0, 5] {
            let budget = Budget { dsp, ..device.budget() };
            let found = choose(&network, &Target { budget, ..target });
            assert!(matches!(found, Err(FoldError::TooLarge { .. })), "{found:?}");
        }
        let found = choose(&network, &Target { mac: Mac::Dsp, ..target });
        assert_eq!(found, Err(FoldError::NoDsps { device: "ice40-hx8k" }));
    }

    #[test]
    fn weights_go_to_sprams_where_all_else_is_full() {
        let device = Device::find("ice40-up5k").unwrap();
        let planned = |name: &str| {
            let network = dq_net::topology::build(name, 1).unwrap();
            let (output, clock_mhz, mac) = (Output::Label, 24, Mac::Auto);
            let (device, budget, frames_per_second) = (Some(device), device.budget(), None);
            let plan = choose(
                &network,
                &Target {
                    output,
                    detector: None,
                    clock_mhz,
                    frames_per_second,
                    device,
                    budget,
                    mac,
                    stream: None,
                },
            );
            (plan.unwrap(), network)
        };
        let (small, _) = planned("lenet:w2a2");
        assert!(!small.boots(), "what fits without needs no flash");
        let (large, network) = planned("mlp:w2a2");
        let used = estimate::estimate(&Model::new(&network).lower(&large)).total;
        assert!(large.boots() && device.budget().overflow(used).is_none(), "{used:?}");
        large.check(&network).unwrap();
    }

    #[test]
    fn weights_that_find_no_place_come_from_outside() {
        let network = dq_net::topology::build("cnn10:w4a4", 1).unwrap();
        let ample = Target::unbounded(Output::Label, 100, 200);
        let used = |plan: &Plan| estimate::estimate(&Model::new(&network).lower(plan)).total;
        let traffic = |plan: &Plan| -> u64 {
            let stages = Model::new(&network).lower(plan);
            stages
                .iter()
                .filter_map(|stage| stage.kind.weight_port())
                .map(|port| port.round().frame_bytes())
                .sum()
        };
        let streaming = |bytes_per_second| Some(Streaming { port_bits: 64, bytes_per_second });
        let lut = 16_000;
        let planned = |lut, bram, stream| {
            choose(&network, &Target { budget: Budget { lut, bram, ..Budget::NONE }, stream, ..ample })
        };
        // What fits without stays as it is.
        assert_eq!(planned(lut, 60, streaming(u64::MAX)), planned(lut, 60, None));
        assert!(planned(lut, 12, None).is_err());
        let streamed = planned(lut, 12, streaming(u64::MAX)).unwrap();
        streamed.check(&network).unwrap();
        let (bytes, within) = (traffic(&streamed), used(&streamed));
        assert!(streamed.streams() && bytes > 0 && within.bram <= 12 && within.lut <= lut, "{within:?}");
        // The less there is, the more comes from outside.
        let less = planned(lut, 6, streaming(u64::MAX)).unwrap();
        assert!(traffic(&less) >= bytes, "{} {bytes}", traffic(&less));
        let enough = bytes * 200 + 200;
        assert_eq!(planned(lut, 12, streaming(enough)), Ok(streamed));
        let error = planned(lut, 12, streaming(bytes * 100)).unwrap_err().to_string();
        assert!(error.contains("kB/s of weights from outside") && error.contains("_weights"), "{error}");
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

    #[test]
    fn a_budget_is_kept_or_what_overflows_is_named() {
        let network = dq_net::topology::build("cnn10:w2a2", 1).unwrap();
        let device = Device::find("ecp5-25f").unwrap();
        let mut target = Target {
            output: Output::Scores,
            detector: None,
            clock_mhz: 100,
            frames_per_second: None,
            device: Some(device),
            budget: device.budget(),
            mac: Mac::Auto,
            stream: None,
        };
        let fastest = choose(&network, &target).unwrap();
        let used = |plan: &Plan| estimate::estimate(&pipeline::stages(&network, plan).unwrap()).total;
        assert_eq!(target.budget.overflow(used(&fastest)), None, "{:?}", used(&fastest));
        let frames =
            |plan: &Plan| 100_000_000 / timing::timing(&pipeline::stages(&network, plan).unwrap()).interval;
        // A slower plan takes less hardware; a faster one does not fit.
        target.frames_per_second = Some(frames(&fastest) / 8);
        let slower = choose(&network, &target).unwrap();
        assert!(used(&slower).lut < used(&fastest).lut && frames(&slower) >= frames(&fastest) / 8);
        target.frames_per_second = Some(frames(&fastest));
        target.budget.lut = used(&fastest).lut * 7 / 10;
        let error = choose(&network, &target).unwrap_err().to_string();
        assert!(error.contains("LUTs needed of") && error.contains("would fit"), "{error}");
        target.budget = device.budget();
        // Where block RAM is short, memories go to LUTs.
        target.frames_per_second = Some(200);
        let ample = used(&choose(&network, &target).unwrap());
        target.budget.bram = ample.bram - 2;
        let tight = used(&choose(&network, &target).unwrap());
        assert!(tight.bram <= ample.bram - 2 && tight.lut > ample.lut, "{ample:?} {tight:?}");
    }
}
