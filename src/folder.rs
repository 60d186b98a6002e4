//! Writes a whole folder or nothing: into a temporary folder beside it, which then takes its place.

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lists the files of a folder that `dq` wrote, so that it may be replaced later and nothing of the user's is lost.
const MANIFEST: &str = "files.txt";

/// Writes `files` (plain name, contents) as folder `path`. A folder that is there already is replaced only if `dq`
/// wrote it and nothing was added since.
pub fn publish(path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let old = check_replaceable(path)?;
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&parent).with_context(|| format!("{}: making the folder", parent.display()))?;
    let staging = tempfile::Builder::new()
        .prefix(".dq-")
        .tempdir_in(&parent)
        .with_context(|| format!("{}: making a temporary folder", parent.display()))?;
    let new = staging.path().join("new");
    fs::create_dir(&new).with_context(|| format!("{}: making the folder", new.display()))?;
    let mut names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).chain([MANIFEST]).collect();
    names.sort_unstable();
    let manifest: String = names.iter().map(|name| format!("{name}\n")).collect();
    let all = files.iter().map(|(name, data)| (name.as_str(), data.as_slice()));
    for (name, contents) in all.chain([(MANIFEST, manifest.as_bytes())]) {
        fs::write(new.join(name), contents).with_context(|| format!("{}: writing {name}", path.display()))?;
    }
    if old {
        let aside = staging.path().join("old");
        fs::rename(path, &aside).with_context(|| format!("{}: replacing the folder", path.display()))?;
    }
    fs::rename(&new, path).with_context(|| format!("{}: moving the new folder into place", path.display()))
}

/// Whether something stands at `path` that may be replaced; an error if it may not.
fn check_replaceable(path: &Path) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    if !path.is_dir() {
        bail!("{}: expected a folder to write, found a file", path.display());
    }
    let reading = || format!("{}: reading the folder", path.display());
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(path).with_context(reading)? {
        names.insert(entry.with_context(reading)?.file_name().to_string_lossy().into_owned());
    }
    let manifest = fs::read_to_string(path.join(MANIFEST)).unwrap_or_default();
    let ours: BTreeSet<&str> = manifest.lines().collect();
    match names.iter().find(|name| !ours.contains(name.as_str())) {
        Some(name) => bail!(
            "{}: not replaced, because `{name}` in it was not written by dq; name another folder or remove this one",
            path.display()
        ),
        None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<(String, Vec<u8>)> {
        names.iter().map(|n| ((*n).to_owned(), n.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_folder_is_replaced_whole() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("rtl");
        publish(&path, &files(&["a.v", "b.v"])).unwrap();
        publish(&path, &files(&["a.v", "c.v"])).unwrap();
        assert!(path.join("c.v").exists() && !path.join("b.v").exists());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_not_ours_stays() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("rtl");
        publish(&path, &files(&["a.v"])).unwrap();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        assert!(publish(&path, &files(&["b.v"])).unwrap_err().to_string().contains("notes.txt"));
        assert!(path.join("a.v").exists());
        let file = base.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(publish(&file, &files(&["b.v"])).unwrap_err().to_string().contains("found a file"));
        assert!(publish(&file.join("rtl"), &files(&["b.v"])).is_err());
    }
}
