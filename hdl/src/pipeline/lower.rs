//! Lowering: which stages a node becomes, on which lanes, how deep. The only place that chooses latencies and depths.

use super::wires::wires;
use super::{Fold, Kind, Lanes, Mvau, Stage, Window};
use crate::names;
use crate::plan::{Control, Memory, Output, Plan, limits};
use crate::stage::{dot, mvau};
use dq_net::layer::{Layer, window::Axis};
use dq_net::{Network, Range, Shape, Wire};

/// The stages of `network` under `plan`, in stream order: ingress first, egress last.
///
/// # Panics
/// If `plan` was not checked against `network`.
pub fn stages(network: &Network, plan: &Plan) -> Vec<Stage> {
    plan.check(network).unwrap_or_else(|error| panic!("plan not checked: {error}"));
    let names = names::of_nodes(network);
    let shape = network.input_shape();
    let wires = wires(network, plan);
    let pixel = Lanes::new(shape.channels, Range::levels(8));
    let mut chain = Chain { stages: vec![], lanes: pixel, spacing: 1 };
    let beats = shape.height * shape.width;
    chain.push(&names[0], 0, Kind::Ingress { beats }, pixel, 1, 1);
    for (i, node) in network.nodes().iter().enumerate().skip(1) {
        let (from, to) = (wires[i - 1], wires[i]);
        let name = &names[i];
        let before = chain.stages.len();
        match &node.layer {
            Layer::Input(_) => unreachable!("checked: the input is the first node"),
            Layer::Mix(_) | Layer::Rescale(_) | Layer::BitDepth(_) | Layer::Median(_) => {
                unreachable!("refused by the plan")
            }
            Layer::Conv(conv) => {
                let axes = conv.axes();
                chain.multiply(name, i, from, to, axes, conv.groups, conv.weight_bits, network, plan);
            }
            Layer::Dense(dense) => {
                chain.multiply(name, i, from, to, whole(from.shape), 1, dense.weight_bits, network, plan);
            }
            Layer::Step(_) => {
                let folds = to.shape.channels / chain.lanes.count;
                let bits = to.range.bits() as usize;
                let latency = 2 * bits.div_ceil(2) as u64 + 1;
                let output = Lanes { count: chain.lanes.count, bits, signed: false };
                chain.push(name, i, Kind::Step { folds, range: from.range }, output, latency, 1);
            }
            Layer::MaxPool(pool) => {
                chain.reduce(name, i, from, to, pool.axes(), Fold::Max, entry_simd(network, plan, i));
            }
            Layer::SumPool(pool) => {
                chain.reduce(name, i, from, to, pool.axes(), Fold::Sum, entry_simd(network, plan, i));
            }
            Layer::GlobalSum(_) => {
                let pixels = from.shape.height * from.shape.width;
                let chunks = from.shape.channels / chain.lanes.count;
                let output = Lanes::new(chain.lanes.count, to.range);
                chain.push(name, i, Kind::GlobalSum { pixels, chunks }, output, 2, 1);
            }
            Layer::Logits(logits) => {
                let classes = logits.bias.len();
                chain.convert(name, i, 1);
                // A bias that can be loaded is read from a memory.
                let latency = if plan.control == Control::Load { 3 } else { 2 };
                chain.push(name, i, Kind::Bias { classes }, Lanes::new(1, to.range), latency, 1);
                let mut beats = classes;
                if plan.output == Output::Label {
                    let label = Lanes::new(1, Range::new(0, classes as i64 - 1));
                    chain.push(&format!("{name}_argmax"), i, Kind::ArgMax { classes }, label, 2, classes);
                    beats = 1;
                }
                let lanes = chain.lanes;
                let bytes = Lanes { bits: lanes.bits.next_multiple_of(8), ..lanes };
                chain.push(&format!("{name}_egress"), i, Kind::Egress { beats }, bytes, 1, 1);
            }
        }
        if let Some(entry) = plan.node(&node.name) {
            for stage in &mut chain.stages[before..] {
                stage.memory = entry.memory;
            }
            let last = chain.stages.last_mut().expect("every node has a stage");
            last.depth = entry.fifo.unwrap_or(last.depth);
        }
    }
    for stage in &mut chain.stages {
        stage.controlled = match stage.kind {
            Kind::Ingress { .. } => plan.control != Control::None,
            Kind::Mvau(_) | Kind::Step { .. } | Kind::Bias { .. } => plan.control == Control::Load,
            _ => false,
        };
    }
    chain.stages
}

/// The whole map as one window: how a dense layer reads.
pub fn whole(shape: Shape) -> (Axis, Axis) {
    let axis = |kernel| Axis { kernel, stride: 1, before: 0, after: 0 };
    (axis(shape.height), axis(shape.width))
}

fn entry_simd(network: &Network, plan: &Plan, i: usize) -> usize {
    plan.node(&network.nodes()[i].name).expect("checked: folding nodes have an entry").simd
}

/// The chain so far, and what leaves it.
struct Chain {
    stages: Vec<Stage>,
    lanes: Lanes,
    /// Cycles between beats at full rate, at least.
    spacing: usize,
}

impl Chain {
    /// Adds a stage that gives a beat every `beats` input beats at most.
    fn push(&mut self, name: &str, node: usize, kind: Kind, output: Lanes, latency: u64, beats: usize) {
        let split = matches!(kind, Kind::Narrow { .. } | Kind::Egress { .. } | Kind::Window(_));
        self.spacing = if split { 1 } else { self.spacing * beats };
        let depth = (latency as usize + 1).div_ceil(self.spacing).max(2);
        let input = self.lanes;
        self.lanes = output;
        let memory = Memory::Auto;
        let controlled = false;
        self.stages.push(Stage {
            name: name.into(),
            node,
            kind,
            input,
            output,
            latency,
            depth,
            memory,
            controlled,
        });
    }

    /// Converts to `count` lanes: directly where one count divides the other, else through their common divisor.
    fn convert(&mut self, name: &str, node: usize, count: usize) {
        let common = gcd(self.lanes.count, count);
        if common < self.lanes.count {
            let (ratio, lanes) = (self.lanes.count / common, Lanes { count: common, ..self.lanes });
            self.push(&format!("{name}_narrow"), node, Kind::Narrow { ratio }, lanes, 1, 1);
        }
        if common < count {
            let (ratio, lanes) = (count / common, Lanes { count, ..self.lanes });
            self.push(&format!("{name}_widen"), node, Kind::Widen { ratio }, lanes, 1, ratio);
        }
    }

    /// The window in front of a multiply-accumulate or a pool, on `simd` lanes.
    #[expect(clippy::too_many_arguments, reason = "the fields of a window, each from its own source")]
    fn window(
        &mut self,
        name: &str,
        node: usize,
        map: Shape,
        to: Shape,
        axes: (Axis, Axis),
        groups: usize,
        folds: usize,
        simd: usize,
    ) -> Window {
        self.convert(name, node, simd);
        let (rows, columns) = axes;
        let output = [to.height, to.width];
        let chunks = map.channels / groups / simd;
        let mut window = Window { map, rows, columns, output, groups, folds, chunks, ring: 0 };
        // The rows in use and those that arrive meanwhile, so that a frame's end does not wait for the next one.
        window.ring =
            rows.kernel.min(map.height) + rows.stride.min(map.height).max(window.jump().max(0) as usize);
        self.push(&format!("{name}_window"), node, Kind::Window(window), self.lanes, 3, 1);
        window
    }

    #[expect(clippy::too_many_arguments, reason = "convolution and dense layer meet here")]
    fn multiply(
        &mut self,
        name: &str,
        node: usize,
        from: Wire,
        to: Wire,
        axes: (Axis, Axis),
        groups: usize,
        weight_bits: u8,
        network: &Network,
        plan: &Plan,
    ) {
        let entry = plan.node(&network.nodes()[node].name).expect("checked: folding nodes have an entry");
        let (pe, simd) = (entry.pe, entry.simd);
        let folds = limits(network, node).expect("a folding node").outputs / pe;
        let window = self.window(name, node, from.shape, to.shape, axes, groups, folds, simd);
        let mvau = Mvau {
            pe,
            simd,
            taps: window.chunks * window.taps(),
            folds: groups * folds,
            level_bits: from.range.bits() as usize,
            weight_bits: weight_bits.into(),
        };
        let (words, word) = (mvau.folds * mvau.taps, pe * simd * mvau.weight_bits);
        let latency = dot::latency(simd, mvau.weight_bits) + 3 + mvau::levels(words, word, entry.memory);
        self.push(name, node, Kind::Mvau(mvau), Lanes::new(pe, to.range), latency, mvau.taps);
    }

    #[expect(clippy::too_many_arguments, reason = "two kinds of pool meet here")]
    fn reduce(
        &mut self,
        name: &str,
        node: usize,
        from: Wire,
        to: Wire,
        axes: (Axis, Axis),
        fold: Fold,
        simd: usize,
    ) {
        let taps = self.window(name, node, from.shape, to.shape, axes, 1, 1, simd).taps();
        self.push(name, node, Kind::Reduce { fold, taps }, Lanes::new(simd, to.range), 2, taps);
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
