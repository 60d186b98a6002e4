//! Inputs that are levels or signed whole numbers rather than pixels. An import proves itself against the
//! interpreter on images of those levels.

use crate::build::{Attr, Builder, import};
use dq_net::Network;
use dq_onnx::proto::{StringStringEntryProto, TensorAnnotation};
use dq_onnx::{Normalization, Options, Reading};

fn levels_read() -> Options {
    let normalization = Normalization { reading: Some(Reading::Levels), ..Normalization::default() };
    Options { normalization, ..Options::default() }
}

fn annotate(b: &mut Builder, datatype: &str) {
    let note = StringStringEntryProto { key: "finn_datatype".into(), value: datatype.into() };
    let note = TensorAnnotation { tensor_name: "x".into(), quant_parameter_tensor_names: vec![note] };
    b.graph.quantization_annotation.push(note);
}

/// Adds a padded convolution of `x`, 2 channels of 3 × 3, and the scores.
fn layers(b: &mut Builder, x: &str) -> String {
    let w = b.floats(&[4, 2, 2, 2], &(0..32).map(|i| (i * 5 % 7) as f32 - 3.0).collect::<Vec<_>>());
    let y = b.node("Conv", &[x, &w], &[("pads", Attr::Ints(&[1, 1, 0, 0]))]);
    let y = b.quant(&y, 0.5, 3, true);
    let w = b.floats(&[3, 4, 3, 3], &(0..108).map(|i| (i * 7 % 5) as f32 - 2.0).collect::<Vec<_>>());
    let y = b.node("Conv", &[&y, &w], &[]);
    b.node("Flatten", &[&y], &[])
}

/// Returns levels, lowest and unit of the input, and what the report says of it.
fn input(network: &Network, said: &str) -> (u16, f64, f64, String) {
    let input = network.input();
    (input.levels, input.lowest, input.unit, said.split(", image").next().unwrap_or("").into())
}

#[test]
fn finns_data_types_say_the_levels_of_a_float_input() {
    for (datatype, wanted) in [
        ("UINT2", (4, 0.0, 1.0, "input = level of levels 0 to 3")),
        ("INT4", (16, -8.0, 1.0, "input = (level − 8) of levels 0 to 15")),
        ("INT8", (256, -128.0, 1.0, "input = (level − 128) of levels 0 to 255")),
        ("TERNARY", (3, -1.0, 1.0, "input = (level − 1) of levels 0 to 2")),
        ("BINARY", (2, 0.0, 1.0, "input = level of levels 0 to 1")),
        ("UINT8", (256, 0.0, 1.0 / 255.0, "input = pixel")),
        ("FLOAT32", (256, 0.0, 1.0 / 255.0, "input = pixel/255")),
    ] {
        let mut b = Builder::new(1, &[1, 2, 3, 3]);
        annotate(&mut b, datatype);
        let y = layers(&mut b, "x");
        let found = b.import(&y).unwrap_or_else(|e| panic!("{datatype}: {e}"));
        let (levels, lowest, unit, said) = wanted;
        assert_eq!(
            input(&found.network, &found.report.input),
            (levels, lowest, unit, said.into()),
            "{datatype}"
        );
    }
}

/// ±1 has no 0 to pad with, but needs none here.
#[test]
fn bipolar_inputs_have_two_levels() {
    let mut b = Builder::new(1, &[1, 2, 3, 3]);
    annotate(&mut b, "BIPOLAR");
    let w = b.floats(&[3, 2, 3, 3], &(0..54).map(|i| (i * 5 % 7) as f32 - 3.0).collect::<Vec<_>>());
    let y = b.node("Conv", &["x", &w], &[]);
    let y = b.node("Flatten", &[&y], &[]);
    let found = b.import(&y).unwrap();
    let said = "input = (level − 0.5) · 2 of levels 0 to 1".to_string();
    assert_eq!(input(&found.network, &found.report.input), (2, -0.5, 2.0, said));
}

#[test]
fn whole_inputs_of_8_bits_are_levels_and_their_zero_point_pads() {
    for (element, zero, wanted) in [
        (3, -20, (256, -128.0, 1.0, "input = (level − 128) of levels 0 to 255")),
        (2, 7, (256, 0.0, 1.0 / 255.0, "input = pixel")),
    ] {
        let mut b = Builder::new(element, &[1, 2, 3, 3]);
        let (scale, zero) = (b.float(0.0173), b.ints(element, &[], &[zero]));
        let x = b.node("DequantizeLinear", &["x", &scale, &zero], &[]);
        let y = layers(&mut b, &x);
        let found = b.import(&y).unwrap_or_else(|e| panic!("{element}: {e}"));
        let (levels, lowest, unit, said) = wanted;
        assert_eq!(input(&found.network, &found.report.input), (levels, lowest, unit, said.into()));
    }
}

#[test]
fn the_quantizer_of_the_input_is_left_out_where_images_are_its_levels() {
    let steps =
        |network: &Network| network.nodes().iter().filter(|n| n.layer.kind().name() == "step").count();
    for turned in [false, true] {
        let mut b = if turned { Builder::new(1, &[1, 3, 3, 2]) } else { Builder::new(1, &[1, 2, 3, 3]) };
        let x = match turned {
            true => b.node("Transpose", &["x"], &[("perm", Attr::Ints(&[0, 3, 1, 2]))]),
            false => "x".into(),
        };
        let x = b.quant(&x, 0.25, 3, true);
        let y = layers(&mut b, &x);
        let found = import(&b.bytes(&y), &levels_read()).unwrap();
        let said = "input = (level − 4) · 0.25 of levels 0 to 7".to_string();
        assert_eq!(input(&found.network, &found.report.input), (8, -4.0, 0.25, said));
        let with_pixels = b.import(&y).unwrap();
        assert_eq!(steps(&found.network) + 1, steps(&with_pixels.network), "the quantizer is no Step");
    }
}

#[test]
fn inputs_without_levels_are_refused_with_what_to_do() {
    let of = |element: i32, datatype: &str, node: &str, options: &Options| {
        let mut b = Builder::new(element, &[1, 2, 3, 3]);
        annotate(&mut b, datatype);
        let x = match node {
            "Quant" => {
                let (s, z) = (b.floats(&[1, 2, 1, 1], &[0.5, 0.25]), b.float(0.0));
                let bits = b.float(4.0);
                b.node("Quant", &["x", &s, &z, &bits], &[])
            }
            "Quant12" => b.quant("x", 0.25, 12, false),
            _ => {
                let two = b.float(2.0);
                let x = b.node("Mul", &["x", &two], &[]);
                b.quant(&x, 0.25, 3, true)
            }
        };
        let y = layers(&mut b, &x);
        import(&b.bytes(&y), options).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let normalized = Options {
        normalization: Normalization { std: vec![dq_onnx::number::whole(2)], ..levels_read().normalization },
        ..Options::default()
    };
    for (error, part) in [
        (
            of(1, "UINT16", "Mul", &Options::default()),
            "input `x`: finn_datatype: expected at most 8 bits, found `UINT16`",
        ),
        (
            of(5, "", "Mul", &Options::default()),
            "input `x`: expected float32, or whole numbers of at most 8 bits",
        ),
        (of(1, "", "Mul", &levels_read()), "reads the input, found node `Mul"),
        (of(1, "", "Quant", &levels_read()), "scale: expected one number for all channels, found 2"),
        (of(1, "", "Quant12", &levels_read()), "expected 2 to 256 levels, found 4096"),
        (of(1, "", "Mul", &normalized), "--input levels: expected no --mean and no --std"),
        (of(3, "", "Mul", &normalized), "expected no normalization of an input of whole numbers"),
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
