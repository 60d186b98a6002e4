//! Runs `dq` in a scratch folder.

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
