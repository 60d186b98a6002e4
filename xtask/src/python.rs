//! Python environments that pip fills: how one is made, and what is said where Python or pip is missing.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Makes an empty Python environment and returns a command that starts pip for it.
pub fn make_environment(environment: &Path) -> anyhow::Result<Command> {
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

/// Whether Python is there and runs to its end with these arguments.
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
