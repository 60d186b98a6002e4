//! Finds the external EDA tools: where each one is on this machine, and a command that runs it.
//!
//! Never installs anything (`cargo xtask tools` does) and never decides what is run with a tool.

pub mod board;
pub(crate) mod family;
pub mod flow;
pub mod formal;
pub mod gates;
mod locate;
pub mod pins;
pub mod run;
pub mod synthesis;
pub mod verilator;
pub mod vivado;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

pub use locate::{TOOLS, ToolRow};

/// Describes a tool that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name in [`TOOLS`].
    pub name: &'static str,
    /// File of the program.
    pub program: PathBuf,
    /// Environment variables that it needs.
    pub env: Vec<(&'static str, OsString)>,
}

impl Tool {
    /// A command that runs the tool, to which arguments and a working folder are added.
    ///
    /// Give paths relative to the working folder: the WebAssembly tools see a private, empty `/tmp`.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Says why a tool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// No row of [`TOOLS`] has this name.
    #[error("unknown tool `{name}`: expected one of {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that [`TOOLS`] has.
        known: String,
    },
    /// `DQ_TOOLS` is set but names no environment of the tools.
    #[error("DQ_TOOLS: expected the folder of a Python environment with the tools, found {}", path.display())]
    NotAnEnvironment {
        /// The value of `DQ_TOOLS`.
        path: PathBuf,
    },
    /// The environment names no folder for what is built once and kept.
    #[error(
        "no folder to keep built simulators in: expected an absolute path in XDG_CACHE_HOME or HOME, \
         found none in either"
    )]
    NoCache,
    /// The tool is in none of the places, or too old.
    #[error("`{name}` is needed: {looked}; {remedy}")]
    Missing {
        /// Name of the tool.
        name: &'static str,
        /// The places that were searched, and what was found there.
        looked: String,
        /// Command that installs it.
        remedy: &'static str,
    },
}

/// Returns the project's folder in the user's cache; an error where the environment names neither cache nor
/// home.
pub fn cache_folder() -> Result<PathBuf, ToolError> {
    pins::cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")).ok_or(ToolError::NoCache)
}

/// Finds a tool of [`TOOLS`]: in the environment that `DQ_TOOLS` names, in the project's own environment in
/// the user's cache, on `PATH` where its version serves; the first that has it.
pub fn find(name: &str) -> Result<Tool, ToolError> {
    locate::find_in(&locate::Places::of_this_process(), name)
}

/// For tests that need a tool: without it they say so on stderr and are skipped, or fail where
/// `DQ_REQUIRE_TOOLS=1`.
///
/// # Panics
/// Where `DQ_REQUIRE_TOOLS=1` and the tool, being one that `cargo xtask tools` installs, is missing.
pub fn require(name: &str) -> Option<Tool> {
    let error = match find(name) {
        Ok(tool) => return Some(tool),
        Err(error) => error,
    };
    let installable = TOOLS.iter().any(|row| row.name == name && row.installable());
    let required = std::env::var_os("DQ_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!(required && installable), "{error}");
    // This is not `eprintln!`, which the test harness swallows where a test passes.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED a test: {error}");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_runs_with_its_environment() {
        let Some(verilator) = require("verilator") else { return };
        let dir = tempfile::tempdir().unwrap();
        let lint = |text: &str| {
            std::fs::write(dir.path().join("inverter.v"), text).unwrap();
            let mut command = verilator.command();
            command.args(["--lint-only", "-Wall", "inverter.v"]).current_dir(dir.path()).output().unwrap()
        };
        let sound = lint("module inverter (input wire a, output wire y);\n  assign y = ~a;\nendmodule\n");
        assert!(sound.status.success(), "{}", String::from_utf8_lossy(&sound.stderr));
        let wide =
            lint("module inverter (input wire [1:0] a, output wire y);\n  assign y = ~a;\nendmodule\n");
        assert!(String::from_utf8_lossy(&wide.stderr).contains("WIDTH"));
    }

    #[test]
    fn unknown_tools_are_refused() {
        let error = find("vivado").unwrap_err().to_string();
        assert!(error.contains("`vivado`") && error.contains("verilator, yosys"), "{error}");
    }
}
