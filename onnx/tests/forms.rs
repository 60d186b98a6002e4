//! Forms in which others write what the integer network has.

use crate::build::{self, Attr, Builder, Random};
use dq_onnx::{Import, Options};

fn scores(import: &Import) -> Vec<Vec<i32>> {
    let image = |seed| dq_net::random::image(seed, import.network.input());
    (0..20).map(|seed| import.network.eval(image(seed).view())).collect()
}

/// Checks that two graphs are networks with the same scores.
fn assert_alike((a, y): (&Builder, &str), (b, z): (&Builder, &str)) {
    let [first, second] = [(a, y), (b, z)].map(|(b, y)| b.import(y).unwrap_or_else(|e| panic!("{e}")));
    assert_eq!(scores(&first), scores(&second));
    assert!(scores(&first).iter().any(|s| *s != scores(&first)[0]), "scores of one value");
}

/// The numbers of a tensor of outputs × inputs × rows × columns with the inputs last.
fn channels_last(values: &[f32], [o, i, h, w]: [usize; 4]) -> Vec<f32> {
    let at = |n: usize| {
        let (out, y, x, c) = (n / (h * w * i), n / (w * i) % h, n / i % w, n % i);
        values[((out * i + c) * h + y) * w + x]
    };
    (0..o * i * h * w).map(at).collect()
}

#[test]
pub fn operators_with_the_channels_last_are_those_with_the_channels_first() {
    let mut random = Random(3);
    let kernel: Vec<f32> = (0..6 * 2 * 3 * 2).map(|_| random.below(7) as f32 - 3.0).collect();
    let head: Vec<f32> = (0..3 * 6 * 3 * 3).map(|_| random.below(7) as f32 - 3.0).collect();
    let norm: Vec<Vec<f32>> =
        [0.3, 0.2, 0.0, 1.5].map(|add: f32| random.floats(6).iter().map(|v| v + add).collect()).into();
    let build = |last: bool| {
        let mut b = Builder::new(1, &[1, 2, 8, 8]);
        let turn = |b: &mut Builder, x: &str, perm: &[i64]| match last {
            true => b.node("Transpose", &[x], &[("perm", Attr::Ints(perm))]),
            false => x.to_string(),
        };
        let domain = if last { "qonnx.custom_op.channels_last:" } else { "" };
        let x = b.quant("x", 1.0 / 64.0, 6, false);
        let x = turn(&mut b, &x, &[0, 2, 3, 1]);
        let w = match last {
            true => b.floats(&[6, 3, 2, 2], &channels_last(&kernel, [6, 2, 3, 2])),
            false => b.floats(&[6, 2, 3, 2], &kernel),
        };
        let attributes = [
            ("kernel_shape", Attr::Ints(&[3, 2])),
            ("pads", Attr::Ints(&[1, 0, 0, 1])),
            ("strides", Attr::Ints(&[1, 1])),
        ];
        let x = b.node(&format!("{domain}Conv"), &[&x, &w], &attributes);
        let params: Vec<String> = norm.iter().map(|values| b.floats(&[6], values)).collect();
        let inputs: Vec<&str> = [x.as_str()].into_iter().chain(params.iter().map(String::as_str)).collect();
        let x = b.node(&format!("{domain}BatchNormalization"), &inputs, &[]);
        let x = b.quant(&x, 0.6, 4, true);
        let window = [("kernel_shape", Attr::Ints(&[2, 2])), ("strides", Attr::Ints(&[2, 2]))];
        let x = b.node(&format!("{domain}MaxPool"), &[&x], &window);
        let x = turn(&mut b, &x, &[0, 3, 1, 2]);
        let w = b.floats(&[3, 6, 3, 3], &head);
        let y = b.node("Conv", &[&x, &w], &[]);
        let y = b.node("GlobalAveragePool", &[&y], &[]);
        (b, y)
    };
    let ((a, y), (b, z)) = (build(false), build(true));
    assert_alike((&a, &y), (&b, &z));
}

#[test]
pub fn products_of_columns_and_of_pixels_are_convolutions() {
    let mut random = Random(5);
    let kernel: Vec<f32> = (0..4 * 3 * 2 * 2).map(|_| random.below(5) as f32 - 2.0).collect();
    let point: Vec<f32> = (0..4 * 5).map(|_| random.below(5) as f32 - 2.0).collect();
    let turned = |values: &[f32], (rows, columns): (usize, usize)| -> Vec<f32> {
        (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
    };
    let build = |columns: bool| {
        let mut b = Builder::new(1, &[1, 3, 6, 6]);
        let mut x = b.quant("x", 1.0 / 64.0, 6, false);
        if columns {
            x = b.node("Transpose", &[&x], &[("perm", Attr::Ints(&[0, 2, 3, 1]))]);
            let attributes = [
                ("kernel_size", Attr::Ints(&[2, 2])),
                ("stride", Attr::Ints(&[2, 1])),
                ("pad_amount", Attr::Ints(&[0, 1, 0, 0])),
                ("input_shape", Attr::Text("(1, 6, 6, 3)")),
            ];
            x = b.node("qonnx.custom_op.general:Im2Col", &[&x], &attributes);
            let w = b.floats(&[12, 4], &turned(&channels_last(&kernel, [4, 3, 2, 2]), (4, 12)));
            x = b.node("MatMul", &[&x, &w], &[]);
            x = b.quant(&x, 0.5, 4, true);
            let w = b.floats(&[4, 5], &turned(&point, (5, 4)));
            x = b.node("MatMul", &[&x, &w], &[]);
            x = b.quant(&x, 0.5, 4, true);
            x = b.node("Transpose", &[&x], &[("perm", Attr::Ints(&[0, 3, 1, 2]))]);
        } else {
            let w = b.floats(&[4, 3, 2, 2], &kernel);
            let attributes = [("strides", Attr::Ints(&[2, 1])), ("pads", Attr::Ints(&[0, 1, 0, 0]))];
            x = b.node("Conv", &[&x, &w], &attributes);
            x = b.quant(&x, 0.5, 4, true);
            let w = b.floats(&[5, 4, 1, 1], &point);
            x = b.node("Conv", &[&x, &w], &[]);
            x = b.quant(&x, 0.5, 4, true);
        }
        let y = b.node("GlobalAveragePool", &[&x], &[]);
        (b, y)
    };
    let ((a, y), (b, z)) = (build(false), build(true));
    assert_alike((&a, &y), (&b, &z));
}

#[test]
pub fn counted_bits_and_shifted_means_are_what_qonnx_says() {
    let mut random = Random(8);
    let bits: Vec<f32> = (0..9 * 4).map(|_| random.below(2) as f32).collect();
    let build = |own: bool| {
        let mut b = Builder::new(1, &[1, 1, 9, 9]);
        // Levels of 4 bits: sums of 3 × 3 have 8 bits, of which 4 are left.
        let x = b.quant("x", 1.0 / 15.0, 4, false);
        let fifteen = b.float(15.0);
        let x = b.node("Mul", &[&x, &fifteen], &[]);
        let mut x = if own {
            let attributes = [
                ("kernel", Attr::Int(3)),
                ("stride", Attr::Int(3)),
                ("ibits", Attr::Int(4)),
                ("obits", Attr::Int(4)),
            ];
            b.node("qonnx.custom_op.general:QuantAvgPool2d", &[&x], &attributes)
        } else {
            let window = [("kernel_shape", Attr::Ints(&[3, 3])), ("strides", Attr::Ints(&[3, 3]))];
            let x = b.node("AveragePool", &[&x], &window);
            let ninth = b.floats(&[], &[9.0 / 16.0]);
            let x = b.node("Mul", &[&x, &ninth], &[]);
            b.node("Floor", &[&x], &[])
        };
        x = b.node("Flatten", &[&x], &[]);
        let t = b.floats(&[1, 1], &[4.0]);
        x = b.node("MultiThreshold", &[&x, &t], &[("out_dtype", Attr::Text("BINARY"))]);
        let w = b.floats(&[9, 4], &bits);
        let y = if own {
            b.node("qonnx.custom_op.general:XnorPopcountMatMul", &[&x, &w], &[])
        } else {
            // A 1 adds what its weight says; the zeros of a column are alike where all bits are 0.
            let zeros: Vec<f32> = (0..4).map(|o| (0..9).map(|i| 1.0 - bits[i * 4 + o]).sum()).collect();
            let zeros = b.floats(&[4], &zeros);
            let weights: Vec<f32> = bits.iter().map(|v| 2.0 * v - 1.0).collect();
            let w = b.floats(&[9, 4], &weights);
            let y = b.node("MatMul", &[&x, &w], &[]);
            b.node("Add", &[&y, &zeros], &[])
        };
        (b, y)
    };
    let ((a, y), (b, z)) = (build(false), build(true));
    assert_alike((&a, &y), (&b, &z));
}

#[test]
pub fn a_clip_behind_a_quantizer_narrows_it() {
    let mut random = Random(2);
    let mut b = Builder::new(1, &[1, 2, 4, 4]);
    let (scale, zero) = (b.float(1.0 / 16.0), b.ints(2, &[], &[0]));
    let (low, high) = (b.ints(2, &[], &[0]), b.ints(2, &[], &[15]));
    let x = b.node("QuantizeLinear", &["x", &scale, &zero], &[]);
    let x = b.node("Clip", &[&x, &low, &high], &[]);
    let x = b.node("DequantizeLinear", &[&x, &scale, &zero], &[]);
    // Weights of 4 bits, two in a byte, are clipped too.
    let values: Vec<i64> = (0..48).map(|_| random.below(256) as i64 - 128).collect();
    let w = b.ints(22, &[3, 2, 4, 4], &values);
    b.graph.initializer.last_mut().unwrap().raw_data = values.iter().map(|&v| v as u8).collect();
    b.graph.initializer.last_mut().unwrap().int32_data.clear();
    let (low, high) = (b.ints(22, &[], &[-7]), b.ints(22, &[], &[7]));
    let w = b.node("Clip", &[&w, &low, &high], &[]);
    let (scale, zero) = (b.floats(&[3], &[0.5; 3]), b.ints(22, &[3], &[0; 3]));
    let w = b.node("DequantizeLinear", &[&w, &scale, &zero], &[("axis", Attr::Int(0))]);
    let y = b.node("Conv", &[&x, &w], &[]);
    let import = b.import(&y).unwrap();
    let steps: Vec<u8> = import.report.steps.iter().map(|s| s.bits).collect();
    assert_eq!(steps, [4]);
}

#[test]
pub fn constants_beside_the_scores_and_unused_logarithms_are_left_out() {
    let mut b = Builder::new(1, &[1, 2, 4, 4]);
    let x = b.quant("x", 1.0 / 16.0, 4, false);
    let x = b.node("GlobalAveragePool", &[&x], &[]);
    let (many, two) = (b.float(240.0), b.float(0.693));
    let bits = b.node("Log", &[&many], &[]);
    let bits = b.node("Div", &[&bits, &two], &[]);
    let bits = b.node("Ceil", &[&bits], &[]);
    let (s, z, o, n) = (b.float(1.0 / 256.0), b.float(0.0), b.float(1.0 / 16.0), b.float(4.0));
    let x = b.node("Trunc", &[&x, &s, &z, &bits, &o, &n], &[("signed", Attr::Int(0))]);
    let w = b.floats(&[3, 2, 1, 1], &[1.0, -2.0, 3.0, 1.0, -1.0, 2.0]);
    let y = b.node("Conv", &[&x, &w], &[]);
    let mut graph = b.graph.clone();
    graph.output = [&y, &s, &z].map(|name| build::value(name, 1, &[])).into();
    build::import(&build::bytes(graph), &Options::default()).unwrap();
}

#[test]
pub fn what_follows_the_scores_may_round_probabilities() {
    for (kind, ends) in [("Softmax", true), ("Sigmoid", true), ("Sigmoid", false)] {
        let mut b = Builder::new(1, &[1, 2, 2, 2]);
        let x = b.quant("x", 1.0 / 16.0, 4, false);
        let w = b.floats(&[3, 2, 2, 2], &(0..24).map(|i| (i % 5) as f32 - 2.0).collect::<Vec<_>>());
        let scores = b.node("Conv", &[&x, &w], &[]);
        let y = b.node(kind, &[&scores], &[]);
        let (scale, zero) = (b.float(1.0 / 255.0), b.ints(2, &[], &[0]));
        let y = b.node("QuantizeLinear", &[&y, &scale, &zero], &[]);
        let y = b.node("DequantizeLinear", &[&y, &scale, &zero], &[]);
        if ends {
            assert_eq!(b.import(&y).unwrap().report.scores, scores);
            let label = b.node("ArgMax", &[&y], &[("axis", Attr::Int(1))]);
            let error = b.import(&label).err().unwrap().to_string();
            assert!(error.contains("rounded probabilities"), "{error}");
        } else {
            let y = b.node("Mul", &[&y, &scores], &[]);
            let error = b.import(&y).err().unwrap().to_string();
            assert!(error.contains("(Sigmoid): no exact rational value"), "{error}");
        }
    }
}

#[test]
pub fn a_line_of_samples_is_convolved_along_it() {
    let mut b = Builder::new(1, &[1, 3, 12]);
    let x = b.quant("x", 1.0 / 16.0, 4, false);
    let w = b.floats(&[4, 3, 3], &(0..36).map(|i| (i % 5) as f32 - 2.0).collect::<Vec<_>>());
    let x = b.node("Conv", &[&x, &w], &[("strides", Attr::Ints(&[2])), ("pads", Attr::Ints(&[1, 0]))]);
    let slope = b.floats(&[4, 1], &[0.1, 0.25, 0.0, 1.0]);
    let x = b.node("PRelu", &[&x, &slope], &[]);
    let x = b.quant(&x, 0.4, 4, true);
    let x = b.node("Flatten", &[&x], &[]);
    let w = b.floats(&[24, 2], &(0..48).map(|i| (i % 7) as f32 - 3.0).collect::<Vec<_>>());
    let y = b.node("MatMul", &[&x, &w], &[]);
    let import = b.import(&y).unwrap();
    assert_eq!(import.network.input_shape(), dq_net::Shape::new(1, 12, 3));
}
