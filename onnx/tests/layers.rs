//! Layers that the integer network has only in parts: weights of more than 8 bits, padding in a node of its
//! own, parts of tensors, scores of several scales.

use crate::build::{self, Attr, Builder, Random};
use dq_net::Layer;
use dq_onnx::{Import, Options};

/// Numbers of a type of ONNX as weights with scale and zero point.
fn weights(b: &mut Builder, random: &mut Random, dims: &[i64], (element, zero): (i32, i64)) -> String {
    let (low, span) = [(2, 0, 256), (3, -128, 256), (5, -32_768, 65_536)]
        .into_iter()
        .find_map(|(e, low, span)| (e == element).then_some((low, span)))
        .unwrap();
    let count = dims.iter().product::<i64>() as usize;
    let values: Vec<i64> = (0..count).map(|_| random.below(span) as i64 + low).collect();
    let (ints, scale, zero) = (b.ints(element, dims, &values), b.float(0.013), b.ints(element, &[], &[zero]));
    b.node("DequantizeLinear", &[&ints, &scale, &zero], &[])
}

fn sums(import: &Import) -> usize {
    import.network.nodes().iter().filter(|n| matches!(n.layer, Layer::Sum(_))).count()
}

#[test]
pub fn weights_of_more_than_8_bits_are_sums_of_layers() {
    for (form, parts) in [((2, 128), 0), ((2, 0), 1), ((2, 77), 1), ((3, -9), 1), ((5, 0), 2)] {
        let mut random = Random(form.1 as u64);
        let mut b = Builder::new(1, &[1, 2, 5, 5]);
        let x = b.quant("x", 1.0 / 255.0, 8, false);
        let w = weights(&mut b, &mut random, &[4, 2, 3, 3], form);
        let x = b.node("Conv", &[&x, &w], &[("pads", Attr::Ints(&[1, 1, 1, 1]))]);
        let x = b.quant(&x, 0.8, 4, true);
        let x = b.node("Flatten", &[&x], &[]);
        let w = weights(&mut b, &mut random, &[100, 3], form);
        let y = b.node("MatMul", &[&x, &w], &[]);
        let import = b.import(&y).unwrap_or_else(|e| panic!("{form:?}: {e}"));
        assert_eq!(sums(&import), 2 * parts, "{form:?}");
    }
}

#[test]
pub fn scales_of_channels_in_small_ratios_go_into_the_weights() {
    let mut random = Random(4);
    let mut b = Builder::new(1, &[1, 3, 6, 6]);
    let scales = b.floats(&[1, 3, 1, 1], &[0.25, 0.5, 0.75]);
    let (zero, bits) = (b.float(0.0), b.float(3.0));
    let x = b.node("Quant", &["x", &scales, &zero, &bits], &[("signed", Attr::Int(0))]);
    let w = weights(&mut b, &mut random, &[4, 3, 3, 3], (3, 0));
    let x = b.node("Conv", &[&x, &w], &[("pads", Attr::Ints(&[1, 0, 0, 1]))]);
    let x = b.quant(&x, 1.5, 4, true);
    let w = weights(&mut b, &mut random, &[5, 4, 5, 5], (3, 0));
    let y = b.node("Conv", &[&x, &w], &[]);
    b.import(&y).unwrap();
}

#[test]
pub fn padding_of_its_own_goes_into_the_convolution_behind_it() {
    for (kernel, value, nodes) in [(3, 0.0, 0), (2, 0.0, 1), (3, 0.5, 0)] {
        let mut random = Random(kernel as u64);
        let mut b = Builder::new(1, &[1, 2, 5, 5]);
        let x = b.quant("x", 1.0 / 64.0, 6, false);
        let (pads, fill) = (b.ints(7, &[8], &[0, 0, 2, 1, 0, 0, 0, 1]), b.float(value));
        let x = b.node("Pad", &[&x, &pads, &fill], &[]);
        let w = weights(&mut b, &mut random, &[4, 2, kernel, kernel], (3, 0));
        let x = b.node("Conv", &[&x, &w], &[]);
        let x = b.quant(&x, 0.8, 4, true);
        let x = b.node("Flatten", &[&x], &[]);
        let width = 4 * (8 - kernel) * (8 - kernel);
        let w = weights(&mut b, &mut random, &[width, 3], (3, 0));
        let y = b.node("MatMul", &[&x, &w], &[]);
        let import = b.import(&y).unwrap_or_else(|e| panic!("{kernel} {value}: {e}"));
        let pads = import.network.nodes().iter().filter(|n| n.name.ends_with("_pad")).count();
        assert_eq!(pads, nodes, "{kernel} {value}");
    }
}

#[test]
pub fn pools_pad_and_round_their_sizes_up() {
    let mut random = Random(9);
    let mut b = Builder::new(1, &[1, 2, 8, 9]);
    let x = b.quant("x", 1.0 / 64.0, 6, true);
    let window = |size| ("kernel_shape", Attr::Ints(if size == 3 { &[3, 3] } else { &[2, 2] }));
    let (pads, two) = (("pads", Attr::Ints(&[1, 0, 1, 2])), ("strides", Attr::Ints(&[2, 2])));
    let x = b.node("AveragePool", &[&x], &[window(3), pads, two, ("count_include_pad", Attr::Int(1))]);
    let x = b.quant(&x, 1.0 / 32.0, 5, true);
    // 4 × 5: the last window along rows begins in the map and ends outside.
    let (two, up) = (("strides", Attr::Ints(&[2, 2])), ("ceil_mode", Attr::Int(1)));
    let x = b.node("MaxPool", &[&x], &[window(3), two, up]);
    let x = b.node("GlobalMaxPool", &[&x], &[]);
    let w = weights(&mut b, &mut random, &[3, 2, 1, 1], (3, 0));
    let y = b.node("Conv", &[&x, &w], &[]);
    b.import(&y).unwrap();

    let mut b = Builder::new(1, &[1, 2, 8, 8]);
    let x = b.quant("x", 1.0 / 64.0, 6, true);
    let x = b.node("AveragePool", &[&x], &[window(3), ("pads", Attr::Ints(&[1, 1, 1, 1]))]);
    let error = b.import(&x).err().unwrap().to_string();
    assert!(error.contains("(AveragePool): count_include_pad: expected 1"), "{error}");
}

#[test]
pub fn parts_of_tensors_and_shuffled_channels_are_copied() {
    let mut random = Random(6);
    let mut b = Builder::new(1, &[1, 4, 6, 7]);
    let x = b.quant("x", 1.0 / 64.0, 6, false);
    // A shuffle of two groups, a cut with a step, and two halves that are added.
    let (five, back) = (b.ints(7, &[5], &[0, 2, 2, 6, 7]), b.ints(7, &[4], &[0, 4, 6, 7]));
    let x = b.node("Reshape", &[&x, &five], &[]);
    let x = b.node("Transpose", &[&x], &[("perm", Attr::Ints(&[0, 2, 1, 3, 4]))]);
    let x = b.node("Reshape", &[&x, &back], &[]);
    let w = weights(&mut b, &mut random, &[4, 2, 1, 1], (3, 0));
    let x = b.node("Conv", &[&x, &w], &[("group", Attr::Int(2))]);
    let x = b.quant(&x, 0.3, 4, true);
    let [from, to, axes, steps] = [[1, 1], [6, 7], [2, 3], [2, 1]].map(|values| b.ints(7, &[2], &values));
    let x = b.node("Slice", &[&x, &from, &to, &axes, &steps], &[]);
    let first = b.node("Split", &[&x], &[("axis", Attr::Int(1))]);
    let split = b.graph.node.last_mut().unwrap();
    split.output.push("second".into());
    let x = b.node("Sub", &[&first, "second"], &[]);
    let x = b.quant(&x, 0.6, 4, true);
    let w = weights(&mut b, &mut random, &[3, 2, 3, 6], (3, 0));
    let y = b.node("Conv", &[&x, &w], &[]);
    b.import(&y).unwrap();
}

/// A classifier with a scale per class, behind `inputs` levels of `bits` bits.
fn classifier(inputs: i64, bits: u8, scales: &[f32]) -> (Builder, String) {
    let mut b = Builder::new(1, &[1, inputs]);
    let x = b.quant("x", 1.0 / 3.0, bits, false);
    let count = scales.len() as i64;
    let values: Vec<f32> = (0..inputs * count).map(|i| (i * 5 % 7 - 3) as f32).collect();
    let (w, scale) = (b.floats(&[count, inputs], &values), b.floats(&[count, 1], scales));
    let w = b.node("Mul", &[&w, &scale], &[]);
    let y = b.node("Gemm", &[&x, &w], &[("transB", Attr::Int(1))]);
    (b, y)
}

#[test]
pub fn scores_of_several_scales_keep_their_order_or_are_refused() {
    // Exact multiples; scales of any ratio; the sign of the scores.
    for (scales, tolerance) in [(&[0.5, 0.75, 2.0][..], 0), (&[-0.5, -0.5], 0), (&[0.31, 0.177, 0.2003], 55)]
    {
        let (b, y) = classifier(40, 2, scales);
        let import = b.import(&y).unwrap_or_else(|e| panic!("{scales:?}: {e}"));
        assert_eq!((import.report.tolerance, import.report.in_order), (tolerance, true), "{scales:?}");
    }
    let (b, y) = classifier(784, 8, &[0.31, 0.177, 0.2003]);
    let error = b.import(&y).err().unwrap().to_string();
    assert!(
        error.contains("expected one scale for all classes") && error.contains("--round-scores"),
        "{error}"
    );
    let options = Options { round_scores: true, ..Default::default() };
    let import = build::import(&b.bytes(&y), &options).unwrap();
    assert!(!import.report.in_order && import.report.tolerance > 0);
}

#[test]
fn one_output_stands_beside_zero() {
    for (rounded, scale) in [(false, 0.5), (false, -0.5), (true, 0.5)] {
        let (mut b, mut y) = classifier(40, 2, &[scale]);
        if rounded {
            y = b.quant(&y, 4.0, 6, true);
        }
        let import = b.import(&y).unwrap_or_else(|e| panic!("{rounded} {scale}: {e}"));
        assert!(import.report.beside_zero);
        let zero = (-import.report.offset / import.report.scale).round() as i32;
        let mut labels = [0; 2];
        for seed in 0..40 {
            let image = dq_net::random::image(seed, import.network.input());
            let scores = import.network.eval(image.view());
            assert_eq!(scores[0], zero);
            labels[dq_net::layer::Logits::label(scores.iter().copied())] += 1;
        }
        assert!(labels[0] > 0 && labels[1] > 0, "{labels:?}");
    }
}

#[test]
fn an_int8_input_is_the_level_less_128() {
    let network = |element: i32, zero: i64| {
        let mut b = Builder::new(element, &[1, 2, 4, 4]);
        let (scale, zero) = (b.float(0.01), b.ints(element, &[], &[zero]));
        let x = b.node("DequantizeLinear", &["x", &scale, &zero], &[]);
        let w = weights(&mut b, &mut Random(3), &[3, 2, 4, 4], (3, 0));
        let y = b.node("Conv", &[&x, &w], &[]);
        let import = b.import(&y).unwrap();
        (import.report.input, import.network)
    };
    let ((said, int8), (_, uint8)) = (network(3, -3), network(2, 125));
    assert_eq!(said, "input = (level − 128) of levels 0 to 255, image 4×4×2");
    for seed in 0..5 {
        let image = dq_net::random::image(seed, int8.input());
        assert_eq!(int8.eval(image.view()), uint8.eval(image.view()));
    }
}
