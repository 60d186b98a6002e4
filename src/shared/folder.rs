//! Writes a whole folder or nothing: files are written beside its place, and then moved there. A folder that
//! exists and is empty, or cannot be moved (the current one, a mount point), is filled where it is, with
//! files that are already written.

use anyhow::{Context, Result, bail};
use dq_net::atomic;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Name of the file that lists what `dq` wrote into a folder, so that the folder may be replaced later and
/// nothing of the user's is lost.
const MANIFEST: &str = "files.txt";

/// Writes `files` (plain name, contents) as folder `path`, where a link to a folder leads. A folder that is
/// there already is replaced only if `dq` wrote it and nothing was added since.
pub fn publish(path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let context = || format!("{}: writing the folder", path.display());
    let path = &atomic::end_of_links(path).with_context(context)?;
    match names_to_replace(path)? {
        None => make(path, files),
        Some(old) if old.is_empty() || is_current(path) => fill(path, files, &old),
        Some(old) => match swap(path, files) {
            Err(error) if cannot_move(&error) => fill(path, files, &old),
            result => result,
        },
    }
    .with_context(context)
}

/// Makes the folder, which is not there.
fn make(path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let parent = parent(path);
    fs::create_dir_all(&parent).with_context(|| format!("{}: making the folder", parent.display()))?;
    let staging = Staging::new(&parent, files)?;
    fs::rename(staging.new_folder(), path).context("moving the new folder into place")
}

/// Replaces the folder, which is there.
fn swap(path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let staging = Staging::new(&parent(path), files)?;
    let aside = staging.folder.path().join("old");
    fs::rename(path, &aside).context("replacing the old folder")?;
    let moved = fs::rename(staging.new_folder(), path);
    if moved.is_err() {
        fs::rename(&aside, path).context("putting the old folder back")?;
    }
    moved.context("moving the new folder into place")
}

/// Fills the folder, which is there and has the files `old`. Each new file is on the disk before the first is
/// moved; the list of files is always one of all that are there.
fn fill(path: &Path, files: &[(String, Vec<u8>)], old: &BTreeSet<String>) -> Result<()> {
    let staging = Staging::new(path, files)?;
    let new: BTreeSet<String> = files.iter().map(|(name, _)| name.clone()).chain([MANIFEST.into()]).collect();
    atomic::write(&path.join(MANIFEST), manifest(new.union(old)).as_bytes()).context(MANIFEST)?;
    for (name, _) in files {
        fs::rename(staging.new_folder().join(name), path.join(name))
            .with_context(|| format!("moving {name} into place"))?;
    }
    for name in old.difference(&new) {
        fs::remove_file(path.join(name)).with_context(|| format!("removing {name}"))?;
    }
    atomic::write(&path.join(MANIFEST), manifest(&new).as_bytes()).context(MANIFEST)
}

/// Holds the new files in a temporary folder, which is removed when dropped.
struct Staging {
    folder: tempfile::TempDir,
}

impl Staging {
    fn new(parent: &Path, files: &[(String, Vec<u8>)]) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(".dq-")
            .tempdir_in(parent)
            .with_context(|| format!("making a temporary folder in {}", parent.display()))?;
        let staging = Self { folder };
        fs::create_dir(staging.new_folder()).context("making a temporary folder")?;
        let names: BTreeSet<String> =
            files.iter().map(|(name, _)| name.clone()).chain([MANIFEST.into()]).collect();
        let list = manifest(&names);
        let all = files.iter().map(|(name, data)| (name.as_str(), data.as_slice()));
        for (name, contents) in all.chain([(MANIFEST, list.as_bytes())]) {
            fs::write(staging.new_folder().join(name), contents)
                .with_context(|| format!("writing {name}"))?;
        }
        Ok(staging)
    }

    fn new_folder(&self) -> PathBuf {
        self.folder.path().join("new")
    }
}

fn manifest<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("{name}\n")).collect()
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Says whether it is this process's folder, which its shell's user would lose if it were moved.
fn is_current(path: &Path) -> bool {
    match (fs::canonicalize(path), std::env::current_dir().and_then(fs::canonicalize)) {
        (Ok(path), Ok(current)) => path == current,
        _ => false,
    }
}

/// Says whether it failed because the folder cannot be moved: a mount point, or the folder above may not be
/// changed.
fn cannot_move(error: &anyhow::Error) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    let kind = error.root_cause().downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    kind.is_some_and(|kind| {
        [CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy].contains(&kind)
    })
}

/// Returns the names in the folder `path`, all of which may be replaced; `None` where nothing is there.
fn names_to_replace(path: &Path) -> Result<Option<BTreeSet<String>>> {
    if !path.exists() {
        return Ok(None);
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
            "{}: not replaced, because `{name}` in it was not written by dq; name another folder or remove \
             this one",
            path.display()
        ),
        None => Ok(Some(names)),
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

    #[test]
    #[cfg(unix)]
    fn an_empty_folder_is_filled_where_it_is_and_a_link_stays() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let base = tempfile::tempdir().unwrap();
        let [path, link, far] = ["rtl", "link", "far"].map(|name| base.path().join(name));
        fs::create_dir(&path).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        publish(&path, &files(&["a.v", "b.v"])).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
        let list = fs::read_to_string(path.join(MANIFEST)).unwrap();
        assert_eq!(list, "a.v\nb.v\nfiles.txt\n");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 3, "nothing is left in it");
        // Through a link, the folder behind it is replaced; a link to a missing folder creates that folder.
        symlink("rtl", &link).unwrap();
        symlink("new", &far).unwrap();
        for link in [&link, &far] {
            publish(link, &files(&["c.v"])).unwrap();
            assert!(fs::symlink_metadata(link).unwrap().is_symlink());
        }
        assert!(path.join("c.v").exists() && !path.join("a.v").exists());
        assert!(base.path().join("new/c.v").exists());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 4, "nothing is left beside it");
    }

    #[test]
    fn a_folder_that_cannot_be_moved_is_filled() {
        let base = tempfile::tempdir().unwrap();
        let names = |path: &Path| names_to_replace(path).unwrap().unwrap();
        fill(base.path(), &files(&["a.v", "b.v"]), &BTreeSet::new()).unwrap();
        fill(base.path(), &files(&["b.v", "c.v"]), &names(base.path())).unwrap();
        assert_eq!(names(base.path()), ["b.v", "c.v", MANIFEST].map(String::from).into());
        let moved = |kind| cannot_move(&anyhow::Error::new(std::io::Error::from(kind)).context("moving"));
        assert!(moved(ErrorKind::ResourceBusy) && moved(ErrorKind::PermissionDenied));
        assert!(!moved(ErrorKind::StorageFull));
    }
}
