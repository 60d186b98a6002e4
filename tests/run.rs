//! Runs `dq` in a scratch folder.

use dq_net::layer::Logits;
use dq_net::{Network, random};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Returns the root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns `dq ARGS` in `folder`, not started.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dq"));
    command.current_dir(folder).args(args);
    command
}

/// Runs `dq ARGS` in `folder` to its end.
pub fn dq(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().expect("dq starts")
}

/// Returns stdout of a run that must succeed.
pub fn ok(folder: &Path, args: &[&str]) -> String {
    let output = dq(folder, args);
    assert!(output.status.success(), "dq {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Returns the one JSON object on stdout of a run that must succeed.
pub fn json(folder: &Path, args: &[&str]) -> serde_json::Value {
    let mut all = args.to_vec();
    all.push("--json");
    let text = ok(folder, &all);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("dq {all:?}: {e}: {text}"))
}

/// Returns stderr of a run that must fail with `code`. A panic never counts as an answer.
pub fn fails(folder: &Path, code: i32, args: &[&str]) -> String {
    let output = dq(folder, args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "dq {args:?}: {error}");
    assert!(!error.contains("panicked"), "dq {args:?}: {error}");
    let twice = error.trim_end().rmatch_indices(": ").any(|(at, _)| {
        let (before, cause) = (&error[..at], error[at..].trim_end());
        before.ends_with(cause)
    });
    assert!(!twice, "dq {args:?} gives the same cause twice: {error}");
    error
}

/// Returns the bytes of an IDX file.
pub fn idx(dims: &[usize], content: Vec<u8>) -> Vec<u8> {
    let words = [0x0800 + dims.len()].into_iter().chain(dims.iter().copied());
    words.flat_map(|word| (word as u32).to_be_bytes()).chain(content).collect()
}

/// Writes random images with the labels that `network` gives them into `folder/own`: `--data idx=own`.
pub fn own_images(folder: &Path, network: &Network, count: usize) {
    let shape = network.input_shape();
    let images = random::images(0, count, network.input());
    let label = |image| Logits::label(network.eval(image)) as u8;
    let labels: Vec<u8> = images.outer_iter().map(label).collect();
    fs::create_dir(folder.join("own")).unwrap();
    let dims = [count, shape.height, shape.width, shape.channels];
    let pixels = images.into_iter().collect();
    fs::write(folder.join("own/t10k-images-idx4-ubyte"), idx(&dims, pixels)).unwrap();
    fs::write(folder.join("own/t10k-labels-idx1-ubyte"), idx(&[count], labels)).unwrap();
}
