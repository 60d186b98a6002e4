//! Networks of QONNX's quantizers. An import proves itself: every threshold on both sides, and whole images
//! through the interpreter, which knows nothing of chains.

use crate::build::{Attr, Builder, Random};
use dq_net::Layer;

/// A weight matrix or kernel through a quantizer.
fn weights(b: &mut Builder, random: &mut Random, dims: &[i64], bits: u8) -> String {
    let count = dims.iter().product::<i64>() as usize;
    let float = b.floats(dims, &random.floats(count));
    b.quant(&float, if bits == 1 { 0.7 } else { 0.3 }, bits, true)
}

fn norm(b: &mut Builder, random: &mut Random, x: &str, channels: usize) -> String {
    let of = |b: &mut Builder, random: &mut Random, add: f32| {
        let values: Vec<f32> = random.floats(channels).iter().map(|v| v + add).collect();
        b.floats(&[channels as i64], &values)
    };
    // Gains of both signs: falling channels.
    let (gain, bias, mean, variance) =
        (of(b, random, 0.3), of(b, random, 0.2), of(b, random, 0.0), of(b, random, 1.5));
    b.node("BatchNormalization", &[x, &gain, &bias, &mean, &variance], &[("epsilon", Attr::Float(1e-5))])
}

/// Builds a network of two dense layers and returns it with its scores.
fn dense(bits: u8) -> (Builder, String) {
    let mut random = Random(bits.into());
    let mut b = Builder::new(1, &[1, 1, 6, 6]);
    let x = b.quant("x", 1.0 / 255.0, 8, false);
    let shape = b.ints(7, &[2], &[1, -1]);
    let x = b.node("Reshape", &[&x, &shape], &[]);
    let w = weights(&mut b, &mut random, &[20, 36], bits);
    let w = b.node("Transpose", &[&w], &[("perm", Attr::Ints(&[1, 0]))]);
    let x = b.node("MatMul", &[&x, &w], &[]);
    let x = norm(&mut b, &mut random, &x, 20);
    let x = b.quant(&x, 0.37, bits, bits == 1);
    let w = weights(&mut b, &mut random, &[20, 5], bits);
    let y = b.node("MatMul", &[&x, &w], &[]);
    (b, y)
}

#[test]
pub fn a_dense_network_is_imported_and_proved() {
    for bits in [1, 2, 4, 8] {
        let (b, y) = dense(bits);
        let import = b.import(&y).unwrap();
        assert!(import.network.proof.as_ref().unwrap().boundaries > 0);
        assert_eq!(import.network.classes(), 5);
        assert!(import.report.accumulators > import.report.float32_differs);
    }
}

/// The names of all ways to round.
const ROUNDINGS: [&str; 7] = ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"];

/// Builds a network of convolutions and pools that rounds so, and returns it with its scores.
fn convolutional(seed: u64, rounding: &str) -> (Builder, String) {
    let mut random = Random(seed);
    let mut b = Builder::new(1, &[1, 3, 9, 8]);
    let x = b.quant("x", 1.0 / 64.0, 6, false);
    let w = weights(&mut b, &mut random, &[6, 3, 3, 2], 3);
    let attributes = [("pads", Attr::Ints(&[1, 0, 2, 1])), ("strides", Attr::Ints(&[2, 1]))];
    let x = b.node("Conv", &[&x, &w], &attributes);
    let x = norm(&mut b, &mut random, &x, 6);
    let x = b.node("Relu", &[&x], &[]);
    let (s, z, bits) = (b.float(0.21), b.float(0.0), b.float(4.0));
    let attributes =
        [("signed", Attr::Int(0)), ("narrow", Attr::Int(1)), ("rounding_mode", Attr::Text(rounding))];
    let x = b.node("onnx.brevitas:Quant", &[&x, &s, &z, &bits], &attributes);
    let attributes = [("kernel_shape", Attr::Ints(&[2, 2])), ("strides", Attr::Ints(&[2, 2]))];
    let x = b.node("MaxPool", &[&x], &attributes);
    let w = weights(&mut b, &mut random, &[4, 3, 1, 1], 2);
    let x = b.node("Conv", &[&x, &w], &[("group", Attr::Int(2))]);
    let x = b.quant(&x, 0.5, 4, true);
    let x = b.node("AveragePool", &[&x], &[("kernel_shape", Attr::Ints(&[2, 1]))]);
    let (bits, out) = (b.float(6.0), b.float(4.0));
    let scale = b.float(0.5);
    let x = b.node("Trunc", &[&x, &scale, &z, &bits, &out], &[("rounding_mode", Attr::Text(rounding))]);
    let x = b.node("GlobalAveragePool", &[&x], &[]);
    let x = b.node("Flatten", &[&x], &[]);
    let w = weights(&mut b, &mut random, &[4, 3], 4);
    let y = b.node("MatMul", &[&x, &w], &[]);
    let y = b.node("Softmax", &[&y], &[("axis", Attr::Int(1))]);
    (b, y)
}

#[test]
pub fn a_convolutional_network_is_imported_and_proved() {
    for (seed, rounding) in ROUNDINGS.into_iter().enumerate() {
        let (b, y) = convolutional(seed as u64, rounding);
        let import = b.import(&y).unwrap_or_else(|e| panic!("{rounding}: {e}"));
        let steps = import.network.nodes().iter().filter(|n| matches!(n.layer, Layer::Step(_))).count();
        assert_eq!(steps, import.report.steps.len());
        assert!(steps >= 3);
    }
}

#[test]
pub fn thresholds_are_imported_as_they_are() {
    let mut b = Builder::new(1, &[1, 2, 4, 4]);
    let t = b.floats(&[2, 3], &[0.1, 0.5, 0.5, 0.0, 0.25, 0.9]);
    let x =
        b.node("finn.custom_op.general:MultiThreshold", &["x", &t], &[("out_dtype", Attr::Text("UINT2"))]);
    let w = b.floats(&[3, 2, 4, 4], &(0..96).map(|i| (i % 3) as f32 - 1.0).collect::<Vec<_>>());
    let y = b.node("Conv", &[&x, &w], &[]);
    let import = b.import(&y).unwrap();
    let Layer::Step(step) = &import.network.nodes()[1].layer else { panic!("a step") };
    // 0.1 of float32 is a little above 25.5/255, 0.5 above 127/255.
    assert_eq!(step.thresholds.row(0).to_vec(), [26, 128, 128]);
    assert_eq!(step.thresholds.row(1).to_vec(), [0, 64, 230]);
}

#[test]
fn what_has_no_integer_network_is_refused_by_name_all_at_once() {
    let mut b = Builder::new(1, &[1, 4]);
    let x = b.quant("x", 1.0 / 255.0, 8, false);
    let s = b.node("Sigmoid", &[&x], &[]);
    let f = b.node("qonnx.custom_op.general:FloatQuant", &[&x], &[]);
    let y = b.node("Add", &[&s, &f], &[]);
    let error = b.import(&y).err().expect("refused").to_string();
    assert!(error.contains("2 nodes cannot be imported"), "{error}");
    assert!(error.contains("(Sigmoid)") && error.contains("(qonnx.custom_op.general.FloatQuant)"), "{error}");

    let mut b = Builder::new(1, &[1, 4]);
    let w = b.floats(&[4, 2], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    let y = b.node("MatMul", &["x", &w], &[]);
    let error = b.import(&y).err().expect("refused").to_string();
    assert!(error.contains("weights: expected whole numbers of at most 16 bits"), "{error}");
}

#[test]
fn bad_quantizers_are_refused_with_the_field() {
    let with = |scale: &[f32], bits: f32, mode: &str| {
        let mut b = Builder::new(1, &[1, 3, 2, 2]);
        let (s, z, n) = (b.floats(&[1, scale.len() as i64, 1, 1], scale), b.float(0.0), b.float(bits));
        let x = b.node(
            "Quant",
            &["x", &s, &z, &n],
            &[("signed", Attr::Int(0)), ("rounding_mode", Attr::Text(mode))],
        );
        let w = b.floats(&[2, 3, 2, 2], &[1.0; 24]);
        let y = b.node("Conv", &[&x, &w], &[]);
        b.import(&y).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(with(&[0.5], 4.0, "ROUND"), "");
    for (scale, bits, mode, part) in [
        (&[0.0][..], 4.0, "ROUND", "scale[0]: expected a number above 0, found 0"),
        (&[-0.5], 4.0, "ROUND", "scale[0]: expected a number above 0"),
        (&[f32::NAN], 4.0, "ROUND", "expected a finite number, found NaN"),
        (&[0.5, 0.5], 4.0, "ROUND", "scale: expected one number, or one per channel"),
        (&[0.5, 0.5, 0.123], 4.0, "ROUND", "expected one scale for all channels that are summed"),
        (&[0.5], 0.0, "ROUND", "bit width: expected 1 to 32, found 0"),
        (&[0.5], 33.0, "ROUND", "bit width: expected 1 to 32, found 33"),
        (&[0.5], 2.5, "ROUND", "bit width: expected 1 to 32, found 2.5"),
        (&[0.5], 4.0, "NEAREST", "rounding_mode: expected ROUND"),
    ] {
        let error = with(scale, bits, mode);
        assert!(error.contains(part), "{part}: {error}");
    }
}
