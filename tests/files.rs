//! Tests what commands read and write: no file is lost to another, results outlive a full disk, paths may be
//! any bytes, and nothing is reported on nothing.
#![cfg(unix)]

#[cfg(feature = "train")]
use crate::run::json;
use crate::run::{command, fails, ok, root};
use ndarray::Array1;
use ndarray_npy::{NpzReader, NpzWriter};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::Path;

fn model() -> String {
    root().join("models/signs-tiny-dq/model.json").display().to_string()
}

fn entries(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    names
}

/// Two arguments that name one file are refused before any work, whatever the names are, and nothing is
/// written.
#[test]
fn no_file_is_overwritten_by_another_of_the_same_call() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::copy(model(), folder.join("model.json")).unwrap();
    fs::write(folder.join("plan.json"), "plan").unwrap();
    fs::create_dir(folder.join("run")).unwrap();
    fs::write(folder.join("run/best.safetensors"), "weights").unwrap();
    symlink("model.json", folder.join("link.json")).unwrap();
    symlink("later.json", folder.join("dangling.json")).unwrap();
    let before = entries(folder);
    let attack = ["attack", "model.json", "--data", "signs"];
    let sim = ["sim", "model.json", "--data", "signs", "--engine", "netlist"];
    for args in [
        [&attack[..], &["-o", "x", "--save", "x"]].concat(),
        [&attack[..], &["-o", "x", "--save", "./x"]].concat(),
        [&attack[..], &["-o", "x", "--save", "x.partial"]].concat(),
        [&attack[..], &["-o", "later.json", "--save", "dangling.json"]].concat(),
        [&attack[..], &["-o", "link.json"]].concat(),
        [&attack[..], &["--from", "plan.json", "-o", "plan.json"]].concat(),
        [&sim[..], &["--beats", "waves", "--vcd", "waves"]].concat(),
        [&sim[..], &["--beats", "plan.json", "--plan", "plan.json"]].concat(),
        [&sim[..], &["--beats", "run/../model.json"]].concat(),
        vec!["certify", "model.json", "--data", "signs", "-o", "model.json"],
        vec!["faults", "other.json", "model.json", "--data", "signs", "-o", "model.json"],
        vec!["landscape", "model.json", "--data", "signs", "-o", "link.json"],
        vec!["plan", "model.json", "-o", "model.json"],
        vec!["load", "model.json", "--into", ".", "-o", "plan.json"],
        vec!["merge", "one.json", "two.json", "-o", "two.json"],
        #[cfg(feature = "train")]
        vec!["export", "run", "-o", "run/best.safetensors"],
    ] {
        let error = fails(folder, 2, &args);
        assert!(error.contains("would overwrite"), "{args:?}: {error}");
    }
    assert_eq!(entries(folder), before);
    assert_eq!(fs::read(folder.join("model.json")).unwrap(), fs::read(model()).unwrap());
    assert_eq!(fs::read_to_string(folder.join("plan.json")).unwrap(), "plan");
}

/// Outcomes called broken in each run of a report.
fn broken(report: &Value) -> Vec<usize> {
    let runs = report["runs"].as_array().unwrap().iter();
    runs.map(|run| run["outcomes"].as_str().unwrap().matches('x').count()).collect()
}

fn array(path: &Path, name: &str) -> Vec<u64> {
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    let found: Array1<u32> = npz.by_name(name).unwrap();
    found.iter().map(|&value| value.into()).collect()
}

/// `runs` of the adversaries is the place in the report's own list, also where attacks are named twice or run
/// again with other gradients.
#[test]
fn each_adversary_names_its_run() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let attack =
        ["attack", &model, "--data", "signs", "--count", "24", "--eps", "8,16", "-o", "r", "--save", "a"];
    for (more, runs) in [(&["--attack", "fgsm,paper"][..], 8), (&["--attack", "fgsm,random", "--ladder"], 8)]
    {
        ok(folder, &[&attack[..], more].concat());
        let report: Value = serde_json::from_slice(&fs::read(folder.join("r")).unwrap()).unwrap();
        let found = array(&folder.join("a"), "runs");
        let counts: Vec<usize> =
            (0..runs).map(|n| found.iter().filter(|run| **run == n as u64).count()).collect();
        assert_eq!(counts, broken(&report), "{more:?}");
        assert!(counts.iter().filter(|count| **count > 0).count() > 3, "{counts:?}");
    }
}

/// Runs `dq` where no file may grow beyond `blocks` of 1,024 bytes, as on a full disk; gives stdout and
/// stderr.
fn limited(folder: &Path, blocks: usize, args: &str) -> (String, String) {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec '{}' {args}", env!("CARGO_BIN_EXE_dq"));
    let output =
        std::process::Command::new("bash").current_dir(folder).args(["-c", &script]).output().unwrap();
    let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert_eq!(output.status.code(), Some(1), "{args}: {error}");
    assert!(!error.contains("panicked"), "{args}: {error}");
    (out, error)
}

#[test]
fn a_finished_report_outlives_a_disk_too_full_for_the_adversaries() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let attack = format!("attack {} --data signs --count 24 --attack fgsm --eps 16", model());
    let (out, error) = limited(folder, 8, &format!("{attack} -o report.json --save adv.npz"));
    assert!(error.contains("adv.npz") && error.contains("kept in report.json"), "{error}");
    assert!(out.contains("fgsm"), "{out}");
    assert_eq!(entries(folder), ["report.json"]);
    let report: Value = serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["complete"], true);
    // A result that cannot be written at all is shown at least.
    let (out, error) = limited(folder, 0, &format!("{attack} -o other.json"));
    assert!(error.contains("other.json: writing the report") && out.contains("fgsm"), "{out}{error}");
    let certify = format!("certify {} --data signs --count 2 --eps 0", model());
    let (out, error) = limited(folder, 0, &format!("{certify} -o other.json"));
    assert!(error.contains("other.json: writing the report") && out.contains("certified"), "{out}{error}");
    assert_eq!(entries(folder), ["report.json"]);
}

/// A path may hold any bytes. Under `--json` they are shown as text.
#[test]
fn paths_that_are_no_utf_8_are_read_written_and_shown() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join(OsStr::from_bytes(b"f\xff"));
    fs::create_dir(&folder).unwrap();
    let path = |name: &str| OsString::from_vec([name.as_bytes(), b"\xff"].concat());
    fs::copy(model(), folder.join(path("model"))).unwrap();
    let said = |args: &[&str], paths: &[(&str, &str)]| -> Value {
        let mut command = command(&folder, args);
        for (option, name) in paths {
            if !option.is_empty() {
                command.arg(option);
            }
            command.arg(path(name));
        }
        let output = command.arg("--json").output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let signs = ["--data", "signs", "--count", "2", "--eps", "2"];
    let with = |name: &'static str, more: &[&'static str]| [&[name], &signs[..], more].concat();
    let emitted = said(&["emit", "--control", "load"], &[("", "model"), ("-o", "rtl")]);
    assert_eq!(emitted["output"], "rtl�");
    let loaded = said(&["load"], &[("", "model"), ("--into", "rtl"), ("-o", "accesses")]);
    assert_eq!(loaded["output"], "accesses�");
    said(&["plan"], &[("", "model"), ("-o", "plan")]);
    said(&["emit"], &[("", "model"), ("--plan", "plan"), ("-o", "again")]);
    let shard = with("attack", &["--attack", "fgsm", "--shard", "1/1"]);
    let attacked = said(&shard, &[("", "model"), ("-o", "report"), ("--save", "npz"), ("--from", "model")]);
    assert_eq!(attacked["report"], "report�");
    said(&["merge"], &[("", "report"), ("-o", "merged")]);
    said(&with("certify", &["--boxes", "1"]), &[("", "model"), ("-o", "certificates")]);
    said(&with("landscape", &[]), &[("", "model"), ("-o", "landscape")]);
    let faults = ["faults", "--data", "signs", "--count", "2", "--fault", "upsets"];
    said(&faults, &[("", "model"), ("-o", "faults")]);
    let sim = ["sim", "--data", "signs", "--count", "2", "--cycles"];
    said(&sim, &[("", "model"), ("--beats", "beats")]);
    for name in
        ["accesses", "plan", "report", "npz", "merged", "certificates", "landscape", "faults", "beats"]
    {
        assert!(folder.join(path(name)).is_file(), "{name}");
    }
    assert!(folder.join(path("again")).is_dir());
}

#[test]
#[cfg(feature = "train")]
fn runs_in_folders_that_are_no_utf_8_are_trained_and_exported() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let [run, model] = [&b"run\xff"[..], b"model\xff"].map(OsStr::from_bytes);
    let recipe = "data = {holdout = 7800}\nmodel = {blocks = [[2], [2]]}\ntrain = {epochs = 1}\n";
    fs::write(folder.join("small.toml"), recipe).unwrap();
    let said = |command: &mut std::process::Command| -> Value {
        let output = command.args(["--threads", "1", "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let trained = said(command(folder, &["train", "small.toml", "--out"]).arg(run));
    assert_eq!(trained["run"], "run�");
    let exported = said(command(folder, &["export", "-o"]).arg(model).arg(run));
    assert_eq!(exported["model"], "model�");
}

/// What is empty is refused by name and never reported on.
#[test]
fn nothing_is_reported_on_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let mut npz = NpzWriter::new(File::create(folder.join("none.npz")).unwrap());
    npz.add_array("images", &ndarray::Array4::<u8>::zeros((0, 32, 32, 3))).unwrap();
    npz.finish().unwrap();
    for args in [
        &["attack", &model, "--data", "signs", "--replay", "none.npz"][..],
        &["verify", &model, "--data", "signs", "--rtl", "1", "--replay", "none.npz"],
    ] {
        let error = fails(folder, 1, args);
        assert!(error.contains("none.npz: `images`: expected at least one adversary"), "{error}");
    }
    let with_nothing = |args: &[&str]| {
        let error = fails(folder, 2, args);
        assert!(
            error.contains("0 is not in 1..") || error.contains("invalid value '0'"),
            "{args:?}: {error}"
        );
    };
    for name in ["sim", "verify", "corrupt", "scene", "faults", "amplify", "saturate"] {
        with_nothing(&[name, &model, "--data", "signs", "--count", "0"]);
    }
    for name in ["attack", "certify", "landscape"] {
        with_nothing(&[name, &model, "--data", "signs", "--count", "0", "-o", "report.json"]);
    }
    with_nothing(&["transfer", &model, &model, "--data", "signs", "--count", "0"]);
    with_nothing(&["faults", &model, "--data", "signs", "--flips", "0"]);
    with_nothing(&["faults", &model, "--data", "signs", "--trials", "0"]);
    assert_eq!(entries(folder), ["none.npz"]);
}

/// A test set of no images, as a script makes that cuts a set to a class that is not there.
#[test]
fn a_test_set_of_no_images_is_refused_by_every_command() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    fs::create_dir(folder.join("set")).unwrap();
    fs::write(folder.join("set/t10k-images-idx3-ubyte"), words(&[0x803, 0, 28, 28])).unwrap();
    fs::write(folder.join("set/t10k-labels-idx1-ubyte"), words(&[0x801, 0])).unwrap();
    let model = root().join("models/mnist-mlp-certified.json").display().to_string();
    for args in [
        &["sim", &model][..],
        &["attack", &model, "-o", "x"],
        &["transfer", &model, &model],
        &["certify", &model, "-o", "x"],
        &["amplify", &model],
        &["faults", &model, "--fault", "upsets"],
        &["corrupt", &model],
        &["scene", &model],
        &["landscape", &model, "-o", "x"],
        &["saturate", &model],
        &["verify", &model, "--rtl", "1"],
    ] {
        let error = fails(folder, 1, &[args, &["--data", "mnist=set"]].concat());
        assert!(error.contains("set: expected at least one image in its test split"), "{args:?}: {error}");
    }
    assert_eq!(entries(folder), ["set"]);
}

/// `emit` writes its folder and nothing else: the run, which may be committed or only be read, stays as it
/// is.
#[test]
#[cfg(feature = "train")]
fn emitting_a_run_at_other_bits_leaves_the_run_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::create_dir(folder.join("run")).unwrap();
    for name in ["recipe.toml", "best.safetensors"] {
        fs::copy(root().join("models/signs-tiny-dq").join(name), folder.join("run").join(name)).unwrap();
    }
    let before = entries(&folder.join("run"));
    json(folder, &["emit", "run", "--bits", "2,2", "-o", "rtl"]);
    assert_eq!(entries(&folder.join("run")), before);
    // A model has nothing to recalibrate: only a run has.
    let error = fails(folder, 1, &["emit", &model(), "--data", "signs", "-o", "x"]);
    assert!(error.contains("--data signs recalibrates a run"), "{error}");
}

/// Without a home the command says which variables it wants.
#[test]
fn a_missing_home_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let model = model();
    let args = ["verify", &model, "--rtl", "1", "--netlist", "0", "--count", "1"];
    let output =
        command(scratch.path(), &args).env_remove("HOME").env_remove("XDG_CACHE_HOME").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("XDG_CACHE_HOME or HOME"), "{error}");
}
