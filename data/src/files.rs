//! Reads the published files of a data set, with errors that name the place.
//!
//! No size that a file claims is trusted: memory grows with the bytes that are there, up to the caller's
//! limit.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::DataError;

/// Says what a loader is reading: its data set and one of its files.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub set: &'static str,
    pub path: &'a Path,
}

impl Place<'_> {
    /// Returns the error for a file that is there but wrong.
    pub fn malformed(
        &self,
        what: impl Into<String>,
        expected: impl ToString,
        found: impl ToString,
    ) -> DataError {
        DataError::Malformed {
            set: self.set,
            path: self.path.to_owned(),
            what: what.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// Returns the error for a file that cannot be read.
    pub fn unreadable(&self, expected: impl ToString, source: std::io::Error) -> DataError {
        DataError::Unreadable {
            set: self.set,
            path: self.path.to_owned(),
            expected: expected.to_string(),
            source,
        }
    }

    /// Reads the whole file, which must have exactly `bytes` bytes.
    pub fn read_exactly(&self, bytes: usize) -> Result<Vec<u8>, DataError> {
        let expected = format!("a file of {bytes} bytes");
        let content = self.read_at_most(bytes, &expected)?;
        if content.len() == bytes {
            return Ok(content);
        }
        let found = std::fs::metadata(self.path).map_or(content.len() as u64, |meta| meta.len());
        Err(self.malformed("size", format!("{bytes} bytes"), format!("{found} bytes")))
    }

    /// Reads the file's first `limit + 1` bytes, or all where there are fewer: whoever gets more than `limit`
    /// knows that the file is too long.
    pub fn read_at_most(&self, limit: usize, expected: &str) -> Result<Vec<u8>, DataError> {
        let mut content = Vec::new();
        File::open(self.path)
            .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut content))
            .map_err(|source| self.unreadable(expected, source))?;
        Ok(content)
    }

    /// Checks that every label is below `classes`.
    pub fn check_labels(&self, labels: &[u8], classes: usize) -> Result<(), DataError> {
        match labels.iter().position(|&label| usize::from(label) >= classes) {
            Some(at) => Err(self.malformed(
                format!("label of image {at}"),
                format!("0 to {}", classes - 1),
                labels[at],
            )),
            None => Ok(()),
        }
    }
}

/// Returns where the published files of the set in folder `name` are, for tests: below the folder that
/// `DQ_DATA` names. Without `DQ_DATA` it says loudly that the test was skipped.
#[cfg(test)]
pub(super) fn data_dir(name: &str) -> Option<std::path::PathBuf> {
    use std::io::Write;

    let Some(root) = std::env::var_os("DQ_DATA") else {
        // This is not `eprintln!`, which the test harness swallows where a test passes.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED a test: DQ_DATA names no folder with {name}'s files");
        return None;
    };
    Some(Path::new(&root).join(name))
}
