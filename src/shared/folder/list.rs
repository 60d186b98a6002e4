//! The list of the files that `dq` wrote into a folder, which stands in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Name of the file that lists what `dq` wrote into a folder, with SHA-256 (`sha256sum --check` reads it), so
/// that the folder may be replaced later and nothing of the user's is lost.
pub const MANIFEST: &str = "files.txt";

/// Lists the files that `dq` wrote into a folder: a line each, with the hash of the contents and the name.
/// Lists of older programs have names alone. While a folder is filled, a name may stand with two hashes.
pub struct List(pub BTreeSet<String>);

impl List {
    /// Lists `files` (name, contents).
    pub fn of(files: &[(String, Vec<u8>)]) -> Self {
        Self(files.iter().map(|(name, contents)| line(name, contents)).collect())
    }

    /// Reads the list in a folder; where there is none it is empty.
    pub fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default();
        Self(text.lines().map(str::to_owned).collect())
    }

    /// Returns the text of the list, by name.
    pub fn text(&self) -> String {
        let mut lines: Vec<&String> = self.0.iter().collect();
        lines.sort_by_key(|line| line.get(HASHED..));
        lines.into_iter().map(|line| format!("{line}\n")).collect()
    }

    /// Returns whether a file of this name was written.
    pub fn has(&self, name: &str) -> bool {
        let named = |line: &String| line.get(HASHED..).is_some_and(|rest| rest == name) || line == name;
        name == MANIFEST || self.0.iter().any(named)
    }

    /// Returns whether a file in a folder of this name was written.
    pub fn has_in(&self, folder: &str) -> bool {
        let below = |name: &str| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        self.0.iter().filter_map(|line| line.get(HASHED..)).any(below)
    }

    /// Returns whether the file was written with these contents, or with any as far as an older list says.
    pub fn holds(&self, name: &str, contents: &[u8]) -> bool {
        name == MANIFEST || self.0.contains(name) || self.0.contains(&line(name, contents))
    }
}

/// Where the name begins in a line that [`line`] makes.
pub const HASHED: usize = 66;

fn line(name: &str, contents: &[u8]) -> String {
    format!("{}  {name}", dq_net::sha256(contents))
}
