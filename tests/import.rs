//! Tests ONNX files that others wrote: import, the proof repeated, and the circuit of what was imported.

use crate::run::{fails, json, ok, own_images, root};
use dq_net::Network;
use dq_net::layer::{Input, Layer};
use dq_net::random::{self, Options};
use std::path::Path;

fn file(name: &str) -> String {
    root().join("onnx/tests/files").join(name).display().to_string()
}

/// Goes the whole way of a user who holds another's file: import, the proof again, Verilog that is equal to the
/// cycle, attack and certificates. Returns what the import said.
fn whole_way(folder: &Path, name: &str) -> serde_json::Value {
    let onnx = file(name);
    let said = json(folder, &["import", &onnx, "-o", "model.json"]);
    let network = dq_net::read_network(&folder.join("model.json")).unwrap();
    own_images(folder, &network, 6);
    let emitted = json(folder, &["emit", "model.json", "-o", "rtl"]);
    assert!(emitted["cycles_per_frame"].as_u64().unwrap() > 0, "{emitted}");
    let data = ["--data", "idx=own", "--count"];
    let args = [&["verify", "model.json", "--onnx", &onnx, "--rtl", "2"], &data[..], &["2"]].concat();
    let verified = json(folder, &args);
    assert_eq!((&verified["ok"], &verified["rtl"]["frames"]), (&true.into(), &2.into()), "{verified}");
    assert!(verified["rtl"]["adversarial"].as_u64() >= Some(1), "{verified}");
    assert_eq!(verified["onnx"]["boundaries"], said["proof"]["boundaries"]);
    assert_eq!(verified["hash"], said["hash"]);
    let args =
        [&["attack", "model.json", "--attack", "pgd", "--eps", "2", "-o", "a.json"], &data[..], &["6"]];
    let attacked = json(folder, &args.concat());
    assert_eq!(attacked["clean"]["correct"], 6, "{attacked}");
    let args = [&["certify", "model.json", "--eps", "1", "--boxes", "4", "-o", "c.json"], &data[..], &["2"]];
    let certified = json(folder, &args.concat());
    let (least, most) = (&certified["radii"][0]["certified"], &certified["radii"][0]["attacked"]);
    assert!(least["correct"].as_u64().unwrap() <= most["correct"].as_u64().unwrap(), "{certified}");
    said
}

#[test]
fn an_imported_convolutional_network_goes_the_whole_way() {
    let Some(_) = dq_hdl::tool::require("verilator") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let said = whole_way(scratch.path(), "brevitas_per_channel.onnx");
    assert_eq!(said["name"], "brevitas_per_channel");
    assert_eq!(said["import"]["input"], "input = pixel/255, image 16×16×3");
    assert_eq!(said["proof"]["boundaries"].as_u64(), Some(240));
    let text = ok(scratch.path(), &["info", "model.json"]);
    assert!(text.contains("brevitas_per_channel"), "{text}");
}

#[test]
fn an_imported_residual_network_goes_the_whole_way() {
    let Some(_) = dq_hdl::tool::require("verilator") else { return };
    let scratch = tempfile::tempdir().unwrap();
    whole_way(scratch.path(), "ort_resnet_qdq.onnx");
    let info = json(scratch.path(), &["info", "model.json"]);
    let sums = info["nodes"].as_array().unwrap().iter().filter(|node| node["kind"] == "sum");
    assert_eq!(sums.count(), 2, "{info}");
}

/// Images are the levels of the graph's first quantizer, which is no Step then.
#[test]
fn the_levels_of_an_input_are_images_where_asked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let onnx = file("brevitas_per_channel.onnx");
    let said = json(folder, &["import", &onnx, "--input", "levels", "-o", "model.json"]);
    let words = "input = level · 0.003921212162822485 of levels 0 to 255, image 16×16×3";
    assert_eq!(said["import"]["input"], words);
    let verify = ["verify", "model.json", "--rtl", "0", "--count", "1", "--onnx", &onnx, "--input"];
    ok(folder, &[&verify[..], &["levels"]].concat());
    assert!(fails(folder, 1, &[&verify[..], &["unit"]].concat()).contains("found hash"));
}

/// The data, the circuit and attacks have the levels of the input alone.
#[test]
fn a_network_of_four_levels_goes_the_whole_way() {
    let Some(_) = dq_hdl::tool::require("verilator") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let options = Options { residuals: true, ..Options::default() };
    let mut networks = (0..).map(|seed| random::network(seed, &options));
    let network = networks.find(|n| n.input().levels == 4 && n.input_shape().channels == 1).unwrap();
    dq_net::write_network(&network, &folder.join("model.json")).unwrap();
    own_images(folder, &network, 4);
    let data = ["--data", "idx=own", "--count", "4"];
    ok(folder, &[&["verify", "model.json", "--rtl", "2"], &data[..]].concat());
    let attack = ["attack", "model.json", "--attack", "pgd,square", "--eps", "1", "-o", "a.json"];
    let attacked = json(folder, &[&attack[..], &data].concat());
    assert_eq!(attacked["clean"]["correct"], 4, "{attacked}");
    let mut nodes = network.nodes().to_vec();
    nodes[0].layer = Layer::Input(Input::pixels(network.input_shape()));
    std::fs::remove_dir_all(folder.join("own")).unwrap();
    own_images(folder, &Network::new("pixels", nodes).unwrap(), 4);
    let error = fails(folder, 1, &[&attack[..], &data].concat());
    assert!(error.contains("data set `idx`, images[0]: expected levels of 0 to 3, found "), "{error}");
}

#[test]
fn another_file_or_another_normalization_is_another_network() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let (qdq, other) = (file("ort_mobilenet_qdq.onnx"), file("brevitas_per_channel.onnx"));
    let said = ok(folder, &["import", &qdq, "-o", "model.json", "--mean", "0.1,0.2,0.3", "--std", "0.5"]);
    assert!(said.contains("input = (pixel/255 − 0.1,0.2,0.3) / 0.5, image 16×16×3"), "{said}");
    let verify = ["verify", "model.json", "--rtl", "0", "--count", "1", "--onnx"];
    let same = ["--mean", "0.1,0.2,0.3", "--std", "0.5"];
    ok(folder, &[&verify[..], &[&qdq], &same].concat());
    let error = fails(folder, 1, &[&verify[..], &[&qdq]].concat());
    assert!(error.contains("expected a file that imports as network ort_mobilenet_qdq"), "{error}");
    let error = fails(folder, 1, &[&verify[..], &[&other], &same].concat());
    assert!(error.contains("found hash"), "{error}");
}

#[test]
fn a_network_goes_out_as_qonnx_and_comes_back_with_its_hash() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let hash = json(folder, &["info", &model])["hash"].clone();
    assert!(ok(folder, &["export", &model, "--qonnx", "net.onnx"]).contains("net.onnx: QONNX, "));
    let said = json(folder, &["import", "net.onnx", "-o", "again.json"]);
    assert_eq!((&said["hash"], &said["import"]["as_written"]), (&hash, &true.into()));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&folder.join("again.json")), read(model.as_ref()));
    let error = fails(folder, 1, &["export", &model, "-o", "again.json"]);
    assert!(error.contains("it is a network already: give --qonnx FILE"), "{error}");
    let error = fails(folder, 2, &["export", &model, "--qonnx", &model]);
    assert!(error.contains("would overwrite"), "{error}");
    let usage = fails(folder, 2, &["export", &model]);
    assert!(usage.contains("--output"), "{usage}");
}

#[test]
fn wrong_use_and_bad_files_are_told_apart() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let onnx = file("ort_mobilenet_qdq.onnx");
    for (args, part) in
        [(&["--mean", "1e3"][..], "expected a decimal number such as 0.485"), (&["--input", "float"], "unit")]
    {
        let error = fails(folder, 2, &[&["import", &onnx, "-o", "x.json"], args].concat());
        assert!(error.contains(part), "{error}");
    }
    let error = fails(folder, 2, &["verify", "x.json", "--mean", "0.5"]);
    assert!(error.contains("--onnx"), "{error}");
    std::fs::write(folder.join("text.onnx"), "not a model").unwrap();
    for (args, part) in [
        (&["nowhere.onnx"][..], "nowhere.onnx: reading"),
        (&["text.onnx"], "not an ONNX model"),
        (&[onnx.as_str(), "--std", "0"], "--std: expected numbers above 0"),
        (&[onnx.as_str(), "--mean", "0.1,0.2"], "--mean: expected 1 or 3 numbers, found 2"),
        (&[onnx.as_str(), "--output-tensor", "z"], "--output-tensor: expected one of"),
    ] {
        let error = fails(folder, 1, &[&["import", "-o", "x.json"], args].concat());
        assert!(error.contains(part), "{error}");
    }
    assert!(!folder.join("x.json").exists());
}
