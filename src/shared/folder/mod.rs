//! Writes a whole folder or nothing: files are written beside its place, and then moved there. A folder that
//! exists and is empty, or cannot be moved (the current one, a mount point), is filled where it is, with
//! files that are already written.

mod list;
mod old;

use anyhow::{Context, Result};
use dq_hdl::tool::run::write_file;
use dq_net::atomic;
use list::{List, MANIFEST};
use old::{Old, to_replace};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Writes `files` (name, contents) as folder `path`, where a link to a folder leads. A name is plain, or
/// leads through folders in this one (`images/conv/conv_weights.mem`). A folder that is there already is
/// replaced only if `dq` wrote it and nothing was added or edited since. The file `given`, which the new ones
/// were made from, may be in it, edited.
pub fn publish(path: &Path, files: &[(String, Vec<u8>)], given: Option<&Path>) -> Result<()> {
    let context = || format!("{}: writing the folder", path.display());
    let path = &atomic::end_of_links(path).with_context(context)?;
    match to_replace(path, given)? {
        None => make(path, files),
        Some(old) if old.names.is_empty() || is_current(path) => fill(path, files, &old),
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
fn fill(path: &Path, files: &[(String, Vec<u8>)], old: &Old) -> Result<()> {
    let staging = Staging::new(path, files)?;
    let list = List::of(files);
    let both = List(list.0.union(&List::read(path).0).cloned().collect());
    atomic::write(&path.join(MANIFEST), both.text().as_bytes()).context(MANIFEST)?;
    for (name, _) in files {
        let place = path.join(name);
        fs::create_dir_all(parent(&place))
            .and_then(|()| fs::rename(staging.new_folder().join(name), &place))
            .with_context(|| format!("moving {name} into place"))?;
    }
    for name in old.names.iter().filter(|name| !list.has(name)) {
        fs::remove_file(path.join(name)).with_context(|| format!("removing {name}"))?;
    }
    // A folder comes before those in it.
    for name in old.folders.iter().rev().filter(|name| !list.has_in(name)) {
        fs::remove_dir(path.join(name)).with_context(|| format!("removing the folder {name}"))?;
    }
    atomic::write(&path.join(MANIFEST), list.text().as_bytes()).context(MANIFEST)
}

/// Holds the new files in a temporary folder, which is removed when dropped.
struct Staging {
    folder: tempfile::TempDir,
}

impl Staging {
    fn new(within: &Path, files: &[(String, Vec<u8>)]) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(".dq-")
            .tempdir_in(within)
            .with_context(|| format!("making a temporary folder in {}", within.display()))?;
        let staging = Self { folder };
        fs::create_dir(staging.new_folder()).context("making a temporary folder")?;
        let list = List::of(files).text();
        let all = files.iter().map(|(name, data)| (name.as_str(), data.as_slice()));
        for (name, contents) in all.chain([(MANIFEST, list.as_bytes())]) {
            write_file(&staging.new_folder(), name, contents).with_context(|| format!("writing {name}"))?;
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

#[cfg(test)]
mod tests {
    use super::list::HASHED;
    use super::*;
    use std::collections::BTreeSet;

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

    /// A folder of the flat layout of older programs becomes one with folders in it, and the other way round.
    /// What a user put into one of them, or edited there, is the user's.
    #[test]
    fn files_are_in_folders_of_the_folder() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("rtl");
        publish(&path, &files(&["a.v", "a_weights.mem"])).unwrap();
        let layered = files(&["a.v", "images/a/a_weights.mem", "images/b/b_weights.mem"]);
        publish(&path, &layered).unwrap();
        assert!(!path.join("a_weights.mem").exists());
        let image = path.join("images/a/a_weights.mem");
        assert_eq!(fs::read_to_string(&image).unwrap(), "images/a/a_weights.mem");
        publish(&path, &layered).unwrap();

        let refused = || publish(&path, &layered).unwrap_err().to_string();
        fs::write(&image, "mine").unwrap();
        assert!(refused().contains("`images/a/a_weights.mem` in it was edited"), "{}", refused());
        fs::remove_file(&image).unwrap();
        publish(&path, &layered).unwrap();
        for name in ["images/notes.txt", "images/a/notes.txt", "notes.txt"] {
            fs::write(path.join(name), "mine").unwrap();
            assert!(refused().contains(&format!("`{name}` in it was not written by dq")), "{}", refused());
            fs::remove_file(path.join(name)).unwrap();
        }
        for name in ["mine", "images/mine"] {
            fs::create_dir(path.join(name)).unwrap();
            fs::write(path.join(name).join("a.v"), "mine").unwrap();
            assert!(refused().contains(&format!("`{name}` in it was not written by dq")), "{}", refused());
            fs::remove_dir_all(path.join(name)).unwrap();
        }
        publish(&path, &files(&["a.v", "a_weights.mem"])).unwrap();
        assert!(path.join("a_weights.mem").exists() && !path.join("images").exists());
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
            assert_eq!(to_replace(&path, None).is_ok(), is_ours, "{contents}");
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
        let old = |path: &Path| to_replace(path, None).unwrap().unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<BTreeSet<String>>();
        fill(base.path(), &files(&["a.v", "b.v", "i/a/1", "i/a/b/2", "i/b/3"]), &Old::default()).unwrap();
        fill(base.path(), &files(&["b.v", "c.v", "i/b/3", "i/c/4"]), &old(base.path())).unwrap();
        let found = old(base.path());
        assert_eq!(found.names, names(&["b.v", "c.v", "i/b/3", "i/c/4", MANIFEST]));
        assert_eq!(found.folders, names(&["i", "i/b", "i/c"]));
        // A file that is gone leaves its folder, which goes too.
        fs::remove_file(base.path().join("i/c/4")).unwrap();
        fill(base.path(), &files(&["b.v"]), &old(base.path())).unwrap();
        assert!(!base.path().join("i").exists());
        let moved = |kind| cannot_move(&anyhow::Error::new(std::io::Error::from(kind)).context("moving"));
        assert!(moved(ErrorKind::ResourceBusy) && moved(ErrorKind::PermissionDenied));
        assert!(!moved(ErrorKind::StorageFull));
    }
}
