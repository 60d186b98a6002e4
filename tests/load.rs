//! Tests circuits whose parameters are loaded: the accesses that a host makes, and what does not fit.

use crate::run::{fails, json, ok, root};
use std::fs;

#[test]
fn a_model_becomes_accesses_for_a_circuit_of_its_shape_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    ok(folder, &["emit", &model, "--control", "load", "-o", "rtl"]);
    let said = json(folder, &["load", &model, "--into", "rtl", "-o", "model.load"]);
    let text = fs::read_to_string(folder.join("model.load")).unwrap();
    let identity = said["identity"].as_u64().unwrap();
    assert!(text.starts_with(&format!("r 0x000 {identity:#010x}\nw 0x008 0x00000005\nw 0x01c 0x00000000\n")));
    let checksum = said["checksum"].as_u64().unwrap();
    assert!(text.ends_with(&format!("r 0x028 {checksum:#010x}\nw 0x008 0x00000000\n")));
    let words = text.lines().filter(|line| line.starts_with("w 0x020 ")).count();
    assert_eq!(said["words"].as_u64().unwrap() as usize, words);

    // Three cases are refused: a circuit of another folding, one that cannot be loaded, and none.
    ok(folder, &["emit", &model, "--fps", "400", "-o", "fixed"]);
    let error = fails(folder, 1, &["load", &model, "--into", "fixed", "-o", "x"]);
    assert!(error.contains("fixed/plan.json: control: expected `load`"), "{error}");
    let report = folder.join("rtl/report.json");
    let edited = fs::read_to_string(&report).unwrap().replace(&identity.to_string(), "7");
    fs::write(&report, edited).unwrap();
    let error = fails(folder, 1, &["load", &model, "--into", "rtl", "-o", "x"]);
    assert!(error.contains("expected identity 0x00000007"), "{error}");
    let error = fails(folder, 1, &["load", &model, "--into", "nowhere", "-o", "x"]);
    assert!(error.contains("nowhere/plan.json"), "{error}");
    assert!(!folder.join("x").exists());
}
