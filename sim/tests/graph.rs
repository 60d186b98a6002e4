//! Tests the fast engine on graphs whose nodes come in unusual orders, and on small built-in topologies.

use dq_net::layer::{Conv, GlobalSum, Input, Layer, Logits, Mix, Rescale, Step, Surrogate};
use dq_net::{Network, Node, Shape, random, topology};
use dq_sim::{Engine, GradientSource, Kernel, Loss, WhiteBox};
use ndarray::{Array2, Array4, Axis, stack};

fn node(name: &str, layer: Layer, inputs: &[&str]) -> Node {
    Node { name: name.into(), layer, inputs: inputs.iter().map(|s| s.to_string()).collect() }
}

fn conv(kernel: usize) -> Layer {
    let weights = Array4::from_shape_fn((2, kernel, kernel, 2), |(o, y, x, c)| {
        ((o * 5 + y * 3 + x * 7 + c * 2) % 7) as i8 - 3
    });
    Layer::Conv(Conv {
        weights,
        weight_bits: 3,
        stride: [1; 2],
        pad: [kernel / 2; 4],
        pad_level: 0,
        groups: 1,
    })
}

fn rescale(mul: i32) -> Layer {
    Layer::Rescale(Rescale { mul: vec![mul, -mul], add: vec![0, 40], shift: 4, bits: 8, unit: 0.01 })
}

/// Makes a convolution whose step comes only after others have read the same image, and a mix of a node with
/// itself.
fn late_step() -> Network {
    let surrogate =
        Surrogate { gain: vec![0.01; 2], open_lo: vec![-500; 2], open_hi: vec![500; 2], unit: 0.3 };
    let thresholds = Array2::from_shape_fn((2, 3), |(_, t)| 300 * (t as i32 - 1));
    let step = Step { bits: 2, dir: vec![1; 2], thresholds, surrogate };
    let mix = |a: i32, b: i32| Layer::Mix(Mix { a, b, shift: 3, bits: 7 });
    let nodes = vec![
        node("input", Layer::Input(Input::pixels(Shape::new(4, 5, 2))), &[]),
        node("conv_a", conv(3), &["input"]),
        node("conv_b", conv(1), &["input"]),
        node("scale_b", rescale(3), &["conv_b"]),
        node("step_a", Layer::Step(step), &["conv_a"]),
        node("scale_a", rescale(200), &["step_a"]),
        node("mix", mix(5, 3), &["scale_a", "scale_b"]),
        node("twice", mix(2, 6), &["mix", "mix"]),
        node("sum", Layer::GlobalSum(GlobalSum), &["twice"]),
        node("logits", Layer::Logits(Logits { bias: vec![3, -2], scale: 0.01 }), &["sum"]),
    ];
    Network::new("late_step", nodes).unwrap()
}

fn images(network: &Network, count: u64) -> Array4<u8> {
    let images: Vec<_> = (0..count).map(|seed| random::image(seed, network.input())).collect();
    let views: Vec<_> = images.iter().map(|image| image.view()).collect();
    stack(Axis(0), &views).unwrap()
}

fn agrees(network: &Network, count: u64) {
    let images = images(network, count);
    let wanted: Vec<Vec<i32>> = images.outer_iter().map(|image| network.eval(image)).collect();
    for kernel in Kernel::available() {
        let scores = Engine::with_kernel(network, kernel).scores(images.view());
        for (row, wanted) in scores.outer_iter().zip(&wanted) {
            assert_eq!(&row.to_vec(), wanted, "{}, {kernel:?}", network.name);
        }
    }
}

#[test]
fn a_value_is_kept_until_the_last_layer_that_needs_it_has_run() {
    agrees(&late_step(), 7);
}

#[test]
fn small_topologies_agree_on_every_kernel() {
    for name in ["cnn10@1/8", "cnv@1/16", "wrn-16-4@1/16", "wrn-16-4@1/16:w1a1", "mlp@1/8", "lenet"] {
        agrees(&topology::build(name, 7).unwrap(), 2);
    }
}

/// Thresholds follow from what is expected of accumulators, without a forward pass: this is the pass.
#[test]
fn the_levels_of_topologies_are_spread() {
    for name in topology::ALL.iter().map(|topology| topology.name).chain(["cnv:w1a1", "wrn-16-4:w2a2"]) {
        let network = topology::build(name, 1).unwrap();
        let outputs = Engine::new(&network).nodes(images(&network, 3).view());
        for (node, levels) in network.nodes().iter().zip(&outputs) {
            let Layer::Step(step) = &node.layer else { continue };
            let share =
                |level: i32| levels.iter().filter(|&&v| v == level).count() as f64 / levels.len() as f64;
            let shares = (0..1 << step.bits).map(share).filter(|&p| p > 0.0);
            let entropy: f64 = shares.map(|p| -p * p.log2()).sum();
            let most = f64::from(step.bits);
            assert!(entropy > 0.65 * most, "{name}, {}: {entropy:.2} of {most} bits", node.name);
        }
    }
}

/// A mix of a node with itself passes both shares back to it: the gradient of the network without that mix.
#[test]
fn both_inputs_of_a_mix_add_to_the_gradient_of_one_node() {
    let network = late_step();
    let mut nodes = network.nodes().to_vec();
    nodes.retain(|node| node.name != "twice");
    nodes[7].inputs = vec!["mix".into()];
    let without = Network::new("without", nodes).unwrap();
    let images = images(&network, 5);
    let gradient = |network: &Network| {
        WhiteBox::new(network).loss_gradient(images.view(), &[0, 1, 0, 1, 0], Loss::CrossEntropy)
    };
    let (with, without) = (gradient(&network), gradient(&without));
    assert!(with.gradient.iter().any(|&g| g != 0.0));
    assert_eq!(with, without);
}
