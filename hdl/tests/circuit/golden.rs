//! Pins the files of one tiny network, as they are emitted.

use super::common;
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::plan::{Control, Mac, Memory, NodePlan, Output, PLAN_VERSION, Plan};
use dq_net::layer::{Conv, Dense, Input, Layer, Logits, MaxPool, Step, Surrogate};
use dq_net::{Network, Shape};
use ndarray::{Array2, Array4};

/// Makes a network of conv (2-bit weights, padded), step (2 bits, one channel falling), pool, dense, label.
fn tiny() -> Network {
    let ramp = |i: usize| (i * 5 % 4) as i8 - 2;
    let weights = Array4::from_shape_fn((2, 3, 3, 2), |(o, y, x, c)| ramp(o + y + x + c));
    let layers = [
        ("input", Layer::Input(Input::pixels(Shape::new(4, 4, 2)))),
        (
            "conv",
            Layer::Conv(Conv {
                weights,
                weight_bits: 2,
                stride: [1, 1],
                pad: [1; 4],
                pad_level: 0,
                groups: 1,
            }),
        ),
        (
            "step",
            Layer::Step(Step {
                bits: 2,
                dir: vec![1, -1],
                thresholds: Array2::from_shape_fn((2, 3), |(c, t)| 100 * t as i32 - 150 + c as i32),
                surrogate: Surrogate {
                    gain: vec![0.01, -0.01],
                    open_lo: vec![-150, -50],
                    open_hi: vec![50, 150],
                    unit: 1.0 / 3.0,
                },
            }),
        ),
        ("pool", Layer::MaxPool(MaxPool { window: [2, 2], stride: [2, 2] })),
        (
            "head",
            Layer::Dense(Dense {
                weights: Array2::from_shape_fn((3, 8), |(o, i)| if (o + i) % 3 == 0 { 1 } else { -1 }),
                weight_bits: 1,
            }),
        ),
        ("logits", Layer::Logits(Logits { bias: vec![1, -2, 0], scale: 0.5 })),
    ];
    common::chain("tiny", layers)
}

#[test]
fn the_files_of_a_tiny_network() {
    let entry = |node: &str, pe, simd| NodePlan {
        node: node.into(),
        pe,
        simd,
        memory: Memory::Auto,
        port: None,
        mac: Mac::Auto,
        lines: Memory::Auto,
        fifo: None,
        forks: vec![],
    };
    let nodes = vec![entry("conv", 2, 2), entry("pool", 1, 2), entry("head", 1, 2)];
    let plan = Plan {
        version: PLAN_VERSION,
        output: Output::Label,
        clock_mhz: 100,
        device: None,
        detector: None,
        proved_radius: None,
        control: Control::None,
        nodes,
    };
    let emission = emit(&Design::new(&tiny(), &plan).unwrap());
    assert_eq!(emission, emit(&Design::new(&tiny(), &plan).unwrap()), "byte for byte");
    let banner = format!("// dq {}, network {}\n", env!("CARGO_PKG_VERSION"), dq_net::content_hash(&tiny()));
    let mut text = String::new();
    for file in &emission.files {
        if file.name.ends_with(".v") || file.name.ends_with(".mem") {
            assert!(file.text.starts_with(&banner), "{}", file.name);
            assert!(file.text.is_ascii(), "{}", file.name);
        }
        text += &format!("==== {}\n{}", file.name, file.text);
    }
    insta::assert_snapshot!(text);
}
