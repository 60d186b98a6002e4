//! Reads and writes reports.

use anyhow::{Context, Result, bail};
use dq_sim::report::{FORMAT, Report, VERSION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
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

/// Holds the place of what a stopped run keeps beside its output, so that another can go on from it. Another
/// process may write there too: its file is never removed nor overwritten.
pub struct Partial {
    path: PathBuf,
    /// SHA-256 of the file that this process goes on from.
    begun: Option<String>,
}

impl Partial {
    /// Looks for what a stopped run left beside `output` to go on from, which `resume` asks for and which is
    /// refused without; `what` begins that error.
    pub fn find(output: &Path, resume: bool, what: &str) -> Result<Self> {
        let path = partial_path(output);
        let begun = match (resume, path.exists()) {
            (true, false) => bail!("--resume: there is no {}", path.display()),
            (false, true) => bail!("{}: {what} there; give --resume or remove it", path.display()),
            (false, false) => None,
            (true, true) => Some(digest(&path).with_context(|| format!("{}: reading", path.display()))?),
        };
        Ok(Self { path, begun })
    }

    /// Returns the file to go on from.
    pub fn begun(&self) -> Option<&Path> {
        self.begun.as_ref().map(|_| self.path.as_path())
    }

    /// Keeps what a stopped run has by `write`, and says where: beside a file of another process, where one
    /// appeared meanwhile.
    pub fn keep(&self, write: impl FnOnce(&Path) -> Result<()>) -> Result<String> {
        if !self.path.exists() || self.is_begun() {
            write(&self.path)?;
            return Ok(self.path.display().to_string());
        }
        let numbered = |n: u32| self.path.with_extension(format!("partial.{n}"));
        let free = (2..).map(numbered).find(|path| !path.exists()).expect("no folder has so many files");
        write(&free)?;
        let (free, path) = (free.display(), self.path.display());
        Ok(format!("{free} (rename it: {path} is another process's)"))
    }

    /// Removes the file that this process began from, once its work is done.
    pub fn remove(&self) -> Result<()> {
        if self.is_begun() {
            fs::remove_file(&self.path).with_context(|| format!("{}: removing", self.path.display()))?;
        }
        Ok(())
    }

    /// Returns whether the file that this process began from is there, as it was.
    fn is_begun(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| digest(&self.path).is_ok_and(|found| found == *begun))
    }
}

fn digest(path: &Path) -> std::io::Result<String> {
    fs::read(path).map(|bytes| dq_net::sha256(&bytes))
}

/// Writes the whole `report` to `output` and removes what was kept of it in `partial`.
pub fn finish(report: &impl Serialize, output: &Path, partial: &Partial) -> Result<()> {
    write(report, output)?;
    partial.remove()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two processes with one output: what the one keeps when it is stopped outlives the other.
    #[test]
    fn the_partial_report_of_another_process_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [output, partial, second] =
            ["r.json", "r.json.partial", "r.json.partial.2"].map(|name| folder.path().join(name));
        let find = |resume| Partial::find(&output, resume, "an unfinished report is");
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let ours = find(false).unwrap();
        assert!(ours.begun().is_none() && find(true).is_err());
        fs::write(&partial, "another's").unwrap();
        finish(&1, &output, &ours).unwrap();
        assert_eq!((read(&output).as_str(), read(&partial).as_str()), ("1\n", "another's"));
        let kept = ours.keep(|path| write(&2, path)).unwrap();
        assert_eq!((read(&partial).as_str(), read(&second).as_str()), ("another's", "2\n"));
        assert!(kept.contains("r.json.partial.2 (rename it: "), "{kept}");
        // The file that it went on from is its own, until another process writes there.
        assert!(find(false).is_err());
        let ours = find(true).unwrap();
        assert_eq!(ours.begun(), Some(partial.as_path()));
        assert_eq!(ours.keep(|path| write(&3, path)).unwrap(), partial.display().to_string());
        finish(&4, &output, &ours).unwrap();
        assert_eq!(read(&partial), "3\n", "it was written since");
        finish(&5, &output, &find(true).unwrap()).unwrap();
        assert!(!partial.exists());
    }
}
