//! Fits a plan to a budget: takes the cheapest choice per node at a price of a block RAM in LUTs (a Lagrange
//! multiplier), which moves until the plan fits; then uses DSP blocks and SPRAMs, where nothing else helps.

use super::check::limits;
use super::choice::{Choice, choices, window_cycles};
use super::data::{Control, Mac, Memory, NodePlan, PLAN_VERSION, Plan};
use super::target::Target;
use crate::device::{Budget, Device, Resources};
use crate::estimate::{self, Estimate, StageEstimate};
use crate::pipeline::detector::PASSES;
use crate::pipeline::lower::Model;
use dq_net::Network;

/// Price of a block RAM, in LUTs, where nothing says how many of either there are.
const PRICE: u64 = 200;
/// A price above which no choice changes any more.
const DEAREST: u64 = 1 << 14;
/// Price of a resource that is not to be used.
const NEVER: u64 = 1 << 40;
/// Number of prices of weights from outside that are tried, each twice the one before.
const STREAM_PRICES: u64 = 48;
/// Name of what comes from outside, as a resource.
pub const TRAFFIC: &str = "kB/s of weights from outside";
/// Share of a device's LUTs, in percent, that can be filled, and that the fastest plan fills: fuller devices
/// route badly.
pub const FILL: u64 = 75;

/// Holds the choices of every node that folds.
pub struct Choices<'a> {
    pub model: Model<'a>,
    pub target: &'a Target,
    pub nodes: Vec<Vec<Choice>>,
    /// What the budget leaves to FIFOs behind forks, whose depths only a whole plan tells.
    pub forks: Resources,
}

/// Says what a plan uses beyond its budget.
pub struct Overflow {
    pub resource: &'static str,
    pub needed: u64,
    pub available: u64,
    /// What each stage uses of it.
    pub stages: Vec<(String, u64)>,
}

impl Overflow {
    /// Describes that more of a resource is needed than there is: its name, both amounts, and what all stages
    /// use.
    pub fn new((resource, needed, available): (&'static str, u64, u64), used: &Estimate) -> Overflow {
        let of = |stage: &StageEstimate| (stage.stage.clone(), amount(resource, &stage.resources));
        Overflow { resource, needed, available, stages: used.stages.iter().map(of).collect() }
    }
}

/// Holds the prices by which choices are compared, in LUTs.
#[derive(Clone, Copy)]
pub struct Prices {
    /// Of a block RAM, and of an SPRAM.
    pub bram: u64,
    pub spram: u64,
    /// Of 2^20 bytes of weights that come from outside for a frame.
    pub stream: u64,
}

/// Returns a plan for `target` without entries.
fn empty(target: &Target) -> Plan {
    Plan {
        version: PLAN_VERSION,
        output: target.output,
        clock_mhz: target.clock_mhz,
        device: target.device.map(|device| device.name.into()),
        detector: target.detector,
        proved_radius: None,
        control: Control::None,
        nodes: vec![],
    }
}

impl<'a> Choices<'a> {
    /// Returns all choices of the nodes of `network`.
    pub fn new(network: &'a Network, target: &'a Target) -> Self {
        let (model, empty) = (Model::new(network), empty(target));
        let folding = (0..network.nodes().len()).filter(|&i| limits(network, i).is_some());
        let mut nodes: Vec<Vec<Choice>> = folding.map(|i| choices(&model, &empty, i, target)).collect();
        if target.detector.is_some() {
            nodes.iter_mut().flatten().for_each(|choice| choice.cycles *= PASSES as u64);
        }
        Choices { model, target, nodes, forks: Resources::default() }
    }

    /// Returns what everything but the FIFOs behind forks may use.
    pub fn budget(&self) -> Budget {
        let (all, forks) = (self.target.budget, self.forks);
        let less =
            |amount: u64, taken| if amount == u64::MAX { amount } else { amount.saturating_sub(taken) };
        Budget {
            lut: less(all.lut, forks.lut),
            ff: less(all.ff, forks.ff),
            bram: less(all.bram, forks.bram),
            ..all
        }
    }

    /// Leaves room for the FIFOs behind the forks of `plan`, whose whole circuit takes `used`; false where
    /// there was as much already.
    pub fn leave_room(&mut self, plan: &Plan, used: Resources) -> bool {
        let bare = |node: &NodePlan| NodePlan { forks: vec![], ..node.clone() };
        let bare = Plan { nodes: plan.nodes.iter().map(bare).collect(), ..plan.clone() };
        let (Resources { lut, ff, bram, .. }, before) = (self.resources(&bare).total, self.forks);
        let forks = &mut self.forks;
        forks.lut = forks.lut.max(used.lut.saturating_sub(lut));
        forks.ff = forks.ff.max(used.ff.saturating_sub(ff));
        forks.bram = forks.bram.max(used.bram.saturating_sub(bram));
        *forks != before
    }

    /// Returns the plan of the cheapest choices within `cycles`, at `prices`; where a node has none, its
    /// fastest.
    pub fn choose(&self, cycles: u64, prices: Prices) -> Plan {
        let cost = |r: Resources| r.lut + r.ff / 2 + prices.bram * r.bram + prices.spram * r.spram;
        let of_traffic = |bytes: u64| {
            (u128::from(bytes) * u128::from(prices.stream)).div_ceil(1 << 20).min(1 << 60) as u64
        };
        let best = |choices: &Vec<Choice>| {
            let key = |choice: &&Choice| {
                let cost = cost(choice.resources) + choice.rom + of_traffic(choice.traffic);
                let slow = choice.cycles > cycles;
                if slow { (true, choice.cycles, cost) } else { (false, cost, choice.cycles) }
            };
            choices.iter().min_by_key(key).expect("a node has choices").entry.clone()
        };
        let mut plan = Plan { nodes: self.nodes.iter().map(best).collect(), ..empty(self.target) };
        self.place_tables(&mut plan, &cost);
        plan
    }

    /// Chooses where the tables of constants live, which depends on the lanes that the other entries give
    /// their stages.
    fn place_tables(&self, plan: &mut Plan, cost: &dyn Fn(Resources) -> u64) {
        for mut stage in self.model.lower(plan) {
            if !stage.kind.has_table() {
                continue;
            }
            let [blocks, luts] = [Memory::Block, Memory::Distributed].map(|memory| {
                stage.site.memory = memory;
                cost(stage.resources())
            });
            let memory = if luts <= blocks { Memory::Distributed } else { Memory::Block };
            let node = &self.model.network.nodes()[stage.site.node].name;
            plan.nodes.push(NodePlan { memory, ..NodePlan::new(node) });
        }
    }

    /// Returns the resources of `plan`, FIFOs behind forks aside.
    fn resources(&self, plan: &Plan) -> Estimate {
        estimate::estimate(&self.model.lower(plan))
    }

    /// Returns the cheapest plan of at most `cycles` per stage that fits `budget`; else what overflows, with
    /// the plan at fault.
    pub fn fit(&self, cycles: u64, budget: &Budget) -> Result<Plan, Box<(Plan, Overflow)>> {
        let priced = |bram| {
            let plan = self.choose(cycles, Prices { bram, spram: NEVER, stream: NEVER });
            let used = self.resources(&plan);
            (plan, used)
        };
        // A block RAM is worth its share of the LUTs that can be filled.
        let price = match (budget.lut, budget.bram) {
            (u64::MAX, _) | (_, 0 | u64::MAX) => PRICE,
            (lut, bram) => (lut / 100 * FILL / bram).min(DEAREST),
        };
        let (plan, used) = priced(price);
        if budget.overflow(used.total).is_none() {
            return Ok(plan);
        }
        if let Some(plan) = self.with_dsps(&plan, budget) {
            return Ok(plan);
        }
        // The dearer block RAMs are, the fewer of them and the more LUTs a plan uses: the lowest price at
        // which the block RAMs suffice is the best for the LUTs.
        let (plan, used) = priced(lowest_price(&|price| priced(price).1.total.bram <= budget.bram));
        match budget.overflow(used.total) {
            None => Ok(plan),
            Some(found) => {
                if let Some(plan) = self.with_dsps(&plan, budget).or_else(|| self.with_sprams(cycles, budget))
                {
                    return Ok(plan);
                }
                if self.target.stream.is_none() {
                    return Err(Box::new((plan, Overflow::new(found, &used))));
                }
                self.with_streams(cycles, price, budget)
                    .and_then(|streamed| self.within_bandwidth(cycles, streamed))
                    .map_err(Box::new)
            }
        }
    }

    /// Returns `plan` with products in DSP blocks, the nodes first where a block saves most, until its LUTs
    /// fit; none if they never do, if something else overflows, or if nobody said how many blocks there are.
    fn with_dsps(&self, plan: &Plan, budget: &Budget) -> Option<Plan> {
        let lacks_blocks = self.target.device.is_some_and(Device::lacks_dsps);
        if matches!(budget.dsp, 0 | u64::MAX) || lacks_blocks || self.target.mac != Mac::Auto {
            return None;
        }
        let empty = Plan { nodes: vec![], ..plan.clone() };
        let mut savings: Vec<(u64, u64, usize)> = vec![];
        for (at, entry) in plan.nodes.iter().enumerate() {
            let i = self.model.network.nodes().iter().position(|node| node.name == entry.node)?;
            let weight_bits = self.model.network.nodes()[i].layer.weight_bits();
            if !weight_bits.is_some_and(|bits| Mac::Dsp.fits(entry.simd, bits.into())) {
                continue;
            }
            let built =
                |mac| estimate::total(&self.model.alone(&empty, i, &NodePlan { mac, ..entry.clone() }));
            let (before, after) = (built(entry.mac), built(Mac::Dsp));
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

    /// Returns the cheapest plan of at most `cycles` per stage that fits `budget` with weights in SPRAM, if
    /// one does: of block RAMs and of SPRAMs as many as there are, each at the lowest price at which they
    /// suffice.
    fn with_sprams(&self, cycles: u64, budget: &Budget) -> Option<Plan> {
        if !(1..u64::MAX).contains(&budget.spram) {
            return None;
        }
        let priced = |bram, spram| {
            let plan = self.choose(cycles, Prices { bram, spram, stream: NEVER });
            let used = self.resources(&plan).total;
            (plan, used)
        };
        let enough_sprams = |price| {
            let suffices = |spram_price| priced(price, spram_price).1.spram <= budget.spram;
            priced(price, lowest_price(&suffices))
        };
        let price = lowest_price(&|price| enough_sprams(price).1.bram <= budget.bram);
        let (plan, used) = enough_sprams(price);
        budget.overflow(used).is_none().then_some(plan)
    }

    /// Returns the plan of at most `cycles` per stage that fits `budget` with weights from outside, or what
    /// overflows even where all that can does: with as few bytes of them as can be, at `price` LUTs per block
    /// RAM or, where block RAMs run out, at the lowest price at which they suffice.
    fn with_streams(&self, cycles: u64, price: u64, budget: &Budget) -> Result<Plan, (Plan, Overflow)> {
        let fitting = |stream: u64| {
            let priced = |bram| {
                let plan = self.choose(cycles, Prices { bram, spram: NEVER, stream });
                let used = self.resources(&plan);
                (plan, used)
            };
            let (plan, used) = priced(price);
            if budget.overflow(used.total).is_none() {
                return Ok(plan);
            }
            let suffices = |price| priced(price).1.total.bram <= budget.bram;
            let (plan, used) = priced(lowest_price(&suffices));
            match budget.overflow(used.total) {
                None => Ok(plan),
                Some(found) => Err((plan, Overflow::new(found, &used))),
            }
        };
        // The dearer the bytes, the fewer come from outside.
        let (mut low, mut high) = (0, STREAM_PRICES);
        let mut best = fitting(0)?;
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            match fitting(1 << middle) {
                Ok(plan) => (best, low) = (plan, middle),
                Err(_) => high = middle,
            }
        }
        Ok(best)
    }

    /// Returns `plan` if its weights from outside come fast enough for a frame in `cycles` or, where no speed
    /// was asked for, for as many as it can; else what they need beyond that.
    fn within_bandwidth(&self, cycles: u64, plan: Plan) -> Result<Plan, (Plan, Overflow)> {
        let most = self.target.stream.map_or(u64::MAX, |stream| stream.bytes_per_second);
        let lowered = self.model.lower(&plan);
        let passes = if plan.detector.is_some() { PASSES as u64 } else { 1 };
        let cycles = match self.target.frames_per_second {
            Some(_) => cycles,
            None => passes * lowered.iter().map(window_cycles).max().unwrap_or(cycles),
        };
        let per_second = |bytes: u64| {
            let rate = u128::from(bytes) * u128::from(self.target.clock()) / u128::from(cycles.max(1));
            rate.min(u64::MAX.into()) as u64
        };
        let ports = lowered.iter().filter_map(|stage| Some((stage, stage.kind.weight_port()?.round())));
        let bytes: Vec<(String, u64)> =
            ports.map(|(stage, round)| (stage.site.name.clone(), round.frame_bytes())).collect();
        let needed = per_second(bytes.iter().map(|(_, bytes)| bytes).sum());
        if needed <= most {
            return Ok(plan);
        }
        let stages = bytes.into_iter().map(|(stage, bytes)| (stage, per_second(bytes) / 1_000)).collect();
        let (needed, available) = (needed.div_ceil(1_000), most / 1_000);
        Err((plan, Overflow { resource: TRAFFIC, needed, available, stages }))
    }
}

/// Returns how much of `resource` is used.
fn amount(resource: &str, used: &Resources) -> u64 {
    match resource {
        "LUTs" => used.lut,
        "flip-flops" => used.ff,
        "block RAMs" => used.bram,
        "SPRAMs" => used.spram,
        _ => used.dsp,
    }
}

/// Returns the lowest price at which `fits` holds, as it does from there on; the dearest if it never does.
fn lowest_price(fits: &dyn Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, DEAREST);
    while low < high {
        let middle = low + (high - low) / 2;
        if fits(middle) { high = middle } else { low = middle + 1 }
    }
    high
}
