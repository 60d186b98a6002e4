//! Folding: the cheapest plan that meets a target within a budget. Chooses PE, SIMD and where memories live; FIFO depths
//! follow from the timing. Each node's choices are costed once, alone; a price of a block RAM in LUTs (a Lagrange
//! multiplier) joins them to one plan, and moves until the plan fits its budget.

use super::data::{
    Control, Mac, Memory, NodePlan, Output, PLAN_VERSION, Plan, PlanError, check_entry, limits,
};
use crate::device::{Budget, Device};
use crate::estimate::{self, Resources};
use crate::pipeline::{self, Kind};
use dq_net::Network;
use thiserror::Error;

/// Clock of a plan when none is given, in MHz.
pub const DEFAULT_CLOCK_MHZ: u32 = 100;
/// Frames a second of a plan when none are given, or fewer where the network cannot reach them.
pub const DEFAULT_FRAMES_PER_SECOND: u64 = 100;
/// What a block RAM costs in LUTs where nothing says how many there are of either.
const PRICE: u64 = 200;
/// Above any price at which choices still change.
const DEAREST: u64 = 1 << 14;
/// The price of what is not to be used.
const NEVER: u64 = 1 << 40;
/// Share of a device's LUTs, in percent, that can be filled, and that a plan as fast as can be fills: fuller ones route
/// badly.
const FILL: u64 = 75;

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// What leaves the circuit.
    pub output: Output,
    /// Clock in MHz.
    pub clock_mhz: u32,
    /// Frames a second at least; none: as many as the budget allows.
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
    /// The circuit is larger than its budget.
    #[error(
        "{needed} {resource} needed of {available} ({} too many): most of them in stage `{stage}`, {of_stage}{hint}",
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

/// One way to build a node.
#[derive(Clone, Debug)]
struct Choice {
    entry: NodePlan,
    cycles: u64,
    resources: Resources,
    /// LUTs of its weights' ROM. They count twice: each takes address wires from afar, and many of them do not route.
    rom: u64,
}

/// The choices of every node that folds.
struct Choices<'a> {
    network: &'a Network,
    target: &'a Target,
    nodes: Vec<Vec<Choice>>,
}

impl Target {
    /// As many resources as it takes, on no device in particular.
    pub fn unbounded(output: Output, clock_mhz: u32, frames_per_second: u64) -> Self {
        let frames_per_second = Some(frames_per_second);
        Target { output, clock_mhz, frames_per_second, device: None, budget: Budget::NONE, mac: Mac::Auto }
    }

    fn clock(&self) -> u64 {
        u64::from(self.clock_mhz) * 1_000_000
    }
}

/// The cheapest plan for at least `frames_per_second` at `clock_mhz`, whatever it takes.
pub fn for_target(
    network: &Network,
    output: Output,
    clock_mhz: u32,
    frames_per_second: u64,
) -> Result<Plan, FoldError> {
    choose(network, &Target::unbounded(output, clock_mhz, frames_per_second))
}

/// A plan for [`DEFAULT_FRAMES_PER_SECOND`], or as fast as the network can be.
pub fn default(network: &Network, output: Output) -> Result<Plan, FoldError> {
    match for_target(network, output, DEFAULT_CLOCK_MHZ, DEFAULT_FRAMES_PER_SECOND) {
        Err(FoldError::TooFast { possible, .. }) => {
            for_target(network, output, DEFAULT_CLOCK_MHZ, possible.max(1))
        }
        found => found,
    }
}

/// The cheapest plan for `target`, or the fastest where it names no speed.
pub fn choose(network: &Network, target: &Target) -> Result<Plan, FoldError> {
    let choices = Choices::new(network, target);
    match target.frames_per_second {
        Some(frames) => choices.at_speed(frames),
        None => choices.fastest().map_err(|found| choices.too_large(found.1)),
    }
}

impl<'a> Choices<'a> {
    fn new(network: &'a Network, target: &'a Target) -> Self {
        let empty = Plan {
            version: PLAN_VERSION,
            output: target.output,
            clock_mhz: target.clock_mhz,
            device: target.device.map(|device| device.name.into()),
            control: Control::None,
            nodes: vec![],
        };
        let folding = (0..network.nodes().len()).filter(|&i| limits(network, i).is_some());
        let sprams = (1..u64::MAX).contains(&target.budget.spram);
        let nodes = folding.map(|i| choices(network, &empty, i, target.mac, sprams)).collect();
        Choices { network, target, nodes }
    }

    /// The plan of the cheapest choices within `cycles`, at `price` LUTs a block RAM and `spram_price` an SPRAM; where a node has
    /// none, its fastest.
    fn choose(&self, cycles: u64, price: u64, spram_price: u64) -> Plan {
        let cost = |r: Resources| r.lut + r.ff / 2 + price * r.bram + spram_price * r.spram;
        let best = |choices: &Vec<Choice>| {
            let key = |choice: &&Choice| {
                let (cost, slow) = (cost(choice.resources) + choice.rom, choice.cycles > cycles);
                if slow { (true, choice.cycles, cost) } else { (false, cost, choice.cycles) }
            };
            choices.iter().min_by_key(key).expect("a node has choices").entry.clone()
        };
        let mut plan = Plan {
            version: PLAN_VERSION,
            output: self.target.output,
            clock_mhz: self.target.clock_mhz,
            device: self.target.device.map(|device| device.name.into()),
            control: Control::None,
            nodes: self.nodes.iter().map(best).collect(),
        };
        self.place_tables(&mut plan, &cost);
        plan
    }

    /// Where the tables of steps and rescales live, which depends on the lanes that the others give them.
    fn place_tables(&self, plan: &mut Plan, cost: &dyn Fn(Resources) -> u64) {
        for stage in pipeline::lower(self.network, plan) {
            if !matches!(stage.kind, Kind::Step { .. } | Kind::Rescale { .. }) {
                continue;
            }
            let at = |memory| {
                let mut placed = stage.clone();
                placed.memory = memory;
                (cost(estimate::of_stage(&placed)), memory)
            };
            let (blocks, luts) = (at(Memory::Block), at(Memory::Distributed));
            let memory = if luts.0 <= blocks.0 { luts.1 } else { blocks.1 };
            let node = self.network.nodes()[stage.node].name.clone();
            plan.nodes.push(NodePlan { memory, ..entry(&node) });
        }
    }

    /// Resources of `plan`, FIFOs behind forks aside.
    fn resources(&self, plan: &Plan) -> estimate::Estimate {
        estimate::estimate(&pipeline::lower(self.network, plan))
    }

    /// The cheapest plan of at most `cycles` a stage that fits `budget`; else what overflows, with the plan at fault.
    fn fit(&self, cycles: u64, budget: &Budget) -> Result<Plan, Box<(Plan, Overflow)>> {
        let at = |price| {
            let plan = self.choose(cycles, price, NEVER);
            let used = self.resources(&plan);
            (plan, used)
        };
        // A block RAM is worth its share of the LUTs that can be filled.
        let price = match (budget.lut, budget.bram) {
            (u64::MAX, _) | (_, 0 | u64::MAX) => PRICE,
            (lut, bram) => (lut / 100 * FILL / bram).min(DEAREST),
        };
        let (plan, used) = at(price);
        if budget.overflow(used.total).is_none() {
            return Ok(plan);
        }
        if let Some(plan) = self.with_dsps(&plan, budget) {
            return Ok(plan);
        }
        // Fewer block RAMs the dearer they are, and more LUTs: the lowest price at which the block RAMs suffice is the
        // best for the LUTs.
        let (plan, used) = at(lowest_price(&|price| at(price).1.total.bram <= budget.bram));
        match budget.overflow(used.total) {
            None => Ok(plan),
            Some((resource, needed, available)) => {
                match self.with_dsps(&plan, budget).or_else(|| self.with_sprams(cycles, budget)) {
                    Some(plan) => Ok(plan),
                    None => Err(Box::new((plan, Overflow { resource, needed, available, used }))),
                }
            }
        }
    }

    /// `plan` with products in DSP blocks, the nodes first where a block saves most, until its LUTs fit; none if they never
    /// do, if something else overflows, or if nobody said how many blocks there are.
    fn with_dsps(&self, plan: &Plan, budget: &Budget) -> Option<Plan> {
        if budget.dsp == u64::MAX || self.target.mac != Mac::Auto {
            return None;
        }
        let empty = Plan { nodes: vec![], ..plan.clone() };
        let mut savings: Vec<(u64, u64, usize)> = vec![];
        for (at, entry) in plan.nodes.iter().enumerate() {
            let i = self.network.nodes().iter().position(|node| node.name == entry.node)?;
            let weight_bits = self.network.nodes()[i].layer.weight_bits();
            if !weight_bits.is_some_and(|bits| Mac::Dsp.fits(entry.simd, bits.into())) {
                continue;
            }
            let of = |mac| {
                estimate::total(&pipeline::alone(self.network, &empty, i, &NodePlan { mac, ..entry.clone() }))
            };
            let (before, after) = (of(entry.mac), of(Mac::Dsp));
            if after.lut < before.lut {
                savings.push((before.lut - after.lut, after.dsp, at));
            }
        }
        savings.sort_by_key(|&(luts, blocks, _)| std::cmp::Reverse(luts * 1_000 / blocks));
        let mut plan = plan.clone();
        for (_, _, at) in savings {
            let before = std::mem::replace(&mut plan.nodes[at].mac, Mac::Dsp);
            let used = self.resources(&plan).total;
            if budget.overflow(used).is_none() {
                return Some(plan);
            }
            if used.dsp > budget.dsp {
                plan.nodes[at].mac = before;
            }
        }
        None
    }

    /// The cheapest plan of at most `cycles` a stage that fits `budget` with weights in SPRAM, if one does: of block RAMs and of
    /// SPRAMs as many as there are, each at the lowest price at which they suffice.
    fn with_sprams(&self, cycles: u64, budget: &Budget) -> Option<Plan> {
        if !(1..u64::MAX).contains(&budget.spram) {
            return None;
        }
        let at = |price| {
            let of = |spram_price| {
                let plan = self.choose(cycles, price, spram_price);
                let used = self.resources(&plan).total;
                (plan, used)
            };
            of(lowest_price(&|spram_price| of(spram_price).1.spram <= budget.spram))
        };
        let (plan, used) = at(lowest_price(&|price| at(price).1.bram <= budget.bram));
        budget.overflow(used).is_none().then_some(plan)
    }

    fn at_speed(&self, frames_per_second: u64) -> Result<Plan, FoldError> {
        let (clock, budget) = (self.target.clock(), self.target.budget);
        let available = clock / frames_per_second.max(1);
        // Where waiting makes the interval longer than the busiest stage's work, the work is cut until it fits.
        let mut cycles = available;
        loop {
            let slowest = self.slowest(cycles);
            let plan = match self.fit(cycles, &budget) {
                Ok(plan) => plan,
                // What is too slow anyway is said first.
                Err(found) if slowest > available => found.0,
                Err(found) => return Err(self.too_large(found.1)),
            };
            let (stages, timing) = pipeline::timed(self.network, &plan)?;
            if timing.interval <= available {
                return Ok(self.with_forks(plan, &stages));
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

    /// `plan` with the FIFOs that were found behind forks, so that nobody need look for them again.
    fn with_forks(&self, mut plan: Plan, stages: &[pipeline::Stage]) -> Plan {
        for stage in stages.iter().filter(|stage| stage.depths.len() > 1) {
            let node = &self.network.nodes()[stage.node].name;
            let at = plan.nodes.iter().position(|plan| plan.node == *node).unwrap_or_else(|| {
                plan.nodes.push(entry(node));
                plan.nodes.len() - 1
            });
            plan.nodes[at].forks = stage.depths.clone();
        }
        plan
    }

    /// The most frames a second that the budget allows, by bisection over the cycles of a frame.
    fn fastest(&self) -> Result<Plan, Box<(Plan, Overflow)>> {
        let budget = match self.target.device {
            Some(_) => Budget { lut: self.target.budget.lut / 100 * FILL, ..self.target.budget },
            None => self.target.budget,
        };
        let (mut low, mut high) = (self.slowest(0), self.most_cycles());
        let Ok(mut best) = self.fit(high, &budget) else {
            // The slowest, if it fits at all.
            return self.fit(high, &self.target.budget);
        };
        // To within 1 %.
        while high - low > low / 100 {
            let middle = low + (high - low) / 2;
            match self.fit(middle, &budget) {
                Ok(plan) => (best, high) = (plan, middle),
                Err(_) => low = middle + 1,
            }
        }
        Ok(best)
    }

    /// Cycles of the slowest node at its cheapest within `cycles`, or its fastest.
    fn slowest(&self, cycles: u64) -> u64 {
        let least = |choices: &Vec<Choice>| {
            let within = choices.iter().map(|choice| choice.cycles).filter(|&c| c <= cycles).max();
            within.unwrap_or_else(|| choices.iter().map(|c| c.cycles).min().expect("a node has choices"))
        };
        self.nodes.iter().map(least).max().unwrap_or(1)
    }

    fn most_cycles(&self) -> u64 {
        self.nodes.iter().flatten().map(|choice| choice.cycles).max().unwrap_or(1)
    }

    fn too_large(&self, overflow: Overflow) -> FoldError {
        let Overflow { resource, needed, available, used } = overflow;
        let of = |r: &Resources| match resource {
            "LUTs" => r.lut,
            "flip-flops" => r.ff,
            "block RAMs" => r.bram,
            _ => r.dsp,
        };
        let most = used.stages.iter().max_by_key(|stage| of(&stage.resources)).expect("a circuit has stages");
        let hint = match self.target.frames_per_second {
            Some(_) => match self.fastest() {
                Ok(plan) => {
                    let interval = pipeline::timed(self.network, &plan).map(|(_, timing)| timing.interval);
                    interval.map_or(String::new(), |i| {
                        format!("; {} frames/s would fit", self.target.clock() / i)
                    })
                }
                Err(_) => "; no speed fits".into(),
            },
            None => String::new(),
        };
        let (stage, of_stage) = (most.stage.clone(), of(&most.resources));
        FoldError::TooLarge { resource, needed, available, stage, of_stage, hint }
    }
}

/// The lowest price at which `fits` holds, as it does from there on; the dearest if it never does.
fn lowest_price(fits: &dyn Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, DEAREST);
    while low < high {
        let middle = low + (high - low) / 2;
        if fits(middle) { high = middle } else { low = middle + 1 }
    }
    high
}

/// What a plan uses beyond its budget.
struct Overflow {
    resource: &'static str,
    needed: u64,
    available: u64,
    used: estimate::Estimate,
}

fn entry(node: &str) -> NodePlan {
    let (memory, mac) = (Memory::Auto, Mac::Auto);
    NodePlan { node: node.into(), pe: 1, simd: 1, memory, mac, lines: memory, fifo: None, forks: vec![] }
}

/// All ways to build node `i`, alone: those that another one beats in everything are left out.
fn choices(network: &Network, empty: &Plan, i: usize, mac: Mac, sprams: bool) -> Vec<Choice> {
    let limits = limits(network, i).expect("a node that folds");
    let weight_bits = network.nodes()[i].layer.weight_bits();
    let places = [Memory::Block, Memory::Distributed];
    let of_weights = [Memory::Block, Memory::Distributed, Memory::Spram];
    let weights = match weight_bits {
        Some(_) => &of_weights[..if sprams { 3 } else { 2 }],
        None => &[Memory::Auto],
    };
    let mut found: Vec<Choice> = vec![];
    for pe in divisors(limits.outputs) {
        for simd in divisors(limits.inputs) {
            for (&memory, lines) in weights.iter().flat_map(|memory| places.map(|lines| (memory, lines))) {
                let fits = weight_bits.is_some_and(|bits| mac.fits(simd, bits.into()));
                let mac = if fits { mac } else { Mac::Auto };
                let entry = NodePlan { pe, simd, memory, mac, lines, ..entry(&network.nodes()[i].name) };
                if memory == Memory::Spram && check_entry(network, i, &entry).is_err() {
                    continue;
                }
                let stages = pipeline::alone(network, empty, i, &entry);
                let cycles = stages.iter().map(|stage| match &stage.kind {
                    Kind::Window(w) => {
                        let taken = w.map.height * w.map.width * w.pixel_beats();
                        w.operations().max(taken as u64)
                    }
                    _ => 0,
                });
                let cycles = cycles.max().expect("a node has stages");
                let resources = estimate::total(&stages);
                let rom = stages.iter().map(estimate::rom_luts).sum();
                found.push(Choice { entry, cycles, resources, rom });
            }
        }
    }
    let beats = |a: &Choice, b: &Choice| {
        let key =
            |c: &Choice| [c.cycles, c.resources.lut, c.resources.ff, c.resources.bram, c.resources.spram];
        let (a, b) = (key(a), key(b));
        a != b && a.iter().zip(&b).all(|(a, b)| a <= b)
    };
    let kept = found.iter().filter(|choice| !found.iter().any(|other| beats(other, choice)));
    kept.cloned().collect()
}

fn divisors(n: usize) -> impl Iterator<Item = usize> {
    (1..=n).filter(move |&d| n.is_multiple_of(d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing;
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
        let luts = |plan: &Plan| estimate::total(&pipeline::lower(&network, plan));
        assert_eq!(luts(&ample).dsp, 0, "while LUTs suffice no DSP is used");
        let lut = luts(&ample).lut * 9 / 10;
        let with = |dsp| choose(&network, &Target { budget: Budget { lut, dsp, ..Budget::NONE }, ..target });
        assert!(matches!(with(0), Err(FoldError::TooLarge { resource: "LUTs", .. })));
        let used = luts(&with(40).unwrap());
        assert!(used.lut <= lut && (1..=40).contains(&used.dsp), "{used:?}");
    }

    #[test]
    fn weights_go_to_sprams_where_all_else_is_full() {
        let device = Device::find("ice40-up5k").unwrap();
        let of = |name: &str| {
            let network = dq_net::topology::build(name, 1).unwrap();
            let (output, clock_mhz, mac) = (Output::Label, 24, Mac::Auto);
            let (device, budget, frames_per_second) = (Some(device), device.budget(), None);
            let plan =
                choose(&network, &Target { output, clock_mhz, frames_per_second, device, budget, mac });
            (plan.unwrap(), network)
        };
        let (small, _) = of("lenet:w2a2");
        assert!(!small.boots(), "what fits without needs no flash");
        let (large, network) = of("mlp:w2a2");
        let used = estimate::estimate(&pipeline::lower(&network, &large)).total;
        assert!(large.boots() && device.budget().overflow(used).is_none(), "{used:?}");
        large.check(&network).unwrap();
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
            clock_mhz: 100,
            frames_per_second: None,
            device: Some(device),
            budget: device.budget(),
            mac: Mac::Auto,
        };
        let fastest = choose(&network, &target).unwrap();
        let used = |plan: &Plan| estimate::estimate(&pipeline::stages(&network, plan).unwrap()).total;
        assert_eq!(target.budget.overflow(used(&fastest)), None, "{:?}", used(&fastest));
        let frames =
            |plan: &Plan| 100_000_000 / timing::timing(&pipeline::stages(&network, plan).unwrap()).interval;
        // A slower one takes less, a faster one does not fit.
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
