//! Tests Ctrl-C in the middle: the command says what is kept, exits with 130, and goes on where it stopped.
#![cfg(unix)]

use crate::run::{command, fails, json, root};
#[cfg(feature = "train")]
use dq_net::SplitMix64;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

fn start(folder: &Path, args: &[&str]) -> Child {
    command(folder, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends SIGINT and gives exit code and stderr.
fn interrupt(child: Child) -> (Option<i32>, String) {
    // SAFETY: a signal to a child of ours that has not been waited for, so its id is still its own.
    let sent = unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    assert_eq!(sent, 0, "the child has already ended");
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn wait_for(path: &Path, child: &mut Child) {
    let start = Instant::now();
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before {}", path.display());
        assert!(start.elapsed() < Duration::from_secs(300), "no {}", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn training_stops_at_an_epoch_and_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let recipe = root().join("recipes/signs-tiny-vanilla.toml").display().to_string();
    let args = ["train", &recipe, "--out", "run", "--threads", "1", "--set", "train.epochs=500"];
    let mut child = start(folder, &args);
    wait_for(&folder.join("run/last.safetensors"), &mut child);
    let (code, error) = interrupt(child);
    assert_eq!(code, Some(130), "{error}");
    assert!(error.contains("--resume"), "{error}");
    let epochs = fs::read_to_string(folder.join("run/metrics.jsonl")).unwrap().lines().count();
    assert!(epochs >= 1);
    let leftovers = fs::read_dir(folder.join("run")).unwrap();
    for entry in leftovers {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(!name.ends_with(".part") && !name.starts_with(".dq"), "left behind: {name}");
    }
    // Without --resume the run is not overwritten; with it, training goes on to a new, nearer end.
    let error = fails(folder, 1, &args);
    assert!(error.contains("resume"), "{error}");
    let epochs_more = format!("train.epochs={}", epochs + 1);
    let result = json(
        folder,
        &["train", &recipe, "--out", "run", "--threads", "1", "--set", &epochs_more, "--resume"],
    );
    assert_eq!(result["epochs"], epochs + 1);
}

/// Killed at random moments (`DQ_KILLS` of them, or 4), whatever it was doing: the same weights as an
/// unbroken run.
#[test]
#[cfg(feature = "train")]
fn a_killed_training_ends_at_the_same_weights() {
    let kills: u64 = std::env::var("DQ_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let recipe = root().join("recipes/signs-tiny-dq.toml").display().to_string();
    // On a slow machine every kill falls into the first epoch, on a fast one they fall into several.
    let epochs = format!("train.epochs={}", 2 + kills / 2);
    let args = |out| {
        let attacked = "attacked.attack=\"fgsm\"";
        let fixed = ["train", &recipe, "--threads", "1", "--save-every", "1", "--set", &epochs, "--resume"];
        [&fixed[..], &["--set", attacked, "--set", "train.ema=0.99", "--out", out]].concat()
    };
    json(folder, &args("whole"));
    for kill in 0..kills {
        let mut child = start(folder, &args("killed"));
        std::thread::sleep(Duration::from_millis(900 + kill.wrapping_mul(SplitMix64::GAMMA) % 2600));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    json(folder, &args("killed"));
    for file in ["last.safetensors", "best.safetensors", "recipe.toml"] {
        let [a, b] = ["whole", "killed"].map(|run| fs::read(folder.join(run).join(file)).unwrap());
        assert!(a == b, "{file} differs after {kills} kills");
    }
    let lines =
        |run: &str| fs::read_to_string(folder.join(run).join("metrics.jsonl")).unwrap().lines().count();
    assert_eq!(lines("whole"), lines("killed"));
}

#[test]
fn an_attack_stops_and_goes_on_to_the_same_report() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let attack = |out| {
        ["attack", &model, "--data", "signs", "--count", "800", "--attack", "pgd", "--eps", "8,16", "-o", out]
    };
    let child = start(folder, &attack("report.json"));
    std::thread::sleep(Duration::from_millis(1500));
    let (code, error) = interrupt(child);
    assert_eq!(code, Some(130), "{error}");
    assert!(error.contains("--resume"), "{error}");
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["report.json.partial"]);
    assert!(fails(folder, 1, &attack("report.json")).contains("--resume"));
    json(folder, &[&attack("report.json")[..], &["--resume"]].concat());
    assert!(!folder.join("report.json.partial").exists());
    json(folder, &attack("whole.json"));
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("report.json"), read("whole.json"));
}

/// With --save the adversaries are kept beside the report, and go on with it to the same file.
#[test]
fn an_attack_that_saves_its_adversaries_stops_and_goes_on_to_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let attack = |out, save| {
        let attacks = ["--attack", "fgsm,pgd,pgd-r", "--eps", "8,16", "-o", out, "--save", save];
        [&["attack", &model, "--data", "signs", "--count", "200"][..], &attacks].concat()
    };
    let child = start(folder, &attack("report.json", "adv.npz"));
    std::thread::sleep(Duration::from_millis(1500));
    let (code, error) = interrupt(child);
    assert_eq!(code, Some(130), "{error}");
    assert!(error.contains("kept in report.json.partial and adv.npz.partial; --resume"), "{error}");
    let error = fails(folder, 1, &attack("report.json", "adv.npz"));
    assert!(error.contains("--resume"), "{error}");
    // Adversaries of another attack, or none, do not fit the report.
    let error = fails(folder, 1, &[&attack("report.json", "other.npz")[..], &["--resume"]].concat());
    assert!(error.contains("other.npz.partial"), "{error}");
    json(folder, &[&attack("report.json", "adv.npz")[..], &["--resume"]].concat());
    json(folder, &attack("whole.json", "whole.npz"));
    let mut left: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["adv.npz", "report.json", "whole.json", "whole.npz"]);
    let read = |name| fs::read(folder.join(name)).unwrap();
    assert!(read("report.json") == read("whole.json") && read("adv.npz") == read("whole.npz"));
}

/// A large network as a file whose import takes long: with options, what its metadata holds is not taken.
#[test]
fn an_import_that_is_stopped_writes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let network = dq_net::topology::build("cnv@2/1", 1).unwrap();
    fs::write(folder.join("cnv.onnx"), dq_onnx::export(&network).bytes).unwrap();
    for args in [
        &["import", "cnv.onnx", "--input", "uint8", "-o", "model.json"][..],
        &["verify", "cnv@2/1", "--onnx", "cnv.onnx", "--input", "uint8", "--rtl", "0"],
    ] {
        let child = start(folder, args);
        std::thread::sleep(Duration::from_millis(1500));
        let (code, error) = interrupt(child);
        assert_eq!(code, Some(130), "{error}");
        assert!(error.contains("interrupted: nothing was written"), "{error}");
        let left: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["cnv.onnx"]);
    }
}

#[test]
fn an_export_that_is_stopped_writes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::create_dir(folder.join("run")).unwrap();
    for name in ["recipe.toml", "best.safetensors"] {
        fs::copy(root().join("models/signs-tiny-dq").join(name), folder.join("run").join(name)).unwrap();
    }
    // It must draw the training images and recalibrate, which takes seconds, once libtorch is loaded.
    let mut child = start(folder, &["export", "run", "-o", "model.json"]);
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("recalibrating"), "{said}");
    let (code, error) = interrupt(child);
    assert_eq!(code, Some(130), "{error}");
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["run"]);
}
