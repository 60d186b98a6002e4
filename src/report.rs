//! Reads and writes attack reports.

use anyhow::{Context, Result, bail};
use dq_sim::report::{FORMAT, Report, VERSION};
use std::path::Path;

/// Writes `report`, whole or not at all.
pub fn write(report: &Report, path: &Path) -> Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    dq_net::atomic::write(path, text.as_bytes())
        .with_context(|| format!("{}: writing the report", path.display()))
}

/// Reads a report of this version.
pub fn read(path: &Path) -> Result<Report> {
    let text = dq_net::read::text(path, 1 << 30)
        .with_context(|| format!("{}: reading the report", path.display()))?;
    let report: Report =
        serde_json::from_str(&text).with_context(|| format!("{}: not an attack report", path.display()))?;
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
