//! Runs the two main jobs, by cargo in the workspace. Never sets anything up.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use crate::packages::{COCOTB, ONNX, Packages, TORCH};
use crate::{checkers, python};

/// Limit on the instructions that oneDNN uses in the second run of the training tests: every x86-64 processor
/// on which training is fast has AVX2.
const PLAINEST: (&str, &str) = ("ONEDNN_MAX_CPU_ISA", "AVX2");

/// The tests that train and compare gradients: a test program, and modules in it.
const TRAINING: [&[&str]; 2] =
    [&["--test", "train", "--", "training::", "export::"], &["--test", "dq", "--", "gradient::", "train::"]];

/// Names what runs tests.
#[derive(Clone, PartialEq, Eq)]
enum Runner {
    /// This nextest: a process per test, all test programs at once. It runs no documentation tests.
    Nextest(PathBuf),
    /// `cargo test`: one test program after the other.
    Test,
}

/// Runs all tests, those that need EDA tools included, and ends with the line `N passed, N failed`. Without
/// `args`, the tests that train run once more with the kernels that libtorch takes on the plainest processor:
/// a fault of those would otherwise be seen on such a processor alone. (dq's own kernels need no second run:
/// the tests of the engine go through all that the machine has.)
pub fn test(args: &[String]) -> anyhow::Result<ExitCode> {
    let runner = Runner::found();
    let python: Vec<_> = [ONNX, COCOTB].iter().filter_map(Packages::variable).collect();
    let mut total = run_tests(&runner, args, &python)?;
    if args.is_empty() {
        if runner != Runner::Test {
            total.add(run_tests(&Runner::Test, &["--doc"], &[])?);
        }
        if has_more_than_avx2() {
            println!("== training once more, with {}={}", PLAINEST.0, PLAINEST.1);
            for some in TRAINING {
                total.add(run_tests(&runner, some, &[(PLAINEST.0, PLAINEST.1.into())])?);
            }
        }
    }
    Ok(total.end())
}

/// Runs the long suite alone, optimized: the tests that others leave out because they take minutes. `args`
/// choose among them.
pub fn test_long(args: &[String]) -> anyhow::Result<ExitCode> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let args = [&["--release", "--", "--ignored"], args.as_slice()].concat();
    let pythons: Vec<_> = [ONNX, COCOTB, TORCH].iter().filter_map(Packages::variable).collect();
    Ok(run_tests(&Runner::Test, &args, &pythons)?.end())
}

impl Runner {
    /// Returns the user's nextest, else the one that the checkers bring, else cargo's own runner.
    fn found() -> Self {
        let mut installed = Command::new("cargo-nextest");
        installed.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        if installed.status().is_ok_and(|status| status.success()) {
            return Runner::Nextest("cargo-nextest".into());
        }
        checkers::find("cargo-nextest").map_or(Runner::Test, Runner::Nextest)
    }
}

/// Returns whether libtorch takes better kernels here than those for AVX2, which it takes on the plainest
/// processor.
fn has_more_than_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Judges the licences and sources of all crates, and makes the manual's book.
pub fn check() -> anyhow::Result<ExitCode> {
    if let Some(deny) = checkers::find("cargo-deny") {
        // Crates of other platforms are judged too, though nothing here builds them.
        python::run(cargo().args(["fetch", "--locked"]))?;
        python::run(Command::new(deny).args(["--offline", "check", "bans", "licenses", "sources"]))?;
    }
    if let Some(mdbook) = checkers::find("mdbook") {
        python::run(Command::new(mdbook).arg("build"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs tests of the workspace with `args` and counts what passes. What does not build, or dies, counts as
/// failed.
fn run_tests(
    runner: &Runner,
    args: &[impl AsRef<OsStr>],
    variables: &[(&str, OsString)],
) -> anyhow::Result<Counts> {
    let (mut command, words) = match runner {
        Runner::Nextest(program) => (Command::new(program), &["nextest", "run"][..]),
        Runner::Test => (cargo(), &["test"][..]),
    };
    command.args(words);
    command.args(["--workspace", "--no-fail-fast", "--features", "dq-sim/emulate-amx"]);
    command.args(args).env("DQ_REQUIRE_TOOLS", "1").envs(variables.iter().cloned());
    // Nextest writes everything to stderr; `cargo test` writes the counts to stdout.
    let output: Box<dyn Read>;
    let mut child;
    if *runner != Runner::Test {
        child = command.stderr(Stdio::piped()).spawn().context("starting cargo nextest")?;
        output = Box::new(child.stderr.take().context("cargo nextest has no output")?);
    } else {
        child = command.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
        output = Box::new(child.stdout.take().context("cargo test has no output")?);
    }
    let mut total = Counts::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("reading what the tests print")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(counts) = Counts::parse(&line).or_else(|| Counts::parse_nextest(&line)) {
            total.add(counts);
        }
    }
    let status = child.wait().context("waiting for the tests")?;
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
    // `cargo run` makes only the program that it starts, and the demo trains in the other.
    python::run(cargo().args(["build", "--release", "--package", "dq"]))?;
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
    /// Prints the last line; the exit status says whether nothing failed.
    fn end(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Returns the counts of nextest's line `Summary [  0.016s] 5 tests run: 4 passed (1 slow), 1 failed, 0
    /// skipped`. Of `3/5 tests` two were not run: they failed.
    fn parse_nextest(line: &str) -> Option<Self> {
        let (head, tail) = line.trim_start().strip_prefix("Summary [")?.split_once(" run: ")?;
        let run = head.split("] ").nth(1)?.split_whitespace().next()?;
        let all: u64 = run.rsplit('/').next()?.parse().ok()?;
        let passed = tail.split(", ").find(|part| part.contains(" passed"));
        let passed = passed.map_or(Some(0), |part| part.split_whitespace().next()?.parse().ok())?;
        Some(Counts { passed, failed: all - passed })
    }

    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Returns the counts of a line like `test result: ok. 3 passed; 0 failed; 0 ignored; …`, as each test
    /// program ends with.
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
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; finished in 0.46s";
        assert_eq!(Counts::parse(line), Some(Counts { passed: 12, failed: 3 }));
        assert_eq!(Counts::parse("test result: ok. many passed; 0 failed;"), None);
        assert_eq!(Counts::parse("test data::tests::result ... ok"), None);
    }

    #[test]
    fn summaries_of_nextest_are_read() {
        let read = Counts::parse_nextest;
        let line = "     Summary [ 712.016s] 298 tests run: 297 passed (3 slow), 1 failed, 7 skipped";
        assert_eq!(read(line), Some(Counts { passed: 297, failed: 1 }));
        assert_eq!(
            read("Summary [   0.1s] 3/5 tests run: 3 passed, 0 skipped"),
            Some(Counts { passed: 3, failed: 2 })
        );
        assert_eq!(
            read("Summary [   0.1s] 1 test run: 0 passed, 1 failed"),
            Some(Counts { passed: 0, failed: 1 })
        );
        assert_eq!(read("        PASS [   0.1s] dq-hdl tests run: 3 passed"), None);
    }
}
