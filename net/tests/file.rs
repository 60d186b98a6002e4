//! Tests the model file: what is written is read back, and everything malformed is refused by name, quickly
//! and without a panic.

use dq_net::float::layer as float;
use dq_net::layer::{
    BitDepth, Concat, Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Median, Mix, Rescale, Step, Sum,
    Surrogate,
};
use dq_net::{
    FloatLayer, FloatNetwork, FloatNode, Network, Node, Shape, content_hash, float_content_hash, read_any,
    read_float, read_network, to_json, write_float, write_network,
};
use ndarray::{Array2, Array4};
use serde_json::{Value, json};
use std::path::PathBuf;

fn node(name: &str, layer: Layer, input: &str) -> Node {
    let inputs = if input.is_empty() { vec![] } else { vec![input.to_string()] };
    Node { name: name.into(), layer, inputs }
}

fn step(bits: u8, channels: usize, spread: i32) -> Layer {
    let count = (1 << bits) - 1;
    let thresholds = Array2::from_shape_fn((channels, count), |(c, t)| spread * (t as i32 - c as i32));
    Layer::Step(Step {
        bits,
        dir: (0..channels).map(|c| if c % 2 == 0 { 1 } else { -1 }).collect(),
        thresholds,
        surrogate: Surrogate {
            gain: (0..channels).map(|c| if c % 2 == 0 { 0.1 } else { -0.3 }).collect(),
            open_lo: vec![-20; channels],
            open_hi: vec![30; channels],
            unit: 0.4,
        },
    })
}

fn nodes() -> Vec<Node> {
    let conv = Conv {
        weights: Array4::from_shape_fn((4, 3, 3, 2), |(o, y, x, c)| {
            ((o * 7 + y * 5 + x * 3 + c) % 15) as i8 - 7
        }),
        weight_bits: 4,
        stride: [1, 1],
        pad: [1, 1, 1, 1],
        pad_level: 0,
        groups: 1,
    };
    let dense = Dense {
        weights: Array2::from_shape_fn((3, 4), |(o, i)| if (o + i) % 2 == 0 { 1 } else { -1 }),
        weight_bits: 1,
    };
    vec![
        node("input", Layer::Input(Input::pixels(Shape::new(6, 6, 2))), ""),
        node("conv1", Layer::Conv(conv), "input"),
        node("step1", step(2, 4, 9), "conv1"),
        node("pool1", Layer::MaxPool(MaxPool { window: [2, 2], stride: [2, 2] }), "step1"),
        node("sum", Layer::GlobalSum(GlobalSum), "pool1"),
        node("dense", Layer::Dense(dense), "sum"),
        node("logits", Layer::Logits(Logits { bias: vec![3, -2, 0], scale: 0.01 }), "dense"),
    ]
}

fn network() -> Network {
    Network::new("tiny", nodes()).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join("model.json");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Returns the error of reading the network after `edit`; the checksum is made right again where `sign` is
/// set.
fn refused(sign: bool, edit: impl FnOnce(&mut Value)) -> String {
    refused_of(&network(), sign, edit)
}

/// Returns the error as [`refused`] does, for `network`.
fn refused_of(network: &Network, sign: bool, edit: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(&to_json(network)).unwrap();
    edit(&mut value);
    let folder = Folder::new();
    if sign {
        // The error for a wrong checksum names the right one.
        let path = folder.file(value.to_string());
        let message = read_network(&path).unwrap_err().to_string();
        if let Some(right) = message.split("expected ").nth(1).and_then(|m| m.split(' ').next())
            && message.contains("checksum")
        {
            value["checksum"] = right.into();
        }
    }
    let path = folder.file(value.to_string());
    let message = read_network(&path).unwrap_err().to_string();
    assert!(message.contains("model.json"), "names no file: {message}");
    message
}

#[test]
fn what_is_written_is_read_back() {
    let folder = Folder::new();
    let path = folder.0.path().join("model.json");
    let network = network();
    write_network(&network, &path).unwrap();
    let back = read_network(&path).unwrap();
    assert_eq!(back, network);
    assert_eq!(to_json(&back), to_json(&network));
    assert_eq!(content_hash(&back), content_hash(&network));
}

/// Returns [`network`] with a padding of `level`.
fn padded(level: i32) -> Network {
    let mut nodes = nodes();
    if let Layer::Conv(conv) = &mut nodes[1].layer {
        conv.pad_level = level;
    }
    Network::new("tiny", nodes).unwrap()
}

/// A level of 0 is no part of the file, as before there were others: texts and hashes stay what they are.
#[test]
fn a_padding_of_level_0_is_not_written_and_another_one_is_read_back() {
    let text = to_json(&network());
    assert!(!text.contains("pad_level"));
    let hash = "9d9e3ab0265b6bcb82a333b0c31a0b703a80554d702de23bc0e7e374efbb4b8b";
    assert_eq!(content_hash(&network()), hash);
    let folder = Folder::new();
    let path = folder.0.path().join("model.json");
    write_network(&padded(131), &path).unwrap();
    assert_eq!(read_network(&path).unwrap(), padded(131));
    assert_ne!(content_hash(&padded(131)), content_hash(&network()));
}

/// A file names the oldest version that has its kinds and fields; what says a newer one is read as well.
#[test]
fn versions_are_the_oldest_that_do_and_all_are_read() {
    let version = |network: &Network| {
        let value: Value = serde_json::from_str(&to_json(network)).unwrap();
        value["version"].as_u64()
    };
    assert_eq!((version(&network()), version(&residual())), (Some(1), Some(2)));
    assert_eq!((version(&padded(1)), version(&summed([2, -3]).unwrap())), (Some(3), Some(3)));
    let folder = Folder::new();
    let mut value: Value = serde_json::from_str(&to_json(&network())).unwrap();
    value["version"] = json!(2);
    // The error for a wrong checksum names the right one.
    let message = read_network(&folder.file(value.to_string())).unwrap_err().to_string();
    let right = message.split("expected ").nth(1).and_then(|m| m.split(' ').next()).unwrap();
    value["checksum"] = right.into();
    assert_eq!(read_network(&folder.file(value.to_string())).unwrap(), network());
}

#[test]
fn the_hash_is_of_what_it_computes() {
    let mut renamed = network();
    renamed.name = "other".into();
    assert_eq!(content_hash(&renamed), content_hash(&network()));
    let mut nodes = nodes();
    if let Layer::Logits(logits) = &mut nodes[6].layer {
        logits.bias[0] += 1;
    }
    assert_ne!(content_hash(&Network::new("tiny", nodes).unwrap()), content_hash(&network()));
}

#[test]
fn truncated_anywhere_it_is_refused() {
    let folder = Folder::new();
    let text = to_json(&network());
    for length in (0..text.len() - 2).step_by(97) {
        assert!(
            read_network(&folder.file(&text[..length])).is_err(),
            "read {length} bytes of {}",
            text.len()
        );
    }
}

#[test]
fn an_edit_shows_in_the_checksum() {
    let message = refused(false, |v| v["nodes"][6]["layer"]["logits"]["bias"][0] = json!(4));
    assert!(message.contains("checksum"), "{message}");
    let message = refused(false, |v| v["checksum"] = json!("sha256:00"));
    assert!(message.contains("checksum") && message.contains("sha256:00"), "{message}");
}

#[test]
fn malformed_fields_are_named() {
    type Edit = fn(&mut Value);
    let cases: &[(Edit, &[&str])] = &[
        (|v| v["format"] = json!("onnx"), &["format", "dq-network", "onnx"]),
        (|v| v["version"] = json!(5), &["version", "1 to 4", "5"]),
        (|v| v["extra"] = json!(1), &["extra"]),
        (
            |v| v["nodes"][1]["layer"]["conv"]["weights"]["bits"] = json!(0),
            &["conv1", "weights.bits", "1 to 32"],
        ),
        (
            |v| v["nodes"][1]["layer"]["conv"]["weight_bits"] = json!(9),
            &["conv1", "weight_bits", "1 to 8", "9"],
        ),
        (|v| v["nodes"][1]["layer"]["conv"]["groups"] = json!(3), &["conv1", "groups", "3"]),
        (|v| v["nodes"][1]["layer"]["conv"]["stride"] = json!([0, 1]), &["conv1", "stride"]),
        (|v| v["nodes"][1]["layer"]["conv"]["pad"] = json!([5, 1, 1, 1]), &["conv1", "pad", "5"]),
        (
            |v| v["nodes"][1]["layer"]["conv"]["pad_level"] = json!(256),
            &["conv1", "pad_level", "0..=255", "256"],
        ),
        (|v| v["nodes"][1]["layer"]["conv"]["pad_level"] = json!(-1), &["conv1", "pad_level", "-1"]),
        (|v| v["nodes"][2]["layer"]["step"]["bits"] = json!(0), &["step1", "bits", "1 to 8", "0"]),
        (|v| v["nodes"][2]["layer"]["step"]["bits"] = json!(9), &["step1", "bits", "1 to 8", "9"]),
        (|v| v["nodes"][2]["layer"]["step"]["bits"] = json!(3), &["step1", "thresholds", "7"]),
        (|v| v["nodes"][2]["layer"]["step"]["dir"] = json!([1, 1]), &["step1", "dir", "4", "2"]),
        (|v| v["nodes"][2]["layer"]["step"]["dir"][1] = json!(0), &["step1", "dir[1]"]),
        (
            |v| v["nodes"][2]["layer"]["step"]["thresholds"]["offset"] = json!(900_000),
            &["step1", "thresholds[0][0]"],
        ),
        (|v| v["nodes"][2]["layer"]["step"]["surrogate"]["gain"][0] = json!(-1.0), &["step1", "gain[0]"]),
        (|v| v["nodes"][3]["layer"]["max_pool"]["window"] = json!([9, 9]), &["pool1", "window"]),
        (
            |v| v["nodes"][0]["layer"]["input"]["shape"]["channels"] = json!(3),
            &["conv1", "weights", "3", "2"],
        ),
        (|v| v["nodes"][6]["layer"]["logits"]["scale"] = json!(0.0), &["logits", "scale"]),
        (|v| v["nodes"][6]["layer"]["logits"]["bias"] = json!([1]), &["logits", "bias"]),
        (
            |v| v["nodes"][6]["layer"]["logits"]["bias"] = json!([1 << 30, 1 << 30, 1 << 30]),
            &["logits", "range"],
        ),
        (|v| v["nodes"][2]["name"] = json!("conv1"), &["conv1", "used once"]),
        (|v| v["nodes"][2]["name"] = json!("../x"), &["#2", "name"]),
        (|v| v["nodes"][0]["layer"]["input"]["shape"]["height"] = json!(0), &["input", "shape"]),
        (|v| drop(v["nodes"].as_array_mut().unwrap().pop()), &["dense", "logits"]),
        (|v| v["nodes"] = json!([]), &["nodes", "0"]),
        (|v| v["name"] = json!(""), &["(network)", "name"]),
        (|v| v["name"] = json!("a\n// \u{1b}[2J"), &["(network)", "name", r"a\n"]),
        (|v| v["name"] = json!("x".repeat(129)), &["(network)", "name", "128"]),
    ];
    for (i, (edit, words)) in cases.iter().enumerate() {
        let message = refused(true, edit);
        for word in *words {
            assert!(message.contains(word), "case {i}: `{word}` is not in: {message}");
        }
    }
}

#[test]
fn cycles_and_dead_ends_are_refused() {
    let message = refused(true, |v| v["nodes"][1]["inputs"] = json!(["step1"]));
    assert!(message.contains("conv1") && message.contains("step1"), "{message}");
    let message = refused(true, |v| v["nodes"][1]["inputs"] = json!(["conv1"]));
    assert!(message.contains("earlier"), "{message}");
    let message = refused(true, |v| v["nodes"][2]["inputs"] = json!(["input"]));
    assert!(message.contains("conv1") && message.contains("never used"), "{message}");
}

#[test]
fn hostile_files_are_refused_without_a_large_allocation() {
    let message = refused(true, |v| {
        v["nodes"][1]["layer"]["conv"]["weights"]["shape"] = json!([1 << 20, 1 << 20, 1 << 20, 1 << 20]);
    });
    assert!(message.contains("weights.shape"), "{message}");
    let message = refused(true, |v| {
        v["nodes"][1]["layer"]["conv"]["weights"]["shape"] = json!([1 << 10, 1 << 10, 1 << 5, 1]);
    });
    assert!(message.contains("weights.data"), "{message}");
    let message = refused(true, |v| {
        v["nodes"][0]["layer"]["input"]["shape"] =
            json!({"height": 1u64 << 31, "width": 1u64 << 31, "channels": 2});
    });
    assert!(message.contains("`input`, shape"), "{message}");
    let message = refused(true, |v| {
        // The file has few bytes, but many large maps: 2^25 elements each.
        let shape = json!({"height": 1 << 13, "width": 1 << 11, "channels": 2});
        v["nodes"][0]["layer"]["input"]["shape"] = shape;
    });
    assert!(message.contains("conv1") && message.contains("in all"), "{message}");
    let folder = Folder::new();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [
        deep.clone(),
        format!(r#"{{"format":"dq-network","version":1,"nodes":{deep}}}"#),
        String::new(),
        "null".into(),
        "{\"format\":1}".into(),
    ] {
        assert!(read_any(&folder.file(&text)).is_err());
    }
    assert!(read_any(folder.0.path()).is_err(), "a folder");
    if cfg!(unix) {
        let message = read_any(std::path::Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(message.contains("at most"), "{message}");
    }
    assert!(read_any(&folder.0.path().join("missing.json")).is_err());
    assert!(read_any(&folder.file([0xff, 0xfe, 0x00])).is_err(), "not text");
}

#[test]
fn a_float_network_is_its_own_family() {
    let float = |name: &str, layer, input: &str| FloatNode {
        name: name.into(),
        layer,
        inputs: if input.is_empty() { vec![] } else { vec![input.into()] },
    };
    let nodes = vec![
        float("input", FloatLayer::Input(float::Input { shape: Shape::new(2, 2, 1) }), ""),
        float(
            "conv",
            FloatLayer::Conv(float::Conv {
                weights: Array4::from_elem((2, 1, 1, 1), 1.5),
                stride: [1, 1],
                pad: [0; 4],
                groups: 1,
            }),
            "input",
        ),
        float(
            "act",
            FloatLayer::Activation(float::Activation {
                scale: vec![4.0, -4.0],
                bias: vec![0.0, 1.0],
                ceiling: 6.0,
                bits: None,
            }),
            "conv",
        ),
        float("mean", FloatLayer::GlobalMean(float::GlobalMean), "act"),
        float("logits", FloatLayer::Logits(float::Logits { bias: vec![0.0, 0.5] }), "mean"),
    ];
    let network = FloatNetwork::new("float", nodes.clone()).unwrap();
    let other = FloatNetwork::new("other", nodes.clone()).unwrap();
    assert_eq!(float_content_hash(&network), float_content_hash(&other), "the name computes nothing");
    let mut moved = nodes;
    moved[4].layer = FloatLayer::Logits(float::Logits { bias: vec![0.0, 0.25] });
    assert_ne!(float_content_hash(&network), float_content_hash(&FloatNetwork::new("float", moved).unwrap()));
    let image = ndarray::array![[[0u8], [255]], [[51], [102]]];
    let logits = network.eval(image.view());
    // Channel 0: 6·pixel/255 = 0, 6, 1.2, 2.4; channel 1: clip(1 − 6·pixel/255) = 1, 0, 0, 0.
    assert!((logits[0] - 2.4).abs() < 1e-6 && (logits[1] - 0.75).abs() < 1e-6, "{logits:?}");

    let folder = Folder::new();
    let path = folder.0.path().join("model.json");
    write_float(&network, &path).unwrap();
    assert_eq!(read_float(&path).unwrap(), network);
    let message = read_network(&path).unwrap_err().to_string();
    assert!(message.contains("dq-float-network") && message.contains("integer network"), "{message}");
}

#[test]
fn writing_onto_a_folder_or_into_nothing_fails_cleanly() {
    let folder = Folder::new();
    assert!(write_network(&network(), folder.0.path()).is_err());
    assert!(write_network(&network(), &folder.0.path().join("no/such/model.json")).is_err());
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 0);
}

/// Returns a residual network with its image squeezed: the kinds that `network` lacks.
fn residual() -> Network {
    let node = |name: &str, layer, inputs: &[&str]| Node {
        name: name.into(),
        layer,
        inputs: inputs.iter().map(|s| s.to_string()).collect(),
    };
    let rescale = |add| Rescale { mul: vec![9, -70_000], add: vec![add, -5], shift: 7, bits: 12, unit: 0.01 };
    let shape = Shape::new(4, 4, 2);
    Network::new(
        "residual",
        vec![
            node("input", Layer::Input(Input::pixels(shape)), &[]),
            node("median", Layer::Median(Median), &["input"]),
            node("depth", Layer::BitDepth(BitDepth { bits: 5 }), &["median"]),
            node("stream", Layer::Rescale(rescale(1 << 40)), &["depth"]),
            node("branch", Layer::Rescale(rescale(64)), &["depth"]),
            node("mix", Layer::Mix(Mix { a: 12, b: 4, shift: 4, bits: 12 }), &["stream", "branch"]),
            node("sum", Layer::GlobalSum(GlobalSum), &["mix"]),
            node("logits", Layer::Logits(Logits { bias: vec![0, 1], scale: 0.5 }), &["sum"]),
        ],
    )
    .unwrap()
}

#[test]
fn a_residual_network_is_read_back_and_its_faults_are_named() {
    let folder = Folder::new();
    let path = folder.0.path().join("model.json");
    let network = residual();
    write_network(&network, &path).unwrap();
    assert_eq!(read_network(&path).unwrap(), network);
    assert_eq!(network.unit(5), Some(0.01));
    assert_eq!(network.unit(2), Some(1.0 / 31.0));
    type Edit<'a> = &'a dyn Fn(&mut Value);
    let cases: &[(Edit, &[&str])] = &[
        (&|v| v["nodes"][5]["layer"]["mix"]["a"] = json!(11), &["mix", "a, b", "2^shift = 16", "11 and 4"]),
        (
            &|v| v["nodes"][5]["inputs"] = json!(["stream", "branch", "branch"]),
            &["mix", "inputs", "2 of them", "3"],
        ),
        (&|v| v["nodes"][5]["layer"]["mix"]["bits"] = json!(1), &["mix", "bits", "2 to 16"]),
        (&|v| v["nodes"][3]["layer"]["rescale"]["mul"] = json!([1]), &["stream", "add", "1 entries", "2"]),
        (&|v| v["nodes"][3]["layer"]["rescale"]["mul"][1] = json!(200_000), &["stream", "mul[1]", "200000"]),
        (&|v| v["nodes"][2]["layer"]["bit_depth"]["bits"] = json!(0), &["depth", "bits", "1 to 8", "0"]),
        (&|v| v["nodes"][2]["inputs"] = json!(["median", "median"]), &["depth", "inputs", "1 of them"]),
    ];
    for (edit, words) in cases {
        let message = refused_of(&network, true, |v| edit(v));
        for word in *words {
            assert!(message.contains(word), "`{word}` missing in: {message}");
        }
    }
}

/// Returns a residual whose streams meet in an exact sum.
fn summed(factors: [i32; 2]) -> Result<Network, dq_net::NetworkError> {
    let mut nodes = residual().nodes().to_vec();
    nodes[5].layer = Layer::Sum(Sum { factors });
    Network::new("summed", nodes)
}

#[test]
fn a_sum_is_read_back_and_its_faults_are_named() {
    let folder = Folder::new();
    let path = folder.0.path().join("model.json");
    let network = summed([5, -3]).unwrap();
    write_network(&network, &path).unwrap();
    assert_eq!(read_network(&path).unwrap(), network);
    assert_eq!(network.unit(5), None);
    type Edit<'a> = &'a dyn Fn(&mut Value);
    let cases: &[(Edit, &[&str])] = &[
        (
            &|v| v["nodes"][5]["layer"]["sum"]["factors"] = json!([5, 0]),
            &["mix", "factors[1]", "other than 0"],
        ),
        (&|v| v["nodes"][5]["layer"]["sum"]["factors"] = json!([5]), &["length"]),
        (&|v| v["nodes"][5]["layer"]["sum"]["factors"] = json!([1 << 19, 1]), &["mix", "range", "2^30"]),
        (
            &|v| v["nodes"][5]["inputs"] = json!(["stream", "branch", "branch"]),
            &["mix", "inputs", "2 of them", "3"],
        ),
    ];
    for (edit, words) in cases {
        let message = refused_of(&network, true, |v| edit(v));
        for word in *words {
            assert!(message.contains(word), "`{word}` missing in: {message}");
        }
    }
}

/// Returns [`network`] with another input.
fn of_levels(input: Input) -> Result<Network, dq_net::NetworkError> {
    let mut nodes = nodes();
    nodes[0].layer = Layer::Input(input);
    Network::new("tiny", nodes)
}

/// An input of pixels is written as before there were others.
#[test]
fn levels_of_an_input_are_read_back_and_their_faults_are_named() {
    assert!(["levels", "lowest"].iter().all(|field| !to_json(&network()).contains(field)));
    let shape = network().input_shape();
    let folder = Folder::new();
    let path = folder.0.path().join("model.json");
    let pixels = Input::pixels(shape);
    for input in [
        Input { levels: 255, ..pixels },
        Input { lowest: -128.0, unit: 0.5, ..pixels },
        Input { levels: 100, lowest: -0.5, unit: 2.0, ..pixels },
    ] {
        let network = of_levels(input).unwrap();
        write_network(&network, &path).unwrap();
        assert_eq!(read_network(&path).unwrap(), network);
        let value: Value = serde_json::from_str(&to_json(&network)).unwrap();
        assert_eq!(value["version"].as_u64(), Some(4));
        assert_eq!((network.input(), network.unit(0)), (input, Some(input.unit)));
        assert_ne!(content_hash(&network), content_hash(&self::network()));
    }
    let network = of_levels(Input { lowest: -128.0, unit: 0.5, ..pixels }).unwrap();
    type Edit<'a> = &'a dyn Fn(&mut Value);
    let cases: &[(Edit, &[&str])] = &[
        (&|v| v["levels"] = json!(1), &["input", "levels", "2 to 256", "1"]),
        (&|v| v["levels"] = json!(257), &["input", "levels", "2 to 256", "257"]),
        (&|v| v["lowest"] = json!(1e6), &["input", "lowest", "32768"]),
        (&|v| v["unit"] = json!(0.0), &["input", "unit", "above 0"]),
        (&|v| v["step"] = json!(0.0), &["step"]),
    ];
    for (edit, words) in cases {
        let message = refused_of(&network, true, |v| edit(&mut v["nodes"][0]["layer"]["input"]));
        for word in *words {
            assert!(message.contains(word), "`{word}` missing in: {message}");
        }
    }
}

/// Returns a residual whose streams lie beside each other.
fn concatenated() -> Network {
    let mut nodes = residual().nodes().to_vec();
    nodes[5].layer = Layer::Concat(Concat);
    nodes[7].layer = Layer::Logits(Logits { bias: vec![0, 1, 2, 3], scale: 0.5 });
    Network::new("beside", nodes).unwrap()
}

#[test]
fn a_concat_is_read_back_and_its_faults_are_named() {
    let folder = Folder::new();
    let path = folder.0.path().join("model.json");
    let network = concatenated();
    write_network(&network, &path).unwrap();
    assert_eq!(read_network(&path).unwrap(), network);
    let value: Value = serde_json::from_str(&to_json(&network)).unwrap();
    assert_eq!((value["version"].as_u64(), &value["nodes"][5]["layer"]), (Some(4), &json!({ "concat": {} })));
    // Both streams have the unit of their rescales.
    assert_eq!(network.unit(5), Some(0.01));
    type Edit<'a> = &'a dyn Fn(&mut Value);
    let cases: &[(Edit, &[&str])] = &[
        (&|v| v["nodes"][5]["layer"]["concat"]["axis"] = json!(2), &["axis"]),
        (
            &|v| v["nodes"][5]["inputs"] = json!(["stream", "branch", "branch"]),
            &["mix", "inputs", "2 of them", "3"],
        ),
    ];
    for (edit, words) in cases {
        let message = refused_of(&network, true, |v| edit(v));
        for word in *words {
            assert!(message.contains(word), "`{word}` missing in: {message}");
        }
    }
}

/// The text of a float network's file, with every kind of layer, stays what it is.
#[test]
fn the_file_of_a_float_network_is_pinned() {
    let (scale, bias) = (vec![0.5, -1.25], vec![0.1, 0.0]);
    let points = vec![-0.5, 0.5, 0.75];
    let shape = Shape::new(4, 4, 2);
    let nodes = [
        ("input", FloatLayer::Input(float::Input { shape }), vec![]),
        ("depth", FloatLayer::BitDepth(float::BitDepth { bits: 5 }), vec!["input"]),
        ("median", FloatLayer::Median(float::Median), vec!["depth"]),
        (
            "conv",
            FloatLayer::Conv(float::Conv {
                weights: Array4::from_shape_fn((2, 3, 3, 2), |(o, y, x, c)| {
                    (o * 18 + y * 6 + x * 2 + c) as f32 / 7.0
                }),
                stride: [1, 1],
                pad: [1; 4],
                groups: 1,
            }),
            vec!["median"],
        ),
        (
            "act",
            FloatLayer::Activation(float::Activation {
                scale: scale.clone(),
                bias: bias.clone(),
                ceiling: 6.0,
                bits: Some(4),
            }),
            vec!["conv"],
        ),
        (
            "levels",
            FloatLayer::Levels(float::Levels { scale: scale.clone(), bias: bias.clone(), points, unit: 0.3 }),
            vec!["conv"],
        ),
        ("affine", FloatLayer::Affine(float::Affine { scale, bias }), vec!["levels"]),
        ("mix", FloatLayer::Mix(float::Mix { a: 0.7, b: 0.3 }), vec!["act", "affine"]),
        ("pool", FloatLayer::MaxPool(float::MaxPool { window: [2, 2], stride: [2, 1] }), vec!["mix"]),
        ("mean", FloatLayer::GlobalMean(float::GlobalMean), vec!["pool"]),
        (
            "dense",
            FloatLayer::Dense(float::Dense {
                weights: Array2::from_shape_fn((3, 2), |(o, i)| (o + i) as f32 / 3.0),
            }),
            vec!["mean"],
        ),
        ("logits", FloatLayer::Logits(float::Logits { bias: vec![0.0, 0.5, -0.5] }), vec!["dense"]),
    ];
    let node = |(name, layer, inputs): (&str, FloatLayer, Vec<&str>)| FloatNode {
        name: name.into(),
        layer,
        inputs: inputs.into_iter().map(String::from).collect(),
    };
    let network = FloatNetwork::new("all", nodes.map(node).into()).unwrap();
    let folder = Folder::new();
    let path = folder.0.path().join("model.json");
    write_float(&network, &path).unwrap();
    assert_eq!(read_float(&path).unwrap(), network);
    let value: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    // The checksum covers the whole document.
    assert_eq!(value["checksum"], "sha256:82718719bac4d606b9ce74380acdb39257e896e0c03b166f19e38485d757a056");
    let logits = network
        .eval(ndarray::Array3::from_shape_fn(shape.dim(), |(y, x, c)| (y * 60 + x * 9 + c) as u8).view());
    assert_eq!(logits, [0.0, 1.3638889049821428, 1.2277778099642855]);
}
