//! Tests the CIFAR-10 network of the first release, with random weights: targets of planning, timing and
//! emission.

use dq_hdl::design::Design;
use dq_hdl::plan::Output;
use dq_hdl::{emit, plan};
use dq_net::layer::{Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Step, Surrogate};
use dq_net::{Network, Node, Shape};
use ndarray::{Array2, Array4};
use std::time::Instant;

/// Makes conv 32-32, pool, 64-64, pool, 128-128, global sum, 10 classes; W4A4; 38.6 M multiply-accumulates.
fn vgg() -> Network {
    let mut state = 1u64;
    let mut random = move |below: i64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 33) % below as u64) as i64
    };
    let shape = Shape::new(32, 32, 3);
    let mut nodes =
        vec![Node { name: "input".into(), layer: Layer::Input(Input::pixels(shape)), inputs: vec![] }];
    let mut push = |name: String, layer: Layer| {
        let inputs = vec![nodes.last().expect("the input").name.clone()];
        nodes.push(Node { name, layer, inputs });
    };
    let mut channels = 3;
    for (i, outputs) in [32, 32, 64, 64, 128, 128].into_iter().enumerate() {
        let weights = Array4::from_shape_simple_fn((outputs, 3, 3, channels), || (random(15) - 7) as i8);
        let conv = Conv { weights, weight_bits: 4, stride: [1, 1], pad: [1; 4], pad_level: 0, groups: 1 };
        push(format!("conv{}", i + 1), Layer::Conv(conv));
        let spread = 20 * channels as i64;
        let mut thresholds =
            Array2::from_shape_simple_fn((outputs, 15), || (random(2 * spread) - spread) as i32);
        for mut row in thresholds.rows_mut() {
            let mut sorted = row.to_vec();
            sorted.sort_unstable();
            row.iter_mut().zip(sorted).for_each(|(to, from)| *to = from);
        }
        let surrogate = Surrogate {
            gain: vec![0.1; outputs],
            open_lo: vec![0; outputs],
            open_hi: vec![9; outputs],
            unit: 0.4,
        };
        push(
            format!("step{}", i + 1),
            Layer::Step(Step { bits: 4, dir: vec![1; outputs], thresholds, surrogate }),
        );
        if i == 1 || i == 3 {
            push(format!("pool{}", i + 1), Layer::MaxPool(MaxPool { window: [2, 2], stride: [2, 2] }));
        }
        channels = outputs;
    }
    push("sum".into(), Layer::GlobalSum(GlobalSum));
    let weights = Array2::from_shape_simple_fn((10, channels), || (random(15) - 7) as i8);
    push("head".into(), Layer::Dense(Dense { weights, weight_bits: 4 }));
    push("logits".into(), Layer::Logits(Logits { bias: vec![0; 10], scale: 0.01 }));
    Network::new("vgg", nodes).expect("a sound network")
}

#[test]
fn five_hundred_frames_a_second_at_100_mhz() {
    let network = vgg();
    let clock = Instant::now();
    let plan = plan::for_target(&network, Output::Scores, 100, 500).unwrap();
    eprintln!("planned in {:?}", clock.elapsed());
    let clock = Instant::now();
    let design = Design::new(&network, &plan).unwrap();
    eprintln!("built in {:?}", clock.elapsed());
    let clock = Instant::now();
    let timing = design.timing();
    eprintln!("timed in {:?}", clock.elapsed());
    let clock = Instant::now();
    let emission = emit::emit(&design);
    eprintln!("emitted in {:?}: {} files", clock.elapsed(), emission.files.len());
    for node in &plan.nodes {
        eprintln!("{} pe {} simd {}", node.node, node.pe, node.simd);
    }
    eprintln!("{:?}", emission.report.estimate.total);
    eprintln!("latency {}, interval {}, ideal {}", timing.latency, timing.interval, timing.ideal_interval);
    assert!(timing.interval <= 200_000);
    assert!(timing.interval * 100 <= timing.ideal_interval * 102, "{timing:?}");
    // The slowest stage is a matrix-vector unit: its multiply-accumulates over PE × SIMD.
    let ideal = |node: &dq_hdl::plan::NodePlan| {
        let i = network.position(&node.node).unwrap();
        network.macs(i) / (node.pe * node.simd) as u64
    };
    assert_eq!(timing.ideal_interval, plan.nodes.iter().map(ideal).max().unwrap());
}

#[test]
fn what_cannot_be_reached_is_said() {
    let error = plan::for_target(&vgg(), Output::Label, 100, 1_000_000).unwrap_err().to_string();
    assert!(error.contains("`conv1_window` needs 9216 cycles") && error.contains("at most 10850"), "{error}");
}
