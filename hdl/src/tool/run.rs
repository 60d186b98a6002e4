//! Runs a tool in a folder: watches it, keeps its output in a log there, and shows its last lines in the
//! error. Never interprets what a tool says.

use super::{Tool, ToolError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Number of lines of a failed tool's log that are shown.
const SHOWN: usize = 12;
/// Time between two looks at a running tool.
const TICK: Duration = Duration::from_millis(50);

/// Is called with what runs, while tools run; returns whether to stop.
pub type Watch<'a> = &'a (dyn Fn(&str) -> bool + Sync);

/// Says why a tool did not do its work.
#[derive(Debug, Error)]
pub enum RunError {
    /// A tool is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The operating system refused an action.
    #[error("{path}: {action}: {source}", path = path.display())]
    Io {
        /// File, folder or program.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A tool ended with a failure.
    #[error("{tool} failed ({status}); its log is {log}:\n{tail}", log = log.display())]
    Failed {
        /// Name of the tool.
        tool: &'static str,
        /// Exit status of the tool.
        status: String,
        /// Path of the whole log.
        log: PathBuf,
        /// Last lines of the log.
        tail: String,
    },
    /// A file that a tool wrote is not as expected.
    #[error("{path}: expected {expected}", path = path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// The content that was expected.
        expected: &'static str,
    },
    /// The user asked to stop.
    #[error("stopped while {0} ran")]
    Stopped(&'static str),
}

/// Runs a tool to its end in `folder`. What it prints is added to `log`.
pub(crate) fn run(
    tool: &Tool,
    args: &[&str],
    folder: &Path,
    log: &str,
    watch: Watch,
) -> Result<(), RunError> {
    let printed = folder.join(format!("{log}.out"));
    let file = fs::File::create(&printed).map_err(at(&printed, "creating"))?;
    let errors = file.try_clone().map_err(at(&printed, "opening"))?;
    let mut command = tool.command();
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(file).stderr(errors);
    let mut child = command.spawn().map_err(at(&tool.program, "starting"))?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(at(&tool.program, "waiting for"))? {
            break status;
        }
        if watch(&format!("{} ({} s)", tool.name, start.elapsed().as_secs())) {
            // The tool may have ended by itself meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(RunError::Stopped(tool.name));
        }
        std::thread::sleep(TICK);
    };
    if status.success() {
        return Ok(());
    }
    let mut path = folder.join(log);
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    if text.trim().is_empty() {
        path = printed;
        text = fs::read_to_string(&path).unwrap_or_default();
    }
    Err(RunError::Failed { tool: tool.name, status: status.to_string(), log: path, tail: last_lines(&text) })
}

/// Returns the last lines of `text` that are not empty.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

/// Returns what a tool says of its version: the first line. One that says nothing has that of its Python
/// package.
pub(crate) fn version(tool: &Tool) -> String {
    if tool.name == "gowin_pack" {
        return package_version(tool, "apycula").unwrap_or_default();
    }
    let output = tool.command().arg("--version").output();
    let text = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}

/// Returns name and version of the Python package that lies in the tool's own environment.
fn package_version(tool: &Tool, package: &str) -> Option<String> {
    let libraries = fs::read_dir(tool.program.parent()?.parent()?.join("lib")).ok()?;
    let packages = libraries.filter_map(|python| python.ok()?.path().join("site-packages").read_dir().ok());
    let names = packages.flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut versions = names.filter_map(|name| {
        let (found, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
        found.eq_ignore_ascii_case(package).then(|| format!("{package} {version}"))
    });
    versions.next()
}

/// Reads a text file that a tool wrote.
pub(crate) fn read(path: &Path) -> Result<String, RunError> {
    fs::read_to_string(path).map_err(at(path, "reading"))
}

/// Writes a file of an emission into `folder`, and makes the folder below it in which the file is to be.
pub fn write_file(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let path = folder.join(name);
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, contents)
}

/// Writes a text file for a tool.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> Result<(), RunError> {
    write_file(folder, name, text).map_err(at(&folder.join(name), "writing"))
}

/// Makes an error of the operating system's.
pub(crate) fn at(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_path_buf();
    move |source| RunError::Io { path, action, source }
}
