//! Makes Python environments that pip fills, and says what to do where Python or pip is missing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::tools::pins;

/// Describes pinned packages in an environment of their own.
pub struct Environment<'a> {
    /// Name of the packages, in messages.
    pub name: &'a str,
    /// Their size on disk, in messages.
    pub size: &'a str,
    /// Folder of the environment; other versions take another folder.
    pub folder: PathBuf,
    /// File that the installation locks, so that one runs at a time.
    pub lock: PathBuf,
    /// The packages, each with its version.
    pub pins: &'a [&'a str],
}

/// Returns the project's folder in the user's cache, made where it is missing.
pub fn cache() -> anyhow::Result<PathBuf> {
    let cache = pins::cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
        .context("neither XDG_CACHE_HOME nor HOME says where this user's cache is")?;
    fs::create_dir_all(&cache).with_context(|| format!("making the cache folder {}", cache.display()))?;
    Ok(cache)
}

impl Environment<'_> {
    /// Makes the environment where it is missing and has `finish` complete it. A second call at the same time
    /// waits for the first. The marker is written last: what lacks it was interrupted and is made anew.
    pub fn set_up(&self, finish: impl Fn(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let Environment { name, size, folder, lock, pins } = self;
        let lock = File::create(lock).with_context(|| format!("opening {}", lock.display()))?;
        lock.lock().with_context(|| format!("waiting for another installation of the {name}"))?;
        let marker = pins::marker(folder);
        if marker.is_file() {
            return Ok(());
        }
        let install = || {
            if folder.exists() {
                eprintln!("{name}: an earlier installation was interrupted; starting again");
                fs::remove_dir_all(folder).context("removing what an interrupted installation left")?;
            }
            eprintln!("{name}: installing into {} (about {size} on disk)", folder.display());
            let mut pip = make_environment(folder)?;
            pip.args(["install", "--disable-pip-version-check", "--no-input", "--no-deps"]);
            run(pip.arg("--only-binary=:all:").args(*pins))
                .context("pip could not fetch the packages: is the package index reachable?")?;
            finish(folder)?;
            fs::write(marker, pins.join("\n")).context("marking the environment as complete")
        };
        install().with_context(|| format!("installing the {name} into {}", folder.display()))
    }
}

/// Makes an empty Python environment and returns a command that starts pip for it.
fn make_environment(environment: &Path) -> anyhow::Result<Command> {
    // Debian's python3 has `venv` but not `ensurepip`, which is in python3-venv. A pip from 22.3 on can
    // install into an environment that has none of its own.
    if python(&["-c", "import ensurepip, venv"]) {
        run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args(["-m", "pip"]);
        return Ok(pip);
    }
    let probe = "import venv, pip; assert tuple(map(int, pip.__version__.split('.')[:2])) >= (22, 3)";
    ensure!(python(&["-c", probe]), "{}", remedy(&[("Python's venv and pip", "python3-venv")]));
    run(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(environment))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--python"]).arg(environment.join("bin/python"));
    Ok(pip)
}

/// Returns one sentence that says what is missing, as pairs of name and Debian package, and which command
/// brings it.
pub fn remedy(missing: &[(&str, &str)]) -> String {
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    format!(
        "missing: {} (on Debian and Ubuntu: sudo apt-get install {})",
        names.join(", "),
        packages.join(" ")
    )
}

/// Returns whether Python is there and runs to its end with these arguments.
fn python(args: &[&str]) -> bool {
    let mut command = Command::new("python3");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a command whose output the user sees.
///
/// # Errors
/// Where it does not start, or ends with another status than 0.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("starting {name}"))?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}
