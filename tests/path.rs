//! Tests the whole path on the committed run: a trained float checkpoint, its integer network, simulator,
//! netlist and emitted Verilog are compared by the commands that a user would type.

use crate::run::{json, ok, root};
use std::fs;
use std::path::Path;

fn run() -> String {
    root().join("models/signs-tiny-dq").display().to_string()
}

fn model() -> String {
    format!("{}/model.json", run())
}

#[test]
fn float_model_simulator_netlist_and_verilog_agree() {
    let Some(_) = dq_hdl::tool::require("verilator") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let result = json(
        scratch.path(),
        &[
            "verify",
            &model(),
            "--run",
            &run(),
            "--data",
            "signs",
            "--count",
            "200",
            "--rtl",
            "8",
            "--fps",
            "400",
        ],
    );
    assert_eq!(result["ok"], true, "{result}");
    assert!(result["float"]["boundaries"].as_u64().unwrap() > 100, "{result}");
    assert_eq!(result["float"]["differences"], 0);
    assert!(result["engine"]["images"].as_u64().unwrap() >= 200);
    assert_eq!(result["rtl"]["frames"], 8);
    assert!(result["rtl"]["adversarial"].as_u64().unwrap() >= 4);
    assert!(result["rtl"]["cycles"].as_u64().unwrap() > 0);
}

#[test]
fn the_committed_run_exports_to_the_committed_model() {
    let scratch = tempfile::tempdir().unwrap();
    ok(scratch.path(), &["export", &run(), "-o", "again.json"]);
    let again = fs::read_to_string(scratch.path().join("again.json")).unwrap();
    assert_eq!(again, fs::read_to_string(model()).unwrap());
}

/// Copies the committed run: exporting at a new bit width adds a calibration to the run's folder.
fn copy_of_run(folder: &Path) {
    fs::create_dir(folder.join("run")).unwrap();
    for entry in fs::read_dir(run()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join("run").join(entry.file_name())).unwrap();
    }
}

#[test]
fn another_bit_width_of_the_same_run_is_a_verified_network() {
    let Some(_) = dq_hdl::tool::require("verilator") else { return };
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    copy_of_run(folder);
    for bits in ["2,2", "3,5"] {
        // The export keeps its calibration in the run, where the others find it.
        ok(folder, &["export", "run", "--bits", bits, "-o", "model.json"]);
        let result = json(folder, &["emit", "run", "--bits", bits, "-o", "rtl"]);
        assert!(result["cycles_per_frame"].as_u64().unwrap() > 0, "{result}");
        let result = json(
            folder,
            &["verify", "model.json", "--run", "run", "--rtl", "2", "--netlist", "1", "--fps", "400"],
        );
        assert_eq!(result["ok"], true, "{result}");
    }
}

#[test]
fn attacks_report_what_the_integer_network_says() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let args =
        ["attack", &model(), "--data", "signs", "--count", "200", "--eps", "2,16", "-o", "report.json"];
    let summary = json(folder, &args);
    let first = fs::read_to_string(folder.join("report.json")).unwrap();
    // Another number of threads gives the same figures.
    json(folder, &[&args[..], &["--threads", "1"]].concat());
    assert_eq!(fs::read_to_string(folder.join("report.json")).unwrap(), first);
    let report: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(report["data"]["images"], 200, "{summary}");
    let sim = json(folder, &["sim", &model(), "--data", "signs", "--count", "200"]);
    assert_eq!(sim["correct"], report["clean"]["correct"]);
    assert!(report["complete"] == true && report["runs"].as_array().unwrap().len() == 8);
}

#[test]
fn info_tells_layers_ranges_and_norms() {
    let scratch = tempfile::tempdir().unwrap();
    let info = json(scratch.path(), &["info", &model(), "--norms"]);
    let nodes = info["nodes"].as_array().unwrap();
    assert_eq!(nodes[0]["kind"], "input");
    assert_eq!(nodes.last().unwrap()["kind"], "logits");
    assert!(info["macs"].as_u64().unwrap() > 10_000);
    assert!(nodes.iter().any(|n| n["lipschitz"].as_f64().is_some_and(|l| l > 0.0)), "{info}");
    assert!(info["lipschitz_product"].as_f64().is_some_and(|product| product > 0.0), "{info}");
    let text = ok(scratch.path(), &["info", &model()]);
    assert!(text.contains("conv") && text.contains("accumulator"), "{text}");
    assert!(!text.contains("defect") && text.contains("--norms"), "{text}");
    // Nothing but the norms is left out without them.
    let mut without = json(scratch.path(), &["info", &model()]);
    assert!(without["lipschitz_product"].is_null(), "{without}");
    without["lipschitz_product"] = info["lipschitz_product"].clone();
    for (node, wanted) in without["nodes"].as_array_mut().unwrap().iter_mut().zip(nodes) {
        assert!(node["lipschitz"].is_null() && node["defect"].is_null(), "{node}");
        node["lipschitz"] = wanted["lipschitz"].clone();
        node["defect"] = wanted["defect"].clone();
    }
    assert_eq!(without, info);
}

#[test]
fn the_netlist_gives_the_engines_labels() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let sim =
        |args: &[&str]| json(folder, &[&["sim", &model(), "--data", "signs", "--count", "1"], args].concat());
    let fast = sim(&[]);
    let netlist = sim(&["--engine", "netlist", "--fps", "400"]);
    assert_eq!(netlist["correct"], fast["correct"]);
    assert_eq!(sim(&["--engine", "reference"])["correct"], fast["correct"]);
    let latency = netlist["timing"]["latency"].as_u64().unwrap();
    assert_eq!(netlist["cycles"].as_u64().unwrap(), latency + 1, "from cycle 0 to the last beat's");
}

#[test]
fn every_command_explains_itself() {
    let scratch = tempfile::tempdir().unwrap();
    let help = ok(scratch.path(), &["--help"]);
    for command in ["train", "export", "info", "emit", "sim", "attack", "verify", "demo"] {
        assert!(help.contains(command), "{command} is not in: {help}");
        assert!(ok(scratch.path(), &[command, "--help"]).contains("Usage"), "{command}");
    }
}
