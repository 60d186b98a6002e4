//! Reads and writes reports.

use anyhow::{Context, Result, bail};
use dq_sim::report::{FORMAT, Report, VERSION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

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
