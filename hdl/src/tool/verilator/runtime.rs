//! Keeps objects of Verilator's run-time library beside the programs: they are the same for all programs of
//! the same options, and take most of the time that a small circuit takes to build.

use super::{VerilatorError, at};
use std::fs;
use std::path::{Path, PathBuf};

/// Names the folder of the objects below a cache, by a key of what they are built with.
pub(super) struct Runtime(pub PathBuf);

impl Runtime {
    /// Copies the objects, if they are there, into `objects`; returns make's options that keep them.
    pub fn give(&self, objects: &Path) -> Result<String, VerilatorError> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Ok(String::new()) };
        fs::create_dir_all(objects).map_err(at(objects, "creating"))?;
        let mut options = String::new();
        for entry in entries {
            let path = entry.map_err(at(&self.0, "reading"))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            fs::copy(&path, objects.join(name)).map_err(at(&path, "copying"))?;
            options += &format!(" --old-file={name}");
        }
        Ok(options)
    }

    /// Keeps the objects of a finished build, if they are not there yet.
    pub fn keep(&self, objects: &Path) -> Result<(), VerilatorError> {
        if self.0.is_dir() {
            return Ok(());
        }
        let parent = self.0.parent().unwrap_or(Path::new("."));
        let work = tempfile::Builder::new().prefix(".dq-runtime-").tempdir_in(parent);
        let work = work.map_err(at(parent, "creating"))?;
        for entry in fs::read_dir(objects).map_err(at(objects, "reading"))? {
            let path = entry.map_err(at(objects, "reading"))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.starts_with("verilated") && name.ends_with(".o") {
                fs::copy(&path, work.path().join(name)).map_err(at(&path, "copying"))?;
            }
        }
        let work = work.keep();
        if fs::rename(&work, &self.0).is_err() {
            // Another process was faster.
            fs::remove_dir_all(&work).map_err(at(&work, "removing"))?;
        }
        Ok(())
    }
}
