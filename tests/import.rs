//! Tests ONNX files that others wrote: import, the proof repeated, and the circuit of what was imported.

use crate::run::{fails, json, ok, root};

fn file(name: &str) -> String {
    root().join("onnx/tests/files").join(name).display().to_string()
}

#[test]
fn an_imported_network_is_verified_down_to_its_circuit() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let onnx = file("brevitas_per_channel.onnx");
    let said = json(folder, &["import", &onnx, "-o", "model.json"]);
    assert_eq!(said["name"], "brevitas_per_channel");
    assert_eq!(said["import"]["input"], "input = pixel/255, image 16×16×3");
    assert_eq!(said["proof"]["boundaries"].as_u64(), Some(240));
    let verified = json(folder, &["verify", "model.json", "--onnx", &onnx, "--count", "2", "--rtl", "1"]);
    assert_eq!(verified["onnx"]["boundaries"].as_u64(), Some(240));
    assert_eq!(verified["hash"], said["hash"]);
    let text = ok(folder, &["info", "model.json"]);
    assert!(text.contains("brevitas_per_channel"), "{text}");
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
