//! Clocks per second of the netlist simulation: `cargo bench -p dq-hdl --bench netlist`. Two designs: the
//! small block (3×3 convolution of 4 to 8 channels on a 16×16 map, 2-bit weights, 2-bit step, PE 2 × SIMD 4,
//! and what ends a network) and a VGG of 38.6 M multiply-accumulates folded for 500 frames/s at 100 MHz.
//! Beside each, where Verilator is installed, the emitted Verilog in Verilator, started and fed as tests do,
//! and the ratio. Best of a few runs. `-- small` or `-- vgg` runs one of them.

use dq_hdl::design::Design;
use dq_hdl::plan::{NodePlan, Output, Plan};
use dq_hdl::stalls::Stalls;
use dq_hdl::verilator::Simulator;
use dq_hdl::{emit, netlist, plan, tool};
use dq_net::layer::{Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Step, Surrogate};
use dq_net::{Network, Node, Shape, random};
use ndarray::{Array2, Array4, Axis};
use std::time::Instant;

const RUNS: usize = 3;

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|arg| arg == name);
    if wanted("small") {
        let network = small();
        let mut plan = plan::for_target(&network, Output::Scores, 100, 1).expect("a plan");
        fold_by_hand(&mut plan, "conv", 2, 4);
        measure("small", &network, &plan, 60);
    }
    if wanted("vgg") {
        let network = vgg();
        let plan = plan::for_target(&network, Output::Scores, 100, 500).expect("a plan");
        measure("vgg", &network, &plan, 1);
    }
}

fn fold_by_hand(plan: &mut Plan, node: &str, pe: usize, simd: usize) {
    let found: &mut NodePlan =
        plan.nodes.iter_mut().find(|plan| plan.node == node).expect("a node of the plan");
    (found.pe, found.simd) = (pe, simd);
}

fn measure(name: &str, network: &Network, plan: &Plan, frames: usize) {
    let design = Design::new(network, plan).expect("a design");
    let shape = network.input_shape();
    let mut images = Array4::zeros((frames, shape.height, shape.width, shape.channels));
    for (i, mut image) in images.axis_iter_mut(Axis(0)).enumerate() {
        image.assign(&random::image(i as u64, network.input()));
    }
    let clocks = |outcome: &dq_hdl::design::Outcome| outcome.beats.last().expect("beats").cycle + 1;
    let here = best(|| clocks(&netlist::run(&design, images.view(), &Stalls::NONE).expect("a result")));
    println!("{name:6} netlist   {here:12.0} clocks/s");
    if tool::find("verilator").is_err() {
        println!("{name:6} verilator is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let simulator = Simulator::build(&emit::emit(&design), folder.path()).expect("a simulator");
    let there = best(|| clocks(&simulator.run(&design, images.view(), &Stalls::NONE).expect("a result")));
    println!("{name:6} verilator {there:12.0} clocks/s, {:.2} of it here", here / there);
}

fn best(mut run: impl FnMut() -> u64) -> f64 {
    let once = |_| {
        let start = Instant::now();
        run() as f64 / start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(once).fold(0.0, f64::max)
}

/// Nodes in a chain, with weights and thresholds of a fixed order.
struct Chain {
    nodes: Vec<Node>,
    state: u64,
}

impl Chain {
    fn new(shape: Shape) -> Chain {
        let input = Node { name: "input".into(), layer: Layer::Input(Input::pixels(shape)), inputs: vec![] };
        Chain { nodes: vec![input], state: 1 }
    }

    fn push(&mut self, name: &str, layer: Layer) {
        let inputs = vec![self.nodes.last().expect("the input").name.clone()];
        self.nodes.push(Node { name: name.into(), layer, inputs });
    }

    fn random(&mut self, below: i64) -> i64 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.state >> 33) % below as u64) as i64
    }

    fn conv(&mut self, name: &str, channels: usize, outputs: usize, weight_bits: u8) {
        let high = (1 << (weight_bits - 1)) - 1;
        let mut weight = || (self.random(2 * high + 1) - high) as i8;
        let weights = Array4::from_shape_simple_fn((outputs, 3, 3, channels), &mut weight);
        self.push(
            name,
            Layer::Conv(Conv { weights, weight_bits, stride: [1, 1], pad: [1; 4], pad_level: 0, groups: 1 }),
        );
    }

    fn step(&mut self, name: &str, channels: usize, bits: u8, spread: i64) {
        let mut thresholds = Array2::zeros((channels, (1 << bits) - 1));
        for mut row in thresholds.rows_mut() {
            row.iter_mut().for_each(|t| *t = (self.random(2 * spread) - spread) as i32);
            let mut sorted = row.to_vec();
            sorted.sort_unstable();
            row.iter_mut().zip(sorted).for_each(|(to, from)| *to = from);
        }
        let surrogate = Surrogate {
            gain: vec![0.1; channels],
            open_lo: vec![0; channels],
            open_hi: vec![9; channels],
            unit: 0.4,
        };
        self.push(name, Layer::Step(Step { bits, dir: vec![1; channels], thresholds, surrogate }));
    }

    fn network(mut self, name: &str, classes: usize) -> Network {
        self.push("logits", Layer::Logits(Logits { bias: vec![0; classes], scale: 0.01 }));
        Network::new(name, self.nodes).expect("a sound network")
    }
}

fn small() -> Network {
    let mut chain = Chain::new(Shape::new(16, 16, 4));
    chain.conv("conv", 4, 8, 2);
    chain.step("step", 8, 2, 800);
    chain.push("sum", Layer::GlobalSum(GlobalSum));
    chain.network("small", 8)
}

fn vgg() -> Network {
    let mut chain = Chain::new(Shape::new(32, 32, 3));
    let mut channels = 3;
    for (i, outputs) in [32, 32, 64, 64, 128, 128].into_iter().enumerate() {
        chain.conv(&format!("conv{}", i + 1), channels, outputs, 4);
        chain.step(&format!("step{}", i + 1), outputs, 4, 20 * channels as i64);
        if i == 1 || i == 3 {
            let pool = MaxPool { window: [2, 2], stride: [2, 2] };
            chain.push(&format!("pool{}", i + 1), Layer::MaxPool(pool));
        }
        channels = outputs;
    }
    chain.push("sum", Layer::GlobalSum(GlobalSum));
    let weights = Array2::from_shape_simple_fn((10, channels), || (chain.random(15) - 7) as i8);
    chain.push("head", Layer::Dense(Dense { weights, weight_bits: 4 }));
    chain.network("vgg", 10)
}
