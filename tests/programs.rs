//! Tests the two programs: `dq` alone, and how it becomes `dq-train`.
#![cfg(unix)]

use crate::run::root;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const DQ: &str = env!("CARGO_BIN_EXE_dq");

/// Says whether a program asks the loader for libtorch: an ELF file names each library that it needs.
fn asks_for_libtorch(program: &str) -> bool {
    let wanted = b"libtorch_cpu.so";
    fs::read(program).unwrap().windows(wanted.len()).any(|bytes| bytes == wanted)
}

#[test]
fn dq_does_not_load_libtorch() {
    assert!(!asks_for_libtorch(DQ));
    #[cfg(feature = "train")]
    assert!(asks_for_libtorch(env!("CARGO_BIN_EXE_dq-train")));
}

/// A folder beside the programs with a second name of `dq` in it, and with no `dq-train`.
fn alone() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::hard_link(DQ, folder.path().join("dq")).unwrap();
    fs::create_dir(folder.path().join("run")).unwrap();
    folder
}

fn run(folder: &Path, path: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(folder.join("dq")).current_dir(folder).env("PATH", path).args(args).output().unwrap();
    let [out, error] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    (status.code(), out, error)
}

#[test]
fn without_dq_train_dq_says_what_is_missing_and_does_all_else() {
    let folder = alone();
    let (folder, empty) = (folder.path(), folder.path().join("run"));
    for args in [
        &["train", "no.toml"][..],
        &["demo"],
        &["export", "run", "-o", "model.json"],
        &["emit", "run", "-o", "rtl"],
        &["verify", "lenet", "--run", "run"],
    ] {
        let (code, _, error) = run(folder, &empty, args);
        assert_eq!(code, Some(1), "{args:?}: {error}");
        let place = folder.join("dq-train").display().to_string();
        assert!(error.starts_with("dq: ") && error.contains(&place), "{args:?}: {error}");
        assert!(error.contains("PATH") && error.contains("cargo build --release"), "{args:?}: {error}");
        assert_eq!(error.contains("`train` feature"), cfg!(not(feature = "train")), "{error}");
    }
    let mut left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["dq", "run"]);
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    assert_eq!(run(folder, &empty, &["info", &model]).0, Some(0));
    let (code, out, _) = run(folder, &empty, &["train", "--help"]);
    assert!(code == Some(0) && out.contains("Usage: dq train"), "{out}");
    let (code, _, error) = run(folder, &empty, &["train", "x.toml", "--sweep", "dq.beta"]);
    assert!(code == Some(2) && error.contains("expected KEY=V1,V2"), "{error}");
}

/// `dq-train` in a folder of `PATH` serves a `dq` that stands alone, under the name of `dq`.
#[test]
#[cfg(feature = "train")]
fn dq_train_is_found_in_path() {
    let folder = alone();
    let programs = Path::new(env!("CARGO_BIN_EXE_dq-train")).parent().unwrap();
    let (code, _, error) = run(folder.path(), programs, &["train", "no.toml"]);
    assert!(code == Some(1) && error.starts_with("dq: recipe no.toml: "), "{error}");
    let help = Command::new(env!("CARGO_BIN_EXE_dq-train")).args(["train", "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("Usage: dq train"));
}

/// What is called `dq-train` and is no program is an error with its place.
#[test]
fn a_dq_train_that_cannot_be_started_is_named() {
    let folder = alone();
    let place = folder.path().join("dq-train");
    fs::write(&place, "").unwrap();
    let (code, _, error) = run(folder.path(), Path::new(""), &["train", "no.toml"]);
    let expected = format!("dq: {}: cannot be started: ", place.display());
    assert!(code == Some(1) && error.starts_with(&expected), "{error}");
}
