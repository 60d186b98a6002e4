//! Tests `dq amplify`: distances of adversaries layer by layer and at a quantizer, of several networks of
//! either family, and what it refuses.

use crate::run::{fails, json, ok, root};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn model() -> String {
    root().join("models/signs-tiny-dq/model.json").display().to_string()
}

/// Writes the float twin of the tests' model into `folder`, and returns its name.
fn float(folder: &Path) -> &'static str {
    let network = dq_net::read_network(Path::new(&model())).unwrap();
    let twin = dq_sim::twin::twin(&network).unwrap();
    dq_net::write_float(&twin, &folder.join("float.json")).unwrap();
    "float.json"
}

/// Returns the mean distances at each radius.
fn means(distances: &Value) -> Vec<f64> {
    distances.as_array().unwrap().iter().map(|distance| distance["mean"].as_f64().unwrap()).collect()
}

#[test]
fn noise_is_followed_through_networks_of_either_family() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let (model, float) = (model(), float(folder));
    let amplify = ["amplify", &model, float, "--data", "signs", "--count", "32", "--eps", "1,2,8"];
    let blocks = [&amplify[..], &["--bits", "1,3,8,16", "-o", "amplify.json"]].concat();
    let found = json(folder, &blocks);
    let written: Value = serde_json::from_slice(&fs::read(folder.join("amplify.json")).unwrap()).unwrap();
    assert_eq!(written, found);
    let head = [&found["format"], &found["version"], &found["all"], &found["networks"][1]["model"]["kind"]];
    assert_eq!(head, [&Value::from("dq-amplification"), &2.into(), &false.into(), &"float".into()]);
    for network in found["networks"].as_array().unwrap() {
        let nodes = network["nodes"].as_array().unwrap();
        for node in nodes {
            let distance = means(&node["distance"]);
            assert!(distance[1] < distance[2], "{node}");
            assert!(node["distance"][2]["deviation"].as_f64().unwrap() > 0.0, "{node}");
        }
        let at = |node: &Value| means(&node["distance"])[2];
        assert!(at(nodes.last().unwrap()) > 3.0 * at(&nodes[0]), "the error grows");
        let block = &network["first_block"];
        let unquantized = means(&block["unquantized"]);
        let at_bits = |n: usize| means(&block["quantized"][n]["distance"]);
        // Sixteen bits change nothing, and one bit makes a small distance larger.
        let is_close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-3 * a;
        assert!(unquantized.iter().zip(&at_bits(3)).all(is_close), "{block}");
        assert!(at_bits(0)[0] > 1.5 * unquantized[0], "{block}");
    }
    // What a float activation makes is what the block has before it is quantized.
    let block = &found["networks"][1]["first_block"];
    let nodes = found["networks"][1]["nodes"].as_array().unwrap();
    let own = nodes.iter().find(|node| node["node"] == block["node"]).unwrap();
    let (own, unquantized) = (means(&own["distance"]), means(&block["unquantized"]));
    assert!(own.iter().zip(&unquantized).all(|(a, b)| (a - b).abs() < 1e-5 * a), "{own:?} {unquantized:?}");
    // One network alone gives the same figures, and without --bits there is no block.
    let alone = json(folder, &["amplify", &model, "--data", "signs", "--count", "32", "--eps", "1,2,8"]);
    assert_eq!(alone["networks"][0]["nodes"], found["networks"][0]["nodes"]);
    assert!(alone["networks"][0]["first_block"].is_null());
    let text = ok(folder, &blocks);
    assert!(text.contains("(float): normalized distance") && text.contains("not quantized"), "{text}");
}

#[test]
fn wrong_images_are_attacked_on_demand_and_any_quantizer_is_looked_at() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    // A network that was not trained for these images gets many of them wrong.
    let model = root().join("models/cifar10-vgg-small-w4a4-dq.json").display().to_string();
    let amplify = ["amplify", &model, "--data", "signs", "--count", "24", "--attack", "fgsm", "--eps", "4"];
    let right = json(folder, &amplify);
    let all = json(folder, &[&amplify[..], &["--all", "--bits", "4", "--after", "step2_2"]].concat());
    assert_eq!((&right["all"], &all["all"]), (&false.into(), &true.into()));
    assert!(right["networks"][0]["attacked"].as_u64().unwrap() < 24, "{right}");
    assert_eq!(all["networks"][0]["attacked"], 24);
    let block = &all["networks"][0]["first_block"];
    assert_eq!((&block["node"], &block["own_bits"]), (&"step2_2".into(), &4.into()));
    let nodes = all["networks"][0]["nodes"].as_array().unwrap();
    let own = nodes.iter().find(|node| node["node"] == "step2_2").unwrap();
    let (own, tried) = (means(&own["distance"])[0], means(&block["quantized"][0]["distance"])[0]);
    assert!((own - tried).abs() < 0.02 * own, "{own} {tried}");
}

#[test]
fn bad_flags_are_named() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let amplify = ["amplify", &model, "--data", "signs", "--count", "8", "-o", "x.json"];
    let grey = "expected a whole number of grey levels, 1 to 255";
    for (more, code, words) in [
        (&["--eps", "0,2"][..], 2, &[grey, "'0'"][..]),
        (&["--eps", "0.5"], 2, &[grey, "'0.5'"]),
        (&["--eps", "-1"], 2, &[grey]),
        (&["--bits", "0"], 2, &["0 is not in 1..=16"]),
        (&["--bits", "4,17"], 2, &["17 is not in 1..=16"]),
        (&["--after", "step1"], 2, &["--bits"]),
        (
            &["--bits", "4", "--after", "conv9"],
            1,
            &["model.json: --after", "a node that quantizes (", "`conv9`"],
        ),
        (&["--bits", "4", "--after", "logits"], 1, &["--after", "found `logits`"]),
        (&["missing.json"], 1, &["missing.json"]),
    ] {
        let error = fails(folder, code, &[&amplify[..], more].concat());
        assert!(words.iter().all(|word| error.contains(word)), "{more:?}: {error}");
    }
    assert!(!folder.join("x.json").exists());
}
