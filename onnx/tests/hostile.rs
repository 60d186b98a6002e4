//! Files that are broken, huge or malicious: a quick error, no panic, no large allocation.

use crate::build::{self, Attr, Builder, Random};
use dq_onnx::Options;
use dq_onnx::proto::*;
use prost::Message;

fn sound() -> Builder {
    let mut b = Builder::new(1, &[1, 2, 4, 4]);
    let x = b.quant("x", 1.0 / 255.0, 8, false);
    let w = b.floats(&[3, 2, 4, 4], &(0..96).map(|i| (i % 3) as f32 - 1.0).collect::<Vec<_>>());
    b.node("Conv", &[&x, &w], &[("kernel_shape", Attr::Ints(&[4, 4]))]);
    b
}

fn last(b: &Builder) -> String {
    b.graph.node.last().unwrap().output[0].clone()
}

fn error(bytes: &[u8]) -> String {
    build::import(bytes, &Options::default()).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn cut_and_edited_files_never_panic() {
    let b = sound();
    let bytes = b.bytes(&last(&b));
    assert_eq!(error(&bytes), "");
    for length in 0..bytes.len() {
        assert_ne!(error(&bytes[..length]), "", "{length} bytes");
    }
    let mut random = Random(7);
    for _ in 0..400 {
        let mut edited = bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(edited.len());
            edited[at] = random.below(256) as u8;
        }
        let _ = error(&edited);
    }
}

#[test]
fn shapes_that_lie_are_refused_before_anything_is_allocated() {
    for dims in [&[1 << 40][..], &[-1, 3], &[1 << 20, 1 << 20, 1 << 20, 1 << 20], &[1 << 28]] {
        let mut b = sound();
        b.graph.initializer.last_mut().unwrap().dims = dims.to_vec();
        let error = error(&b.bytes(&last(&b)));
        assert!(error.contains("expected"), "{dims:?}: {error}");
    }
    let mut b = sound();
    b.graph.input[0] = build::value("x", 1, &[1, 1 << 30, 1 << 30, 4]);
    assert!(error(&b.bytes(&last(&b))).contains("at most 2^26 pixels"));
}

#[test]
fn cycles_and_missing_tensors_are_found() {
    let mut b = sound();
    let made = last(&b);
    b.graph.node[0].input[0] = made.clone();
    assert!(error(&b.bytes(&made)).contains("expected no cycle"));
    let mut b = sound();
    b.graph.node[1].input[1] = "nowhere".into();
    assert!(error(&b.bytes(&last(&b))).contains("found `nowhere`"));
    let mut b = sound();
    b.graph.node[1].output[0] = b.graph.node[0].output[0].clone();
    assert!(error(&b.bytes(&last(&b))).contains("expected one node that makes it, found two"));
}

#[test]
fn a_million_nodes_are_counted_not_decoded() {
    let node = NodeProto { op_type: "Relu".into(), ..Default::default() };
    let graph = GraphProto { node: vec![node; 1_000_000], ..Default::default() };
    let bytes = build::bytes(graph);
    let start = std::time::Instant::now();
    assert!(error(&bytes).contains("expected at most 16384 nodes"));
    assert!(start.elapsed().as_secs() < 5);
    // Empty messages take two bytes each.
    let mut graph = vec![];
    prost::encoding::encode_key(7, prost::encoding::WireType::LengthDelimited, &mut graph);
    prost::encoding::encode_varint(2_000_000, &mut graph);
    graph.extend([0x2a, 0x00].repeat(1_000_000));
    assert!(error(&graph).contains("found more"));
}

/// A zero point next to 0 makes values that have no unit of a size that sums could be counted in.
#[test]
fn what_the_proof_cannot_follow_is_no_difference() {
    let mut b = sound();
    let (s, z, n) = (b.float(0.5), b.float(2.154e-42), b.float(4.0));
    let x = b.node("Quant", &[&last(&b), &s, &z, &n], &[("signed", Attr::Int(1))]);
    let y = b.node("GlobalAveragePool", &[&x], &[]);
    let error = error(&b.bytes(&y));
    let expected = "expected values that the proof can follow exactly: node `GlobalAveragePool";
    assert!(error.contains(expected) && error.contains("sums of numbers without a common unit"), "{error}");
}

#[test]
fn types_that_are_not_read_are_named() {
    for (code, name) in [(10, "float16"), (16, "bfloat16"), (8, "texts"), (99, "elements of type 99")] {
        let mut b = sound();
        b.graph.initializer.last_mut().unwrap().data_type = code;
        let error = error(&b.bytes(&last(&b)));
        assert!(error.contains(name), "{code}: {error}");
    }
}

#[test]
fn external_data_stays_in_the_folder() {
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let with = |location: &str, length: &str| {
        let mut b = sound();
        let tensor = b.graph.initializer.last_mut().unwrap();
        tensor.float_data.clear();
        tensor.data_location = 1;
        tensor.external_data = vec![entry("location", location), entry("length", length)];
        b.bytes(&last(&b))
    };
    for place in ["../weights", "/etc/passwd", "", "a/../../b"] {
        assert!(error(&with(place, "384")).contains("a file in the model's folder"), "{place}");
    }
    assert!(error(&with("none.bin", "384")).contains("none.bin"));
    assert!(error(&with("none.bin", "x")).contains("expected a number"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, with("weights.bin", "384")).unwrap();
    let weights: Vec<u8> = (0..96).flat_map(|i| ((i % 3) as f32 - 1.0).to_le_bytes()).collect();
    std::fs::write(folder.path().join("weights.bin"), &weights).unwrap();
    let outside = dq_onnx::import(&path, &Options::default()).map(|i| i.network).unwrap();
    let b = sound();
    let inside = build::import(&b.bytes(&last(&b)), &Options::default()).map(|i| i.network).unwrap();
    assert_eq!(dq_net::content_hash(&outside), dq_net::content_hash(&inside));
    std::fs::write(folder.path().join("weights.bin"), &weights[..100]).unwrap();
    assert!(dq_onnx::import(&path, &Options::default()).is_err());
}

#[test]
fn one_of_two_outputs_is_chosen() {
    let b = sound();
    let mut graph = b.graph.clone();
    let scores = last(&b);
    graph.output = vec![build::value(&scores, 1, &[]), build::value(&graph.node[0].output[0], 1, &[])];
    let bytes = build::bytes(graph);
    assert!(error(&bytes).contains("choose with --output-tensor"));
    let options = |name: &str| Options { output: Some(name.into()), ..Default::default() };
    assert!(build::import(&bytes, &options(&scores)).is_ok());
    let error = build::import(&bytes, &options("nowhere")).err().unwrap().to_string();
    assert!(error.contains("--output-tensor: expected one of"), "{error}");
    assert!(ModelProto::decode(&bytes[..]).is_ok());
}
