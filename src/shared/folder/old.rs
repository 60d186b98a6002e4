//! Looks at a folder that is to be replaced: only what `dq` wrote may be in it.

use super::list::List;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Holds what is in a folder.
#[derive(Default)]
pub struct Old {
    /// Everything but the folders below, as the list names it.
    pub names: BTreeSet<String>,
    /// Folders in which something that is listed may be.
    pub folders: BTreeSet<String>,
}

impl Old {
    /// Adds what is in `folder`, whose names begin with `prefix`. It does not look into folders of which
    /// `list` knows nothing, nor behind links.
    fn read(&mut self, folder: &Path, prefix: &str, list: &List) -> Result<()> {
        let reading = || format!("{}: reading the folder", folder.display());
        for entry in fs::read_dir(folder).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().with_context(reading)?.is_dir() && list.has_in(&name) {
                self.read(&entry.path(), &format!("{name}/"), list)?;
                self.folders.insert(name);
            } else {
                self.names.insert(name);
            }
        }
        Ok(())
    }
}

/// Returns what is in the folder `path`, all of which may be replaced; `None` where nothing is there.
pub fn to_replace(path: &Path, given: Option<&Path>) -> Result<Option<Old>> {
    if !path.exists() {
        return Ok(None);
    }
    if !path.is_dir() {
        bail!("{}: expected a folder to write, found a file", path.display());
    }
    let list = List::read(path);
    let mut old = Old::default();
    old.read(path, "", &list)?;
    if let Some(name) = old.names.iter().find(|name| !list.has(name)) {
        bail!(
            "{}: not replaced, because `{name}` in it was not written by dq; name another folder or remove \
             this one",
            path.display()
        );
    }
    let given = given.and_then(|given| fs::canonicalize(given).ok());
    let is_given = |file: &Path| given.is_some() && fs::canonicalize(file).ok() == given;
    let is_edited = |name: &String| {
        let file = path.join(name);
        !is_given(&file) && !fs::read(&file).is_ok_and(|contents| list.holds(name, &contents))
    };
    if let Some(name) = old.names.iter().find(|name| is_edited(name)) {
        bail!(
            "{}: not replaced, because `{name}` in it was edited after dq wrote it; name another folder, or \
             delete `{name}` (an edited plan may be given with --plan)",
            path.display()
        );
    }
    Ok(Some(old))
}
