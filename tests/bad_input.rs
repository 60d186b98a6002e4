//! Tests malformed input of every sort: there is one clear error that names the place, exit code 2 for usage
//! and 1 for failure, and nothing half-written is left behind.

use crate::run::{command, fails, root};
use std::fs;
use std::path::Path;

/// Returns the path of the committed run's model, which is small and trained.
fn model() -> String {
    root().join("models/signs-tiny-dq/model.json").display().to_string()
}

fn recipe(folder: &Path, edit: &str) -> String {
    let text = fs::read_to_string(root().join("recipes/signs-tiny-dq.toml")).unwrap();
    let (from, to) = edit.split_once(" => ").unwrap();
    assert!(text.contains(from), "the recipe has no `{from}`");
    let path = folder.join("recipe.toml");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    path.display().to_string()
}

fn names(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().to_string_lossy().into_owned();
    fs::read_dir(folder).unwrap().map(name).collect()
}

#[test]
fn a_damaged_model_is_refused_by_every_command() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let text = fs::read_to_string(model()).unwrap();
    fs::write(folder.join("short.json"), &text[..text.len() / 2]).unwrap();
    fs::write(folder.join("edited.json"), text.replacen("\"groups\": 1", "\"groups\": 2", 1)).unwrap();
    fs::write(folder.join("newer.json"), text.replacen("\"version\": 1", "\"version\": 99", 1)).unwrap();
    for command in [
        &["info"][..],
        &["emit", "-o", "rtl"],
        &["sim", "--data", "signs"],
        &["attack", "--data", "signs", "-o", "report.json"],
        &["verify"],
    ] {
        for (file, word) in [("short.json", "line"), ("edited.json", "checksum"), ("newer.json", "version")] {
            let mut args = vec![command[0], file];
            args.extend(&command[1..]);
            names(&fails(folder, 1, &args), &[file, word]);
        }
    }
    assert_eq!(entries(folder).len(), 3, "{:?}", entries(folder));
}

#[test]
fn usage_errors_exit_with_2() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    names(
        &fails(folder, 2, &["export", "run", "-o", "m.json", "--bits", "0,4"]),
        &["weight bits", "1 to 8", "`0`"],
    );
    names(
        &fails(folder, 2, &["export", "run", "-o", "m.json", "--bits", "4,9"]),
        &["activation bits", "`9`"],
    );
    names(&fails(folder, 2, &["emit", &model, "-o", "rtl", "--bits", "9,9"]), &["weight bits"]);
    names(
        &fails(folder, 2, &["sim", &model, "--data", "cifra10=x"]),
        &["unknown data set `cifra10`", "cifar10"],
    );
    names(&fails(folder, 2, &["attack", &model, "--data", "signs", "-o", "r", "--eps", "x"]), &["--eps"]);
    for args in [
        &["attack", &model, "--data", "signs", "-o", "r", "--eps", "2,-1"][..],
        &["certify", &model, "--data", "signs", "-o", "r", "--eps", "-1"],
        &["transfer", &model, &model, "--data", "signs", "--eps", "-1"],
        &["info", &model, "--seed", "-1"],
    ] {
        let error = fails(folder, 2, args);
        names(&error, &["'-1' for '--"]);
        assert!(!error.contains("-- -1"), "{args:?}: {error}");
    }
    names(&fails(folder, 2, &["attack", &model, "--data", "signs"]), &["--output <REPORT>"]);
    names(
        &fails(folder, 2, &["attack", &model, "--data", "signs", "-o", "r", "--attack", "fgms"]),
        &["fgms", "fgsm"],
    );
    names(&fails(folder, 2, &["sim", &model, "--data", "signs", "--vcd", "waves"]), &["--vcd", "netlist"]);
    names(&fails(folder, 2, &["verify", &model, "--gates", "--rtl", "0"]), &["--gates", "--rtl"]);
    names(&fails(folder, 2, &["frobnicate"]), &["frobnicate"]);
    assert!(entries(folder).is_empty());
}

#[test]
fn a_recipe_that_is_wrong_names_its_key() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    for (edit, words) in [
        ("momentum => momentun", &["unknown key", "momentun", "momentum"][..]),
        ("beta = => beta = -", &["beta", "expected"]),
        ("set = \"signs\" => set = \"sings\"", &["data.set", "sings"]),
        ("weights = 4 => weights = 9", &["weights", "9"]),
        ("activations = 4 => activations = 0", &["activations", "0"]),
        ("epochs => = epochs", &["recipe.toml"]),
    ] {
        let path = recipe(folder, edit);
        let error = fails(folder, 1, &["train", &path, "--out", "run"]);
        names(&error, words);
        names(&error, &["recipe.toml"]);
        assert!(!folder.join("run").exists(), "{edit}");
    }
    let path = recipe(folder, "epochs => epochs");
    names(
        &fails(folder, 1, &["train", &path, "--out", "run", "--set", "dq.bate=1"]),
        &["dq.bate", "dq.beta"],
    );
    for set in ["train.epochs=0", "dq.beta=0,5", "bits.weights=9"] {
        let error = fails(folder, 1, &["train", &path, "--out", "run", "--set", set]);
        names(&error, &[&format!("recipe --set {set}: ")]);
        assert!(!error.contains("recipe.toml"), "{error}");
    }
    names(&fails(folder, 1, &["train", "missing.toml"]), &["missing.toml"]);
}

#[test]
fn data_files_that_are_wrong_are_named() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let sim = |folder: &Path| fails(folder, 1, &["sim", &model, "--data", "cifar10=data"]);
    names(&sim(folder), &["cifar10", "data"]);
    fs::create_dir(folder.join("data")).unwrap();
    names(&sim(folder), &["test_batch.bin"]);
    fs::write(folder.join("data/test_batch.bin"), vec![0; 3073 * 10_000 - 1]).unwrap();
    names(&sim(folder), &["test_batch.bin", "30730000", "30729999"]);
    let mut records = vec![0; 3073 * 10_000];
    records[3073 * 7] = 10;
    fs::write(folder.join("data/test_batch.bin"), records).unwrap();
    names(&sim(folder), &["test_batch.bin", "label", "10"]);
    names(&fails(folder, 1, &["sim", &model, "--data", "mnist=data"]), &["mnist"]);
}

#[test]
fn a_plan_that_does_not_fit_names_node_and_field() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    crate::run::ok(folder, &["emit", &model, "-o", "rtl"]);
    let text = fs::read_to_string(folder.join("rtl/plan.json")).unwrap();
    let mut plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    plan["nodes"][0]["pe"] = 7.into();
    let node = plan["nodes"][0]["node"].as_str().unwrap().to_owned();
    fs::write(folder.join("plan.json"), plan.to_string()).unwrap();
    let error = fails(folder, 1, &["emit", &model, "-o", "rtl2", "--plan", "plan.json"]);
    names(&error, &["plan.json", &node, "pe", "7"]);
    fs::write(folder.join("plan.json"), &text[..text.len() / 2]).unwrap();
    names(&fails(folder, 1, &["emit", &model, "-o", "rtl2", "--plan", "plan.json"]), &["plan.json"]);
    assert!(!folder.join("rtl2").exists());
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    fs::write(folder.join("file"), "mine").unwrap();
    names(&fails(folder, 1, &["emit", &model, "-o", "file"]), &["file", "expected a folder"]);
    names(&fails(folder, 1, &["emit", &model, "-o", "file/rtl"]), &["file"]);
    fs::create_dir(folder.join("folder")).unwrap();
    let attack =
        ["attack", &model, "--data", "signs", "--count", "8", "--attack", "fgsm", "--eps", "2", "-o"];
    names(&fails(folder, 1, &[&attack[..], &["folder"]].concat()), &["folder"]);
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "mine");
    assert_eq!(entries(folder).len(), 2, "{:?}", entries(folder));
}

/// A limit on file size stands in for a full disk: writes fail half-way in the same manner, and it needs no
/// root.
#[test]
#[cfg(unix)]
fn a_full_disk_leaves_nothing_half_written() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let limited = |args: &str| {
        let dq = env!("CARGO_BIN_EXE_dq");
        let script = format!("trap '' XFSZ; ulimit -f 8; exec '{dq}' {args}");
        let output =
            std::process::Command::new("bash").current_dir(folder).args(["-c", &script]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args}: {error}");
        assert!(!error.contains("panicked"), "{args}: {error}");
        error
    };
    names(&limited(&format!("emit {model} -o rtl")), &["rtl"]);
    let run = root().join("models/signs-tiny-dq");
    names(&limited(&format!("export {} -o again.json", run.display())), &["again.json"]);
    assert!(entries(folder).is_empty(), "{:?}", entries(folder));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = command(scratch.path(), &["info", &model()]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_output_without_a_folder_is_refused_before_the_work() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let (model, run) = (model(), root().join("models/signs-tiny-dq").display().to_string());
    names(&fails(folder, 1, &["export", &run, "-o", "no/such/model.json"]), &["no/such", "no folder"]);
    // The call asks for all attacks on all images: without the early check this test would take minutes.
    let start = std::time::Instant::now();
    names(
        &fails(folder, 1, &["attack", &model, "--data", "signs", "-o", "no/report.json"]),
        &["no folder no"],
    );
    assert!(start.elapsed().as_secs() < 60);
    assert!(entries(folder).is_empty());
}

#[test]
fn what_is_not_there_is_said_once() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    names(&fails(folder, 1, &["info", "missing.json"]), &["missing.json", "No such file"]);
    names(&fails(folder, 1, &["info", "cvn"]), &["cvn", "No such file", "topology (cnn10, ", "wrn-16-4"]);
    names(&fails(folder, 1, &["info", "cnv:w9a2"]), &["cnv:w9a2", "bits", "`wWaA`"]);
    names(&fails(folder, 1, &["export", "missing", "-o", "m.json"]), &["missing/recipe.toml"]);
    names(&fails(folder, 1, &["emit", &model(), "-o", "rtl", "--plan", "missing.json"]), &["missing.json"]);
    names(&fails(folder, 2, &["verify", &model(), "--rtl", "99999999999999"]), &["--rtl", "10000"]);
    if cfg!(unix) {
        names(&fails(folder, 1, &["info", "/dev/zero"]), &["/dev/zero", "at most"]);
        names(&fails(folder, 1, &["train", "/dev/zero", "--out", "run"]), &["/dev/zero", "at most"]);
    }
    assert!(entries(folder).is_empty());
}

#[test]
fn a_radius_named_twice_is_attacked_once() {
    let scratch = tempfile::tempdir().unwrap();
    let result = crate::run::json(
        scratch.path(),
        &[
            "attack",
            &model(),
            "--data",
            "signs",
            "--count",
            "8",
            "--attack",
            "fgsm,fgsm",
            "--eps",
            "2,2",
            "-o",
            "r",
        ],
    );
    assert_eq!(result["runs"].as_array().unwrap().len(), 1, "{result}");
}

#[test]
fn running_text_without_a_reader_is_no_failure() {
    let scratch = tempfile::tempdir().unwrap();
    let model = model();
    let mut command =
        command(scratch.path(), &["verify", &model, "--rtl", "1", "--netlist", "1", "--count", "1"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    if dq_hdl::tool::require("verilator").is_none() {
        return;
    }
    let mut child = command.spawn().unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    assert!(String::from_utf8_lossy(&output.stdout).contains("verified"));
}
