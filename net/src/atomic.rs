//! Writes files that are there whole or not at all: each is written beside its destination, then renamed over
//! it. A symbolic link stays, and the file that it leads to is replaced. Devices and pipes are written
//! directly.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Linux follows this many links before it calls a chain of them endless; this module does too.
const MOST_LINKS: usize = 40;

/// Writes `path` through `fill`. On any error, also of the disk being full at the last flush, the old file
/// stays as it was and nothing new is left behind. A device or a pipe keeps the bytes that it was given
/// before the error.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    match Place::find(path)? {
        Place::File(target) => {
            let temporary = temporary_beside(&target)?;
            through(temporary.as_file(), fill)?;
            publish(temporary, &target)
        }
        Place::Stream(stream) => through(&stream.open()?, fill),
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |w| w.write_all(bytes))
}

/// Checks that `path` can be written, before long work whose result is to go there. It leaves nothing behind.
///
/// # Errors
/// If it is a folder, or no file can be made beside it (its folder is missing or read-only).
pub fn check(path: &Path) -> io::Result<()> {
    match Place::find(path)? {
        Place::File(target) => temporary_beside(&target).map(drop),
        // The file is opened only when there is something to write: opening a pipe would wait for its reader.
        Place::Stream(_) => Ok(()),
    }
}

/// Holds a file that a program writes by itself. It is published at its destination when it is complete, and
/// removed where it is not.
pub struct Pending {
    place: Place,
    file: NamedTempFile,
}

impl Pending {
    /// Makes an empty file that is to become `path`.
    pub fn new(path: &Path) -> io::Result<Self> {
        let place = Place::find(path)?;
        let file = match &place {
            Place::File(target) => temporary_beside(target)?,
            Place::Stream(_) => NamedTempFile::new()?,
        };
        Ok(Self { place, file })
    }

    /// Returns where the program is to write.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Moves or copies what was written to its destination.
    pub fn publish(self) -> io::Result<()> {
        match self.place {
            Place::File(target) => publish(self.file, &target),
            Place::Stream(stream) => {
                through(&stream.open()?, |w| io::copy(&mut File::open(self.file.path())?, w).map(drop))
            }
        }
    }
}

/// Returns where a chain of links from `path` ends, whether something is there or not.
///
/// # Errors
/// If links lead to each other.
pub fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = folder_of(&path).join(target);
    }
    Err(io::Error::other("expected a place to write, found links that lead to each other"))
}

/// Says what kind of destination a path leads to.
enum Place {
    /// The path leads to a regular file, or to no file yet; links are resolved.
    File(PathBuf),
    /// The path leads to a destination whose directory entry must not be replaced.
    Stream(Stream),
}

/// Names a device, a pipe, or an open file of this process (`/dev/stdout`).
struct Stream {
    path: PathBuf,
    /// Whether output is appended: it is a regular file that others write too.
    append: bool,
}

impl Place {
    fn find(path: &Path) -> io::Result<Self> {
        let Ok(found) = fs::metadata(path) else {
            return end_of_links(path).map(Place::File);
        };
        if found.is_dir() {
            let reason = "expected a file to write, found a folder";
            return Err(io::Error::new(io::ErrorKind::IsADirectory, reason));
        }
        if !found.is_file() || is_descriptor(path) {
            return Ok(Place::Stream(Stream { path: path.into(), append: found.is_file() }));
        }
        fs::canonicalize(path).map(Place::File)
    }
}

impl Stream {
    fn open(&self) -> io::Result<File> {
        OpenOptions::new().write(true).append(self.append).open(&self.path)
    }
}

/// Returns whether the links from `path` lead through a table of open files, as `/dev/stdout` and `/dev/fd/3`
/// do.
fn is_descriptor(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { return false };
        let folder = fs::canonicalize(folder_of(&path)).unwrap_or_default();
        if ["/proc", "/dev/fd"].iter().any(|table| folder.starts_with(table)) {
            return true;
        }
        path = folder.join(target);
    }
    false
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes `file` by `fill`, through a buffer.
fn through(file: &File, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    writer.flush()
}

/// Renames `temporary` to `target`, once it is safe on its disk. The permissions of a file that it replaces
/// are kept.
fn publish(temporary: NamedTempFile, target: &Path) -> io::Result<()> {
    temporary.as_file().sync_all()?;
    if let Ok(old) = fs::metadata(target) {
        fs::set_permissions(temporary.path(), old.permissions())?;
    }
    temporary.persist(target).map(drop).map_err(|e| e.error)
}

/// Makes a new file in `path`'s folder, removed when dropped.
fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The permissions are those of a plainly created file; the process's umask applies.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    if !folder.is_dir() {
        let reason = format!("there is no folder {}", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    builder.prefix(".dq-").suffix(".part").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.json");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, |w| {
            w.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(folder.path(), b"x").is_err());
        let missing = folder.path().join("missing/model.json");
        let error = write(&missing, b"x").unwrap_err().to_string();
        assert!(error.contains("no folder") && error.ends_with("missing"), "{error}");
        assert!(check(folder.path()).is_err() && check(&missing).is_err());
        assert!(check(&folder.path().join("model.json")).is_ok());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_stays_and_the_file_behind_it_is_written() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [path, near, far] = ["model.json", "link", "far"].map(|name| folder.path().join(name));
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("model.json", &near).unwrap();
        symlink("../link", elsewhere.join("again")).unwrap();
        for (link, bytes) in [(near.clone(), b"one"), (elsewhere.join("again"), b"two")] {
            check(&link).unwrap();
            write(&link, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        // A link to nothing makes the file that it names; links that lead to each other are refused.
        symlink("elsewhere/new", &far).unwrap();
        write(&far, b"new").unwrap();
        assert_eq!(fs::read(elsewhere.join("new")).unwrap(), b"new");
        symlink("round", folder.path().join("round")).unwrap();
        let error = write(&folder.path().join("round"), b"x").unwrap_err().to_string();
        assert!(error.contains("lead to each other"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5, "nothing is left behind");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn devices_and_pipes_are_written_through() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        write(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let error = write(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");

        let (mut reader, writer) = io::pipe().unwrap();
        let pipe = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
        check(&pipe).unwrap();
        write(&pipe, b"abc").unwrap();
        let pending = Pending::new(&pipe).unwrap();
        fs::write(pending.path(), "def").unwrap();
        pending.publish().unwrap();
        drop(writer);
        let mut found = String::new();
        reader.read_to_string(&mut found).unwrap();
        assert_eq!(found, "abcdef");

        // A file that another program holds open, as a shell does for `-o /dev/stdout > file`, goes on at its
        // end.
        let folder = tempfile::tempdir().unwrap();
        let mut held = File::create(folder.path().join("held")).unwrap();
        held.write_all(b"before ").unwrap();
        write(Path::new(&format!("/dev/fd/{}", held.as_raw_fd())), b"after").unwrap();
        assert_eq!(fs::read(folder.path().join("held")).unwrap(), b"before after");
    }

    #[test]
    fn what_another_program_wrote_is_published_whole_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("waves.fst");
        drop(Pending::new(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let pending = Pending::new(&path).unwrap();
        fs::write(pending.path(), "waves").unwrap();
        pending.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"waves");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
