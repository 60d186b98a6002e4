//! The two main jobs, run by cargo in the workspace. Never sets anything up.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

/// What oneDNN may use in the second run of the training tests: what every x86-64 processor has that training is fast on.
const PLAINEST: (&str, &str) = ("ONEDNN_MAX_CPU_ISA", "AVX2");

/// The tests that train and compare gradients: names of test programs, and of modules in them.
const TRAINING: [&[&str]; 2] =
    [&["--test", "training", "--test", "export"], &["--test", "dq", "--", "gradient::", "train::"]];

/// Runs all tests, those that need EDA tools included, and ends with the line `N passed, N failed`. Without `args`, the
/// tests that train run once more with the kernels that libtorch takes on the plainest processor: a fault of those would
/// otherwise be seen on such a processor alone. (dq's own kernels need no second run: the tests of the engine go through
/// all that the machine has.)
pub fn test(args: &[String]) -> anyhow::Result<ExitCode> {
    let mut total = run_tests(args, None)?;
    if args.is_empty() && cfg!(target_arch = "x86_64") {
        println!("== training once more, with {}={}", PLAINEST.0, PLAINEST.1);
        for some in TRAINING {
            total.add(run_tests(some, Some(PLAINEST))?);
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs `cargo test` on the workspace with `args` and counts what passes. What does not build, or dies, counts as failed.
fn run_tests(args: &[impl AsRef<OsStr>], variable: Option<(&str, &str)>) -> anyhow::Result<Counts> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--features", "dq-sim/emulate-amx"]);
    command.args(args).env("DQ_REQUIRE_TOOLS", "1").envs(variable);
    let mut child = command.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
    let stdout = child.stdout.take().context("cargo test has no output")?;
    let mut total = Counts::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("reading what cargo test prints")?;
        println!("{line}");
        if let Some(counts) = Counts::parse(&line) {
            total.add(counts);
        }
    }
    let status = child.wait().context("waiting for cargo test")?;
    if !status.success() && total.failed == 0 {
        eprintln!(
            "error: a crate did not build or a test program did not end by itself ({status}): see above"
        );
        total.failed = 1;
    }
    Ok(total)
}

/// Runs `dq demo` in the folder from which `cargo xtask` was called.
pub fn demo(args: &[String]) -> anyhow::Result<ExitCode> {
    let mut command = cargo();
    command.args(["run", "--release", "--package", "dq", "--", "demo"]).args(args);
    let status = command.status().context("starting cargo run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// The counts of a line like `test result: ok. 3 passed; 0 failed; 0 ignored; …`, as each test program ends with.
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |what: &str| {
            counts.split("; ").find_map(|part| part.strip_suffix(what)).and_then(|number| number.parse().ok())
        };
        Some(Counts { passed: count(" passed")?, failed: count(" failed")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_and_nothing_else() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.46s";
        assert_eq!(Counts::parse(line), Some(Counts { passed: 12, failed: 3 }));
        assert_eq!(Counts::parse("test result: ok. many passed; 0 failed;"), None);
        assert_eq!(Counts::parse("test data::tests::result ... ok"), None);
    }
}
