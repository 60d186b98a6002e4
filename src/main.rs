//! Runs `dq`, which never loads libtorch.

use std::process::ExitCode;

fn main() -> ExitCode {
    dq::main(None)
}
