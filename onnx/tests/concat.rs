//! Concat of channels, of any scales and zero points, in all three dialects. An import proves itself against
//! the interpreter.

use crate::build::{Attr, Builder, Random};
use crate::qdq::{Linear, weights};
use dq_net::{Layer, Network};

const PADS: (&str, Attr) = ("pads", Attr::Ints(&[1, 1, 1, 1]));
const CHANNELS: (&str, Attr) = ("axis", Attr::Int(1));

fn count(network: &Network, kind: &str) -> usize {
    network.nodes().iter().filter(|node| node.layer.kind().name() == kind).count()
}

/// Adds the scores: the mean of each of `channels` channels through a dense layer.
fn head(b: &mut Builder, x: &str, channels: i64) -> String {
    let x = b.node("GlobalAveragePool", &[x], &[]);
    let x = b.node("Flatten", &[&x], &[]);
    let w = b.floats(&[channels, 3], &(0..3 * channels).map(|i| (i * 7 % 11 - 5) as f32).collect::<Vec<_>>());
    b.node("MatMul", &[&x, &w], &[])
}

/// As ONNX Runtime quantizes: every tensor has a scale and a zero point of its own.
#[test]
fn inputs_of_several_scales_are_requantized_channel_by_channel() {
    for (seed, element, zeros) in [(1, 2, [0, 128, 117]), (2, 3, [-128, 0, 5])] {
        let mut random = Random(seed);
        let mut b = Builder::new(1, &[1, 3, 6, 6]);
        let x = Linear::new(&mut b, 0.0039, element, zeros[0]).both(&mut b, "x");
        let mut branch = |b: &mut Builder, outputs: i64, kernel: i64, scale: f32, zero: i64| {
            let w = weights(b, &mut random, &[outputs, 3, kernel, kernel]);
            let pads = [kernel / 2; 4];
            let y = b.node("Conv", &[&x, &w], &[("pads", Attr::Ints(&pads))]);
            Linear::new(b, scale, element, zero).both(b, &y)
        };
        let (p, q) = (branch(&mut b, 4, 1, 0.0171, zeros[1]), branch(&mut b, 2, 3, 0.0293, zeros[2]));
        let y = b.node("Concat", &[&p, &q, &p], &[CHANNELS]);
        let y = Linear::new(&mut b, 0.025, element, zeros[1]).both(&mut b, &y);
        let w = weights(&mut b, &mut random, &[5, 10, 3, 3]);
        let y = b.node("Conv", &[&y, &w], &[PADS]);
        let y = Linear::new(&mut b, 0.05, element, zeros[1]).both(&mut b, &y);
        let y = head(&mut b, &y, 5);
        let import = b.import(&y).unwrap_or_else(|e| panic!("{seed}: {e}"));
        assert_eq!((count(&import.network, "concat"), count(&import.network, "step")), (2, 5), "{seed}");
    }
}

/// Levels of one scale go straight on: the squeeze and the two expansions of SqueezeNet.
#[test]
fn inputs_of_one_scale_need_no_step() {
    let mut random = Random(3);
    let mut b = Builder::new(1, &[1, 2, 5, 4]);
    let mut conv = |b: &mut Builder, x: &str, shape: [i64; 3]| {
        let [outputs, inputs, kernel] = shape;
        let w = b.floats(
            &[outputs, inputs, kernel, kernel],
            &random.floats((outputs * inputs * kernel * kernel) as usize),
        );
        let w = b.quant(&w, 0.3, 3, true);
        let pads = [kernel / 2; 4];
        let y = b.node("Conv", &[x, &w], &[("pads", Attr::Ints(&pads))]);
        let y = b.node("Relu", &[&y], &[]);
        b.quant(&y, 0.25, 4, false)
    };
    let x = b.quant("x", 1.0 / 255.0, 8, false);
    let squeezed = conv(&mut b, &x, [3, 2, 1]);
    let (p, q) = (conv(&mut b, &squeezed, [4, 3, 1]), conv(&mut b, &squeezed, [4, 3, 3]));
    let y = b.node("Concat", &[&p, &q], &[("axis", Attr::Int(-3))]);
    let y = conv(&mut b, &y, [3, 8, 3]);
    let y = head(&mut b, &y, 3);
    let import = b.import(&y).unwrap();
    assert_eq!((count(&import.network, "concat"), count(&import.network, "step")), (1, 4));
}

/// Batch normalization on one side, a bias on the other, both before the quantizer behind the Concat.
#[test]
fn functions_of_one_kind_are_joined_before_their_quantizer() {
    let mut random = Random(4);
    let mut b = Builder::new(1, &[1, 2, 4, 4]);
    let x = b.quant("x", 1.0 / 255.0, 8, false);
    let (w, v) = (
        b.floats(&[3, 2, 1, 1], &[1.0, -1.0, 0.0, 1.0, 1.0, 1.0]),
        b.floats(&[2, 2, 1, 1], &[2.0, -1.0, 3.0, 1.0]),
    );
    let p = b.node("Conv", &[&x, &w], &[]);
    let of = |b: &mut Builder, random: &mut Random, add: f32| {
        let values: Vec<f32> = random.floats(3).iter().map(|v| v + add).collect();
        b.floats(&[3], &values)
    };
    let norm = [0.3, 0.2, 0.0, 1.5].map(|add| of(&mut b, &mut random, add));
    let p = b.node("BatchNormalization", &[&p, &norm[0], &norm[1], &norm[2], &norm[3]], &[]);
    let p = b.node("Relu", &[&p], &[]);
    let bias = b.floats(&[2], &[0.1, -0.2]);
    let q = b.node("Conv", &[&x, &v, &bias], &[]);
    let q = b.node("Relu", &[&q], &[]);
    let y = b.node("Concat", &[&p, &q], &[CHANNELS]);
    let y = b.quant(&y, 0.125, 4, false);
    let y = head(&mut b, &y, 5);
    let import = b.import(&y).unwrap();
    assert_eq!((count(&import.network, "concat"), count(&import.network, "step")), (1, 1));
    let at = import.network.nodes().iter().position(|node| matches!(node.layer, Layer::Concat(_))).unwrap();
    assert!(import.network.wire(at).range.lo < 0, "accumulators lie beside each other");
}

/// QLinearConcat of ONNX Runtime, and vectors.
#[test]
fn operators_on_levels_are_joined_too() {
    let mut b = Builder::new(2, &[1, 2, 3, 3]);
    let of = |b: &mut Builder, scale: f32, zero: i64| [b.float(scale), b.ints(2, &[], &[zero])];
    let (own, x_of, y_of) = (of(&mut b, 0.02, 3), of(&mut b, 1.0, 0), of(&mut b, 0.013, 100));
    let p = b.node("DequantizeLinear", &["x", &x_of[0], &x_of[1]], &[]);
    let w = b.floats(&[2, 2, 1, 1], &[1.0, -1.0, 1.0, 2.0]);
    let p = b.node("Conv", &[&p, &w], &[]);
    let p = b.node("QuantizeLinear", &[&p, &y_of[0], &y_of[1]], &[]);
    let y = b.node(
        "com.microsoft:QLinearConcat",
        &[&own[0], &own[1], &p, &y_of[0], &y_of[1], "x", &x_of[0], &x_of[1]],
        &[CHANNELS],
    );
    let y = b.node("DequantizeLinear", &[&y, &own[0], &own[1]], &[]);
    let (y, z) = (b.node("Flatten", &[&y], &[]), b.node("Flatten", &[&y], &[]));
    let y = b.node("Concat", &[&y, &z], &[CHANNELS]);
    let w = b.floats(&[72, 3], &(0..216).map(|i| (i % 5) as f32 - 2.0).collect::<Vec<_>>());
    let y = b.node("MatMul", &[&y, &w], &[]);
    let import = b.import(&y).unwrap();
    assert_eq!(count(&import.network, "concat"), 2);
}

#[test]
fn what_cannot_lie_beside_each_other_is_refused_by_name() {
    let refused = |shape: [i64; 2], scale: f32, relu: bool| {
        let mut b = Builder::new(1, &[1, 2, 4, 4]);
        let x = b.quant("x", 1.0 / 255.0, 8, false);
        let y = b.node("MaxPool", &[&x], &[("kernel_shape", Attr::Ints(&shape))]);
        let mut y = b.quant(&y, scale, 6, false);
        if relu {
            let w = b.floats(&[2, 2, 1, 1], &[1.0, -1.0, 1.0, 2.0]);
            let z = b.node("Conv", &[&x, &w], &[]);
            y = b.node("Relu", &[&z], &[]);
        }
        let y = b.node("Concat", &[&x, &y], &[CHANNELS]);
        let w = b.floats(&[3, 4, 1, 1], &[1.0; 12]);
        let y = b.node("Conv", &[&y, &w], &[]);
        let y = b.node("GlobalAveragePool", &[&y], &[]);
        b.import(&y).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(refused([1, 1], 1.0 / 255.0, false), "");
    for (shape, scale, relu, part) in [
        ([1, 2], 1.0 / 255.0, false, "(Concat): inputs: expected shapes that differ along axis 1 only"),
        ([1, 1], 0.25, false, "ratios of small whole numbers, found 3.921569e-3 beside 2.500000e-1"),
        ([1, 1], 0.25, true, "(Concat): expected functions of one kind on both sides"),
    ] {
        let error = refused(shape, scale, relu);
        assert!(error.contains(part), "{part}: {error}");
    }
}
