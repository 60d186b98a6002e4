//! Tests networks that are graphs: every reader of a node gets every beat, residuals are joined, FIFOs are as
//! small as can be.

use super::common;
use dq_hdl::design::Design;
use dq_hdl::pipeline::Schedule;
use dq_hdl::plan::{self, NodePlan, Output, Plan};
use dq_hdl::{emit, netlist, stalls::Stalls, timing, timing::timing};
use dq_net::layer::{
    BitDepth, Concat, Conv, Dense, GlobalSum, Input, Layer, Logits, Median, Mix, Rescale, Step, Sum,
    Surrogate,
};
use dq_net::{Network, Node, Range, Shape, Wire, random};
use ndarray::{Array2, Array4};

/// Holds a network that is being drawn.
struct Draw {
    state: u64,
    nodes: Vec<Node>,
    wires: Vec<Wire>,
}

impl Draw {
    fn new(seed: u64, shape: Shape) -> Self {
        let input = Node { name: "input".into(), layer: Layer::Input(Input::pixels(shape)), inputs: vec![] };
        Draw { state: seed, nodes: vec![input], wires: vec![Wire { shape, range: Range::levels(8) }] }
    }

    fn below(&mut self, below: i64) -> i64 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.state >> 33) % below as u64) as i64
    }

    fn push(&mut self, name: &str, layer: Layer, inputs: &[&str]) -> String {
        let name = format!("{name}{}", self.nodes.len());
        let wires: Vec<Wire> = inputs.iter().map(|input| self.wire(input)).collect();
        let shape = layer.kind().shape(&wires.iter().map(|wire| wire.shape).collect::<Vec<_>>()).unwrap();
        self.wires.push(Wire { shape, range: layer.kind().range(&wires).unwrap() });
        let inputs = inputs.iter().map(ToString::to_string).collect();
        self.nodes.push(Node { name: name.clone(), layer, inputs });
        name
    }

    fn wire(&self, name: &str) -> Wire {
        self.wires[self.nodes.iter().position(|node| node.name == name).unwrap()]
    }

    fn conv(&mut self, from: &str, channels: [usize; 2], kernel: usize) -> String {
        let weights = Array4::from_shape_simple_fn((channels[1], kernel, kernel, channels[0]), || {
            (self.below(7) - 3) as i8
        });
        let pad = [kernel / 2; 4];
        let pad_level = self.below(self.wire(from).range.hi + 1) as i32;
        let layer = Layer::Conv(Conv { weights, weight_bits: 3, stride: [1; 2], pad, pad_level, groups: 1 });
        self.push("conv", layer, &[from])
    }

    fn rescale(&mut self, from: &str, channels: usize) -> String {
        let mul = (0..channels).map(|_| self.below(400) as i32 - 100).collect();
        let add = (0..channels).map(|_| self.below(4000) - 2000).collect();
        let layer = Layer::Rescale(Rescale { mul, add, shift: 6, bits: 10, unit: 0.1 });
        self.push("rescale", layer, &[from])
    }

    fn step(&mut self, from: &str, channels: usize) -> String {
        let Range { lo, hi } = self.wire(from).range;
        let at = |(c, t)| lo + (hi - lo) * (t as i64 + 3) / 12 + c as i64;
        let thresholds = Array2::from_shape_fn((channels, 7), at);
        let dir = vec![1; channels];
        let thresholds = Step::clip_thresholds(&thresholds, &dir, Range { lo, hi });
        let surrogate = Surrogate {
            gain: vec![0.1; channels],
            open_lo: vec![0; channels],
            open_hi: vec![9; channels],
            unit: 0.4,
        };
        let layer = Layer::Step(Step { bits: 3, dir, thresholds, surrogate });
        self.push("step", layer, &[from])
    }

    fn end(mut self, from: &str, elements: usize) -> Network {
        let weights = Array2::from_shape_simple_fn((3, elements), || (self.below(7) - 3) as i8);
        let head = self.push("dense", Layer::Dense(Dense { weights, weight_bits: 3 }), &[from]);
        self.push("logits", Layer::Logits(Logits { bias: vec![1, -2, 0], scale: 0.5 }), &[&head]);
        Network::new("graph", self.nodes).expect("a sound network")
    }
}

/// Makes pre-activation residual blocks behind both kinds of feature squeezing.
fn residual(seed: u64, blocks: usize) -> Network {
    let shape = Shape::new(5, 4, 2);
    let channels = 4;
    let mut draw = Draw::new(seed, shape);
    let median = draw.push("median", Layer::Median(Median), &["input"]);
    let squeezed = draw.push("bits", Layer::BitDepth(BitDepth { bits: 1 + (seed % 8) as u8 }), &[&median]);
    let conv = draw.conv(&squeezed, [2, channels], 3);
    let mut x = draw.rescale(&conv, channels);
    for block in 0..blocks {
        let step = draw.step(&x, channels);
        let inner = draw.conv(&step, [channels, channels], 3);
        let inner = draw.step(&inner, channels);
        let y = draw.conv(&inner, [channels, channels], 1 + 2 * (block % 2));
        let y = draw.rescale(&y, channels);
        let a = 1 + draw.below(7) as i32;
        x = draw.push("mix", Layer::Mix(Mix { a, b: 8 - a, shift: 3, bits: 10 }), &[&x, &y]);
    }
    // The last block's branch once more, beside the stream itself: accumulators and fixed point, exactly.
    let step = draw.step(&x, channels);
    let y = draw.conv(&step, [channels, channels], 3);
    let factors = [[1, 1], [3, -1], [-2, -4], [-7, 5]][seed as usize % 4];
    x = draw.push("sum", Layer::Sum(Sum { factors }), &[&x, &y]);
    let step = draw.step(&x, channels);
    draw.end(&step, 5 * 4 * channels)
}

#[test]
fn words_and_cycles_agree_on_residual_networks() {
    for seed in 0..20 {
        let network = residual(seed, 1 + (seed % 3) as usize);
        let design = Design::new(&network, &common::plan(&network, seed)).unwrap();
        let frames = common::frames(&network, 3, seed);
        for stalls in [Stalls::NONE, Stalls::random(seed)] {
            let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}");
        }
    }
}

/// Makes dense blocks: each branch's channels come behind those that it reads, and one more concat joins
/// signed fixed point with levels.
fn dense(seed: u64, blocks: usize) -> Network {
    let mut draw = Draw::new(seed, Shape::new(4, 5, 2));
    let conv = draw.conv("input", [2, 4], 3);
    let (mut x, mut channels) = (draw.step(&conv, 4), 4);
    for block in 0..blocks {
        let growth = 2 + draw.below(3) as usize;
        let y = draw.conv(&x, [channels, growth], 1 + 2 * (block % 2));
        let y = draw.step(&y, growth);
        let inputs = if draw.below(2) == 0 { [&x, &y] } else { [&y, &x] }.map(String::as_str);
        x = draw.push("concat", Layer::Concat(Concat), &inputs);
        channels += growth;
    }
    let y = draw.conv(&x, [channels, channels], 3);
    let y = draw.rescale(&y, channels);
    let both = draw.push("concat", Layer::Concat(Concat), &[&y, &x]);
    let step = draw.step(&both, 2 * channels);
    draw.end(&step, 4 * 5 * 2 * channels)
}

#[test]
fn words_and_cycles_agree_where_streams_are_put_beside_each_other() {
    let mut turns = std::collections::BTreeSet::new();
    for seed in 0..16 {
        let network = dense(seed, 1 + (seed % 3) as usize);
        let design = Design::new(&network, &common::plan(&network, seed)).unwrap();
        turns.extend(design.stages.iter().filter_map(|stage| match stage.schedule() {
            Schedule::Turns { beats } => Some(beats),
            _ => None,
        }));
        let frames = common::frames(&network, 3, seed);
        for stalls in [Stalls::NONE, Stalls::random(seed)] {
            let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}");
        }
    }
    assert!(turns.len() > 5 && turns.contains(&[1, 1]), "{turns:?}");
}

/// Neither stream of a concat waits while the other one passes: the circuit is as fast as its busiest stage.
#[test]
fn a_concat_keeps_up() {
    let mut draw = Draw::new(1, Shape::new(6, 6, 2));
    let [x, y] = [0, 1].map(|_| {
        let conv = draw.conv("input", [2, 8], 1);
        draw.step(&conv, 8)
    });
    let both = draw.push("concat", Layer::Concat(Concat), &[&x, &y]);
    let sum = draw.push("sum", Layer::GlobalSum(GlobalSum), &[&both]);
    draw.push("logits", Layer::Logits(Logits { bias: vec![0; 16], scale: 1.0 }), &[&sum]);
    let network = Network::new("beside", draw.nodes).unwrap();
    let mut plan = plan::default(&network, Output::Label).unwrap();
    let convs = plan.nodes.iter_mut().filter(|node| node.node.starts_with("conv"));
    convs.for_each(|node| (node.pe, node.simd) = (1, 2));
    let timing = Design::new(&network, &plan).unwrap().timing().clone();
    // A pixel takes 8 cycles; the first one of a frame some more.
    assert!(timing.ideal_interval == 6 * 6 * 8 && timing.interval < 6 * 6 * 8 + 8, "{timing:?}");
}

/// With one place less, a FIFO behind a fork lowers the throughput or deadlocks; the netlist agrees.
#[test]
fn no_fifo_of_a_residual_could_be_smaller() {
    let (mut slower, mut deadlocked) = (0, 0);
    for seed in 0..8 {
        let network = residual(seed, 2);
        let plan = common::plan(&network, 3 * seed + 1);
        let design = Design::new(&network, &plan).unwrap();
        assert_eq!(*design.timing(), timing(&design.stages), "the timing is that of the depths found");
        let interval = design.timing().interval;
        let forks = design.stages.iter().filter(|stage| stage.site.depths.len() > 1);
        let forks: Vec<(String, Vec<usize>)> = forks
            .map(|stage| (network.nodes()[stage.site.node].name.clone(), stage.site.depths.clone()))
            .collect();
        assert!(!forks.is_empty());
        // A plan that names all depths gives the same circuit.
        let mut fixed = plan.clone();
        for (node, depths) in &forks {
            entry(&mut fixed, node).forks = depths.clone();
        }
        assert_eq!(Design::new(&network, &fixed).unwrap().timing().interval, interval);
        for (node, depths) in &forks {
            for port in (0..depths.len()).filter(|&port| depths[port] > 2) {
                let mut less = fixed.clone();
                entry(&mut less, node).forks[port] -= 1;
                match Design::new(&network, &less) {
                    Err(error) => {
                        deadlocked += 1;
                        let error = error.to_string();
                        let place = format!("forks[{port}]");
                        assert!(error.contains("deadlock") && error.contains(&place), "seed {seed}: {error}");
                        assert!(error.contains(node), "seed {seed}: {error}");
                    }
                    Ok(design) => {
                        slower += 1;
                        let found = design.timing().interval;
                        assert!(found > interval, "seed {seed}, `{node}` {port}: {found} of {interval}");
                        let frames = common::frames(&network, 3, seed);
                        let outcome = netlist::run(&design, frames.view(), &Stalls::NONE).unwrap();
                        assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE));
                    }
                }
            }
        }
    }
    assert!(slower > 5 && deadlocked > 5, "{slower} slower, {deadlocked} deadlocked");
}

/// Returns the plan's entry of `node`, made if there is none.
fn entry<'a>(plan: &'a mut Plan, node: &str) -> &'a mut NodePlan {
    if plan.node(node).is_none() {
        let text = format!("{{\"node\": \"{node}\"}}");
        plan.nodes.push(serde_json::from_str(&text).unwrap());
    }
    plan.nodes.iter_mut().find(|plan| plan.node == node).unwrap()
}

/// A stage gives its first beat after the first of what it reads, and its last after the last: windows, which
/// begin the next frame early where they read padding, count for their own frame alone.
#[test]
fn each_stage_works_on_a_frame_after_the_stages_that_it_reads() {
    for seed in 0..30 {
        let network = random::network(seed, &random::Options::default());
        let design = Design::new(&network, &plan::default(&network, Output::Scores).unwrap()).unwrap();
        let (timing, graph) = (timing(&design.stages), emit::report(&design).graph);
        for (stage, time) in graph.iter().zip(&timing.stages) {
            assert!(time.first <= time.last, "seed {seed}: {time:?}");
            for &[from, port] in &stage.sources {
                let source = &timing.stages[from];
                assert!(
                    source.last < time.last && port < source.depths.len(),
                    "seed {seed}: {source:?} {time:?}"
                );
            }
        }
        let last = timing.stages.last().unwrap();
        assert_eq!(last.last, timing.latency, "seed {seed}");
        let beats = timing::cycles(&design.stages, 1, &Stalls::NONE);
        assert_eq!(last.last - last.first, beats[beats.len() - 1] - beats[0], "seed {seed}");
    }
}
