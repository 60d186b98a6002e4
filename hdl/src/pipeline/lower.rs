//! Lowering: which stages a node becomes, on which lanes, how deep. The only place that chooses latencies and depths.

use super::build::{Build, Stream};
use super::{Fold, Kind, Lanes, Mvau, Stage};
use crate::names;
use crate::plan::wires::wires;
use crate::plan::{Control, Memory, NodePlan, Output, Plan, PlanError, limits};
use crate::stage::{bit_depth, dot, median, mix, mvau, rescale, step};
use crate::timing::{Timing, size};
use dq_net::layer::{Layer, window::Axis};
use dq_net::{Network, Range, Shape, Wire};

/// The stages of `network` under `plan`, in topological order: ingress first, egress last. FIFOs that the plan leaves
/// open have the fewest places that keep full throughput; an error where those that it names deadlock.
///
/// # Panics
/// If `plan` was not checked against `network`.
pub fn stages(network: &Network, plan: &Plan) -> Result<Vec<Stage>, PlanError> {
    timed(network, plan).map(|(stages, _)| stages)
}

/// [`stages`] and their timing, which the sizes of FIFOs come from.
pub(crate) fn timed(network: &Network, plan: &Plan) -> Result<(Vec<Stage>, Timing), PlanError> {
    let mut stages = lower(network, plan);
    let timing = size::size(&mut stages, |node| {
        let name = &network.nodes()[node].name;
        (name.clone(), plan.node(name).is_some_and(|entry| !entry.forks.is_empty()))
    })?;
    Ok((stages, timing))
}

/// As [`stages`], but forks whose FIFOs the plan leaves open have as few places as can be, whatever comes of it.
pub(crate) fn lower(network: &Network, plan: &Plan) -> Vec<Stage> {
    plan.check(network).unwrap_or_else(|error| panic!("plan not checked: {error}"));
    let names = names::of_nodes(network);
    let wires = wires(network, plan);
    let mut build = Build::new(plan.family());
    for (i, node) in network.nodes().iter().enumerate() {
        (build.name, build.node) = (names[i].clone(), i);
        let before = build.stages.len();
        let inputs: Vec<Stream> = network.sources(i).iter().map(|&source| build.read(source)).collect();
        let stream = node_stages(&mut build, network, plan, &wires, i, &inputs);
        let entry = plan.node(&node.name);
        if let Some(depth) = entry.and_then(|entry| entry.fifo) {
            build.stages.last_mut().expect("every node has a stage").depths = vec![depth];
        }
        let forks = entry.map_or(&[][..], |entry| &entry.forks);
        let readers = network.readers(i).len();
        let least = vec![2; readers];
        build.end(stream, readers, if forks.is_empty() { &least } else { forks });
        for stage in &mut build.stages[before..] {
            if let Some(entry) = entry {
                place(stage, entry);
            }
        }
    }
    for stage in &mut build.stages {
        stage.controlled = match stage.kind {
            Kind::Ingress { .. } => plan.control != Control::None,
            Kind::Mvau(_) | Kind::Step { .. } | Kind::Bias { .. } => plan.control == Control::Load,
            _ => false,
        };
    }
    build.stages
}

/// The stages of node `i`, which folds as `entry` says, alone: fed with the lanes that it takes. `plan` needs no entries.
pub(crate) fn alone(network: &Network, plan: &Plan, i: usize, entry: &NodePlan) -> Vec<Stage> {
    let wires: Vec<Wire> = (0..=i).map(|i| network.wire(i)).collect();
    let mut build = Build::new(plan.family());
    (build.name, build.node) = (entry.node.clone(), i);
    let feed = Build::feed(Lanes::new(entry.simd, wires[network.sources(i)[0]].range));
    let plan = Plan { nodes: vec![entry.clone()], ..plan.clone() };
    node_stages(&mut build, network, &plan, &wires, i, &[feed]);
    for stage in &mut build.stages {
        place(stage, entry);
    }
    build.stages
}

/// Where the memories of a stage live.
fn place(stage: &mut Stage, entry: &NodePlan) {
    let lines = matches!(stage.kind, Kind::Window(_));
    stage.memory = if lines { entry.lines } else { entry.memory };
}

/// Adds the stages of node `i`, which reads `inputs`, and gives its stream.
fn node_stages(
    build: &mut Build,
    network: &Network,
    plan: &Plan,
    wires: &[Wire],
    i: usize,
    inputs: &[Stream],
) -> Stream {
    let to = wires[i];
    let sources = network.sources(i);
    let from = sources.first().map_or(to, |&source| wires[source]);
    let entry = |i: usize| plan.node(&network.nodes()[i].name).expect("checked: folding nodes have an entry");
    match &network.nodes()[i].layer {
        Layer::Input(input) => {
            let pixel = Lanes::new(input.shape.channels, Range::levels(8));
            let beats = input.shape.height * input.shape.width;
            build.push("", Kind::Ingress { beats }, &[], pixel, 1, 1)
        }
        Layer::Conv(conv) => {
            let (axes, bits) = (conv.axes(), conv.weight_bits);
            multiply(build, inputs[0], from, to, axes, conv.groups, bits, network, plan)
        }
        Layer::Dense(dense) => {
            let bits = dense.weight_bits;
            multiply(build, inputs[0], from, to, whole(from.shape), 1, bits, network, plan)
        }
        Layer::Step(step) => {
            let count = inputs[0].lanes.count;
            let folds = to.shape.channels / count;
            let bits = to.range.bits() as usize;
            let memory = plan.node(&build.name).map_or(Memory::Auto, |entry| entry.memory);
            let loaded = plan.control == Control::Load;
            let latency =
                step::Search::new(step, from.range, count, folds, loaded, memory, build.family).latency();
            let output = Lanes { count, bits, signed: false };
            build.push("", Kind::Step { folds, range: from.range }, inputs, output, latency, 1)
        }
        Layer::MaxPool(pool) => reduce(build, inputs[0], from, to, pool.axes(), Fold::Max, entry(i)),
        Layer::SumPool(pool) => reduce(build, inputs[0], from, to, pool.axes(), Fold::Sum, entry(i)),
        Layer::Mix(mix) => {
            // The wider stream is narrowed: the other one has no more lanes and is fast enough.
            let count = inputs[0].lanes.count.min(inputs[1].lanes.count);
            let x = build.convert("_x", inputs[0], count);
            let y = build.convert("_y", inputs[1], count);
            let ranges = [from.range, wires[sources[1]].range];
            let kind = Kind::Mix { other: y.lanes, ranges, terms: mix::terms(mix) };
            build.push("", kind, &[x, y], Lanes::new(count, to.range), mix::latency(mix), 1)
        }
        Layer::Rescale(layer) => {
            let lanes = inputs[0].lanes;
            let folds = to.shape.channels / lanes.count;
            let terms = rescale::terms(layer, lanes, folds);
            let kind = Kind::Rescale { folds, range: from.range, terms };
            let latency = rescale::latency(terms, folds);
            build.push("", kind, inputs, Lanes::new(lanes.count, to.range), latency, 1)
        }
        Layer::BitDepth(layer) => {
            let bits = layer.bits.into();
            let output = Lanes::new(inputs[0].lanes.count, to.range);
            build.push("", Kind::BitDepth { bits }, inputs, output, bit_depth::latency(bits), 1)
        }
        Layer::Median(_) => {
            let lanes = inputs[0].lanes;
            let Shape { height, width, channels } = to.shape;
            let kind = Kind::Median { height, width, chunks: channels / lanes.count };
            build.push("", kind, inputs, lanes, median::LATENCY, 1)
        }
        Layer::GlobalSum(_) => {
            let count = inputs[0].lanes.count;
            let pixels = from.shape.height * from.shape.width;
            let chunks = from.shape.channels / count;
            let output = Lanes::new(count, to.range);
            build.push("", Kind::GlobalSum { pixels, chunks }, inputs, output, 2, 1)
        }
        Layer::Logits(logits) => {
            let classes = logits.bias.len();
            let stream = build.convert("", inputs[0], 1);
            let scores = Lanes::new(1, to.range);
            // A bias that can be loaded is read from a memory.
            let latency = if plan.control == Control::Load { 3 } else { 2 };
            let mut stream = build.push("", Kind::Bias { classes }, &[stream], scores, latency, 1);
            let mut beats = classes;
            if plan.output == Output::Label {
                let label = Lanes::new(1, Range::new(0, classes as i64 - 1));
                stream = build.push("_argmax", Kind::ArgMax { classes }, &[stream], label, 2, classes);
                beats = 1;
            }
            let lanes = stream.lanes;
            let bytes = Lanes { bits: lanes.bits.next_multiple_of(8), ..lanes };
            build.push("_egress", Kind::Egress { beats }, &[stream], bytes, 1, 1)
        }
    }
}

/// The whole map as one window: how a dense layer reads.
pub fn whole(shape: Shape) -> (Axis, Axis) {
    let axis = |kernel| Axis { kernel, stride: 1, before: 0, after: 0 };
    (axis(shape.height), axis(shape.width))
}

#[expect(clippy::too_many_arguments, reason = "convolution and dense layer meet here")]
fn multiply(
    build: &mut Build,
    stream: Stream,
    from: Wire,
    to: Wire,
    axes: (Axis, Axis),
    groups: usize,
    weight_bits: u8,
    network: &Network,
    plan: &Plan,
) -> Stream {
    let node = build.node;
    let entry = plan.node(&network.nodes()[node].name).expect("checked: folding nodes have an entry");
    let (pe, simd) = (entry.pe, entry.simd);
    let folds = limits(network, node).expect("a folding node").outputs / pe;
    let loaded = plan.control == Control::Load;
    let (stream, window) = build.window(stream, from.shape, to.shape, axes, groups, folds, simd, entry.lines);
    let mvau = Mvau {
        pe,
        simd,
        taps: window.chunks * window.taps(),
        folds: groups * folds,
        level_bits: from.range.bits() as usize,
        weight_bits: weight_bits.into(),
        mac: dot::choose(
            entry.mac,
            build.family,
            simd,
            from.range.bits() as usize,
            weight_bits.into(),
            loaded,
        ),
    };
    let (words, word) = (mvau.folds * mvau.taps, pe * simd * mvau.weight_bits);
    let dot = mvau::dot(&mvau, to.range.bits() as usize);
    let latency = dot.latency() + 3 + mvau::levels(words, word, entry.memory, build.family);
    build.push("", Kind::Mvau(mvau), &[stream], Lanes::new(pe, to.range), latency, mvau.taps)
}

fn reduce(
    build: &mut Build,
    stream: Stream,
    from: Wire,
    to: Wire,
    axes: (Axis, Axis),
    fold: Fold,
    entry: &NodePlan,
) -> Stream {
    let simd = entry.simd;
    let (stream, window) = build.window(stream, from.shape, to.shape, axes, 1, 1, simd, entry.lines);
    let taps = window.taps();
    build.push("", Kind::Reduce { fold, taps }, &[stream], Lanes::new(simd, to.range), 2, taps)
}
