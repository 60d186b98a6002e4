//! Explores the plans of one network: which speeds are worth a plan, and the plan of each. It is the very one
//! that [`super::choose`] gives for its target.

use super::fit::Choices;
use super::planned::Planned;
use super::planner::checked;
use super::target::{FoldError, Target};
use dq_net::Network;

/// Lists the speeds for which a network is worth planning.
#[derive(Clone, Debug)]
pub struct Speeds {
    /// Frames per second, slowest first.
    pub targets: Vec<u64>,
    /// The least speed whose plan is larger than the budget, and what it lacks.
    pub beyond: Option<(u64, FoldError)>,
}

/// Plans one network again and again: its choices are costed once.
pub struct Explorer<'a> {
    choices: Choices<'a>,
}

impl<'a> Explorer<'a> {
    /// Lists the choices of the nodes of `network` for `target`, whose speed does not matter.
    ///
    /// # Errors
    /// Where the network cannot have the detector that `target` asks for.
    pub fn new(network: &'a Network, target: &'a Target) -> Result<Self, FoldError> {
        Ok(Explorer { choices: checked(network, target)? })
    }

    /// Returns the plan for at least `frames_per_second` or, without, for as many as the budget allows.
    ///
    /// # Errors
    /// As [`super::choose`].
    pub fn plan(&self, frames_per_second: Option<u64>) -> Result<Planned, FoldError> {
        match frames_per_second {
            Some(frames) => self.choices.at_speed(frames),
            None => {
                let plan = self.choices.fastest().map_err(|found| self.choices.too_large(found.1))?;
                let (stages, timing) = self.choices.model.timed(&plan)?;
                Ok(Planned::new(plan, &stages, timing))
            }
        }
    }

    /// Returns at most `count` speeds: a geometric ladder from one PE per node, one input at a time, to the
    /// fastest plan within the budget, each where the choices of a node change.
    pub fn speeds(&self, count: usize) -> Speeds {
        // The choices change at the cycles of one of them, and no plan is faster than the slowest node.
        let (clock, least) = (self.choices.target.clock(), self.choices.slowest(0));
        let mut cycles: Vec<u64> = self.choices.nodes.iter().flatten().map(|choice| choice.cycles).collect();
        cycles.retain(|&cycles| cycles >= least);
        cycles.sort_unstable();
        cycles.dedup();
        let speed = |cycles: u64| (clock / cycles.max(1)).max(1);
        let overflow = |cycles: u64| self.choices.fit(cycles, &self.choices.target.budget).err();
        let fastest = cycles.partition_point(|&cycles| overflow(cycles).is_some());
        let beyond = fastest.checked_sub(1).and_then(|at| {
            let found = overflow(cycles[at])?;
            Some((speed(cycles[at]), self.choices.too_large(found.1)))
        });
        let fitting = &cycles[fastest..];
        let (Some(&first), Some(&last)) = (fitting.first(), fitting.last()) else {
            return Speeds { targets: vec![], beyond };
        };
        let steps = count.max(2) - 1;
        let rung = |step: usize| {
            let wanted = last as f64 * (first as f64 / last as f64).powf(step as f64 / steps as f64);
            // The last rung is the fastest plan itself, whatever the rounding.
            let at = fitting.partition_point(|&cycles| cycles as f64 <= wanted).max(1);
            speed(if step == steps { first } else { fitting[at - 1] })
        };
        let mut targets: Vec<u64> = (0..=steps).map(rung).collect();
        targets.dedup();
        Speeds { targets, beyond }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::Design;
    use crate::device::{Budget, Device};
    use crate::emit;
    use crate::plan::data::{Mac, Output};
    use crate::plan::{choose, for_target};

    #[test]
    fn each_plan_is_that_of_its_target_and_what_is_beyond_does_not_fit() {
        let network = dq_net::topology::build("cnn10:w2a2", 1).unwrap();
        let device = Device::find("ecp5-25f").unwrap();
        let budget = Budget { lut: 12_000, ..device.budget() };
        let (output, mac) = (Output::Scores, Mac::Auto);
        let target = Target {
            output,
            detector: None,
            clock_mhz: 100,
            frames_per_second: None,
            device: Some(device),
            budget,
            mac,
            stream: None,
        };
        let explorer = Explorer::new(&network, &target).unwrap();
        let Speeds { targets, beyond } = explorer.speeds(6);
        assert!((3..=6).contains(&targets.len()) && targets.is_sorted(), "{targets:?}");
        let (faster, error) = beyond.expect("the device is small");
        assert!(faster > *targets.last().unwrap() && error.to_string().contains("LUTs needed of 12000"));
        let at = |frames_per_second| choose(&network, &Target { frames_per_second, ..target });
        assert!(at(Some(faster)).is_err());
        for asked in targets.into_iter().map(Some).chain([None]) {
            let planned = explorer.plan(asked).unwrap();
            assert_eq!(planned.plan, at(asked).unwrap(), "{asked:?}");
            let report = emit::report(&Design::new(&network, &planned.plan).unwrap());
            assert_eq!((planned.used, &planned.timing), (report.estimate.total, &report.timing));
            assert_eq!(planned.frames_per_second(), report.frames_per_second);
            assert!(planned.frames_per_second() >= asked.unwrap_or(1));
        }
    }

    #[test]
    fn without_a_budget_the_ladder_goes_from_one_pe_to_all() {
        let network = dq_net::topology::build("lenet", 1).unwrap();
        let target = Target { frames_per_second: None, ..Target::unbounded(Output::Scores, 100, 1) };
        let explorer = Explorer::new(&network, &target).unwrap();
        let Speeds { targets, beyond } = explorer.speeds(5);
        assert!(beyond.is_none());
        let slowest = explorer.plan(Some(targets[0])).unwrap();
        assert!(slowest.plan.nodes.iter().any(|node| (node.pe, node.simd) == (1, 1)));
        let most = *targets.last().unwrap();
        let error = for_target(&network, Output::Scores, 100, most * 2).unwrap_err();
        assert!(matches!(error, FoldError::TooFast { .. }), "{error}");
    }
}
