//! Reads and writes reports.

use anyhow::{Context, Result, bail};
use dq_sim::report::{FORMAT, Report, VERSION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// Writes `report`, whole or not at all.
pub fn write(report: &impl Serialize, path: &Path) -> Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    dq_net::atomic::write(path, text.as_bytes())
        .with_context(|| format!("{}: writing the report", path.display()))
}

/// Reads what [`write`] wrote; `what` it is.
pub fn read_as<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let text = dq_net::read::text(path, 1 << 30)
        .with_context(|| format!("{}: reading the report", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: not {what}", path.display()))
}

/// Reads a report of this version.
pub fn read(path: &Path) -> Result<Report> {
    let report: Report = read_as(path, "an attack report")?;
    if report.format != FORMAT || report.version != VERSION {
        bail!(
            "{}: expected `{FORMAT}` version {VERSION}, found `{}` version {}",
            path.display(),
            report.format,
            report.version
        );
    }
    Ok(report)
}

/// Returns the place where a stopped run's report is kept.
pub fn partial_path(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    output.with_file_name(name)
}

/// Says whether a stopped run left something in `partial` to go on from, which `resume` asks for and which is
/// refused without; `what` begins that error.
pub fn is_unfinished(partial: &Path, resume: bool, what: &str) -> Result<bool> {
    match (resume, partial.exists()) {
        (true, false) => bail!("--resume: there is no {}", partial.display()),
        (false, true) => bail!("{}: {what} there; give --resume or remove it", partial.display()),
        (_, there) => Ok(there),
    }
}

/// Writes the whole `report` to `output` and removes what was kept of it in `partial`.
pub fn finish(report: &impl Serialize, output: &Path, partial: &Path) -> Result<()> {
    write(report, output)?;
    remove(partial)
}

/// Removes what a stopped run kept, where it is there.
pub fn remove(partial: &Path) -> Result<()> {
    if partial.exists() {
        std::fs::remove_file(partial).with_context(|| format!("{}: removing", partial.display()))?;
    }
    Ok(())
}
