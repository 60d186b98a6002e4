//! Tracks the files that a command reads and writes. A command that would overwrite one with another, or that
//! could not write its results, is refused before any work.

use anyhow::{Context, Result};
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};

/// Holds the files of one call, each with the argument that names it.
#[derive(Default)]
pub struct Files<'a> {
    read: Vec<(&'static str, &'a Path)>,
    written: Vec<(&'static str, PathBuf)>,
}

impl<'a> Files<'a> {
    /// Adds a file that the command reads, named by `argument`; nothing where the argument was not given.
    pub fn read(mut self, argument: &'static str, path: impl Into<Option<&'a Path>>) -> Self {
        self.read.extend(path.into().map(|path| (argument, path)));
        self
    }

    /// Adds a file that the command writes.
    pub fn written(mut self, argument: &'static str, path: impl Into<Option<&'a Path>>) -> Self {
        self.written.extend(path.into().map(|path| (argument, path.to_owned())));
        self
    }

    /// Adds a report that the command writes: the file itself, and where a stopped run keeps what it has of
    /// it.
    pub fn resumable(self, argument: &'static str, path: impl Into<Option<&'a Path>>) -> Self {
        let path = path.into();
        let mut files = self.written(argument, path);
        files.written.extend(path.map(|path| (argument, super::report::partial_path(path))));
        files
    }

    /// Checks that no file is written twice or read and overwritten (links are followed), and that each can
    /// be written.
    ///
    /// Two arguments that name one file are an error of usage and end the program with exit code 2.
    pub fn check(&self) -> Result<()> {
        if let Some(clash) = self.clash() {
            clap::Error::raw(ErrorKind::ArgumentConflict, clash + "\n").exit();
        }
        for (_, path) in &self.written {
            dq_net::atomic::check(path)
                .with_context(|| format!("{}: the place of what is written", path.display()))?;
        }
        Ok(())
    }

    /// Finds the first argument whose file would overwrite another's, and says so in a sentence.
    fn clash(&self) -> Option<String> {
        let read = self.read.iter().map(|&(argument, path)| (argument, path, "reads"));
        let written = self.written.iter().map(|(argument, path)| (*argument, path.as_path(), "writes"));
        let known: Vec<_> = read.chain(written).map(|file| (file, resolved(file.1))).collect();
        for (n, ((argument, path, _), place)) in known.iter().enumerate().skip(self.read.len()) {
            let same = |((_, _, _), other): &&(_, Option<PathBuf>)| place.is_some() && place == other;
            if let Some(((other, at, verb), _)) = known[..n].iter().find(same) {
                let (path, at) = (path.display(), at.display());
                return Some(format!("{argument} {path}: would overwrite {at}, which {other} {verb}"));
            }
        }
        None
    }
}

/// Returns the place of `path` with links followed and `.` and `..` taken away, so that two names of one file
/// give the same. `None` for a device or a pipe, which loses nothing by being written twice.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    // A link whose target is missing still leads to it. Linux follows as many links as this loop.
    for _ in 0..40 {
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return None;
        }
        if let Ok(place) = std::fs::canonicalize(&path) {
            return Some(place);
        }
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    let absolute = std::path::absolute(&path).ok()?;
    match (absolute.parent().and_then(|folder| std::fs::canonicalize(folder).ok()), absolute.file_name()) {
        (Some(folder), Some(name)) => Some(folder.join(name)),
        _ => Some(absolute),
    }
}

/// Shows a path in a message or under `--json`: bytes that are no UTF-8 become `�`.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn two_names_of_one_file_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(at("model.json"), "").unwrap();
        std::os::unix::fs::symlink("model.json", at("link")).unwrap();
        std::os::unix::fs::symlink("later.json", at("dangling")).unwrap();
        std::os::unix::fs::symlink(".", at("here")).unwrap();
        for (a, b) in [
            ("model.json", "./model.json"),
            ("model.json", "link"),
            ("later.json", "sub/../later.json"),
            ("later.json", "dangling"),
            ("later.json", "here/later.json"),
            ("no/folder.json", "no/folder.json"),
        ] {
            let (a, b) = (at(a), at(b));
            let clash = Files::default().written("-o", a.as_path()).written("--save", b.as_path()).clash();
            let expected =
                format!("--save {}: would overwrite {}, which -o writes", b.display(), a.display());
            assert!(clash.as_ref().is_some_and(|text| *text == expected), "{clash:?}");
            let clash = Files::default().read("MODEL", a.as_path()).written("-o", b.as_path()).clash();
            assert!(clash.is_some_and(|text| text.ends_with("which MODEL reads")));
            let fine = Files::default().read("MODEL", a.as_path()).read("--from", b.as_path()).clash();
            assert_eq!(fine, None);
        }
        let (report, other) = (at("r.json"), at("r.json.partial"));
        let clash =
            Files::default().resumable("-o", report.as_path()).written("--save", other.as_path()).clash();
        assert!(clash.is_some());
        let null = Path::new("/dev/null");
        assert_eq!(Files::default().written("-o", null).written("--save", null).clash(), None);
        let (a, b) = (at("model.json"), at("later.json"));
        assert_eq!(Files::default().read("MODEL", a.as_path()).written("-o", b.as_path()).clash(), None);
    }
}
