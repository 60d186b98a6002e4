//! Writes a whole folder or nothing: files are written beside its place, and then moved there. A folder that
//! exists and is empty, or cannot be moved (the current one, a mount point), is filled where it is, with
//! files that are already written.

mod list;

use anyhow::{Context, Result, bail};
use dq_net::atomic;
use list::{List, MANIFEST};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Writes `files` (plain name, contents) as folder `path`, where a link to a folder leads. A folder that is
/// there already is replaced only if `dq` wrote it and nothing was added or edited since. The file `given`,
/// which the new ones were made from, may be in it, edited.
pub fn publish(path: &Path, files: &[(String, Vec<u8>)], given: Option<&Path>) -> Result<()> {
    let context = || format!("{}: writing the folder", path.display());
    let path = &atomic::end_of_links(path).with_context(context)?;
    match names_to_replace(path, given)? {
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
    let list = List::of(files);
    let both = List(list.0.union(&List::read(path).0).cloned().collect());
    atomic::write(&path.join(MANIFEST), both.text().as_bytes()).context(MANIFEST)?;
    for (name, _) in files {
        fs::rename(staging.new_folder().join(name), path.join(name))
            .with_context(|| format!("moving {name} into place"))?;
    }
    for name in old.iter().filter(|name| !list.has(name)) {
        fs::remove_file(path.join(name)).with_context(|| format!("removing {name}"))?;
    }
    atomic::write(&path.join(MANIFEST), list.text().as_bytes()).context(MANIFEST)
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
        let list = List::of(files).text();
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
fn names_to_replace(path: &Path, given: Option<&Path>) -> Result<Option<BTreeSet<String>>> {
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
    let list = List::read(path);
    if let Some(name) = names.iter().find(|name| !list.has(name)) {
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
    if let Some(name) = names.iter().find(|name| is_edited(name)) {
        bail!(
            "{}: not replaced, because `{name}` in it was edited after dq wrote it; name another folder, or \
             delete `{name}` (an edited plan may be given with --plan)",
            path.display()
        );
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use super::list::HASHED;
    use super::*;

    fn publish(path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
        super::publish(path, files, None)
    }

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

    /// What a user edited is the user's, whether the folder is moved or filled; a file that was given is not
    /// lost, since the new ones were made from it.
    #[test]
    fn an_edited_file_stays() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("rtl");
        let [edited, other] = ["a.v", "b.v"].map(|name| path.join(name));
        publish(&path, &files(&["a.v", "b.v"])).unwrap();
        fs::write(&edited, "mine").unwrap();
        let error = publish(&path, &files(&["a.v", "b.v"])).unwrap_err().to_string();
        assert!(error.contains("`a.v` in it was edited") && error.contains("delete `a.v`"), "{error}");
        assert!(super::publish(&path, &files(&["a.v", "b.v"]), Some(&other)).is_err());
        assert_eq!(fs::read_to_string(&edited).unwrap(), "mine");
        super::publish(&path, &files(&["a.v", "b.v"]), Some(&edited)).unwrap();
        assert_eq!(fs::read_to_string(&edited).unwrap(), "a.v");
        fs::remove_file(&edited).unwrap();
        publish(&path, &files(&["a.v", "b.v"])).unwrap();
        // In a folder that is half filled, each file may be the old or the new one.
        let both = [files(&["b.v"]), vec![("b.v".into(), b"old".to_vec())]].map(|files| List::of(&files));
        fs::write(path.join(MANIFEST), both[0].text() + &both[1].text() + "a.v\n").unwrap();
        for (contents, is_ours) in [("b.v", true), ("old", true), ("mine", false)] {
            fs::write(&other, contents).unwrap();
            assert_eq!(names_to_replace(&path, None).is_ok(), is_ours, "{contents}");
        }
        // Lists of older programs have names alone.
        fs::write(path.join(MANIFEST), "a.v\nb.v\nfiles.txt\n").unwrap();
        publish(&path, &files(&["c.v"])).unwrap();
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
        let lines: Vec<&str> = list.lines().map(|line| &line[HASHED..]).collect();
        assert_eq!(lines, ["a.v", "b.v"]);
        assert!(list.starts_with(&dq_net::sha256(b"a.v")), "as `sha256sum` writes it");
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
        let names = |path: &Path| names_to_replace(path, None).unwrap().unwrap();
        fill(base.path(), &files(&["a.v", "b.v"]), &BTreeSet::new()).unwrap();
        fill(base.path(), &files(&["b.v", "c.v"]), &names(base.path())).unwrap();
        assert_eq!(names(base.path()), ["b.v", "c.v", MANIFEST].map(String::from).into());
        let moved = |kind| cannot_move(&anyhow::Error::new(std::io::Error::from(kind)).context("moving"));
        assert!(moved(ErrorKind::ResourceBusy) && moved(ErrorKind::PermissionDenied));
        assert!(!moved(ErrorKind::StorageFull));
    }
}
