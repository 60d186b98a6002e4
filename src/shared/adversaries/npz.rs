//! Reads arrays of whole numbers from npz files, which are zip archives of NumPy's npy files, whatever
//! integer type they have there.

use crate::shared::npy::Npy;
use anyhow::{Context, Result};
use ndarray::{Array, Dimension};
use std::fs::File;
use std::path::Path;
use zip::ZipArchive;

/// Holds an open npz file.
pub struct Npz<'a> {
    path: &'a Path,
    zip: ZipArchive<File>,
}

impl<'a> Npz<'a> {
    /// Opens `path`, which must be an npz file.
    pub fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("{}: opening", path.display()))?;
        let zip =
            ZipArchive::new(file).with_context(|| format!("{}: expected an npz file", path.display()))?;
        Ok(Self { path, zip })
    }

    /// Returns where it is.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// Lists the names of its arrays.
    pub fn names(&self) -> Vec<&str> {
        self.zip.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name)).collect()
    }

    /// Returns whether it has an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names().contains(&name)
    }

    /// Reads an array of whole numbers, whatever their size and byte order in the file; NumPy's default is
    /// int64. `expected` says in errors what it should be.
    pub fn integers<T: TryFrom<i128>, D: Dimension>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Array<T, D>> {
        let place = format!("{}: `{name}`", self.path.display());
        let array = self.array(name).with_context(|| format!("{place}: expected {expected}"))?;
        array.integers(&place, expected)
    }

    /// Reads an array.
    fn array(&mut self, name: &str) -> Result<Npy> {
        let name = match self.zip.index_for_name(name) {
            Some(_) => name.to_owned(),
            None => format!("{name}.npy"),
        };
        Npy::read(&mut self.zip.by_name(&name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::npy::MAGIC;
    use ndarray::{Ix1, Ix4};
    use std::io::Write;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    /// Writes an npz file of one array, `x`, of `content` behind the header `text`.
    fn write(path: &Path, version: u8, text: &str, content: &[u8]) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        zip.start_file("x.npy", SimpleFileOptions::default()).unwrap();
        let length = (text.len() as u32).to_le_bytes();
        let length = if version == 1 { &length[..2] } else { &length[..] };
        zip.write_all(&[MAGIC, &[version, 0], length, text.as_bytes(), content].concat()).unwrap();
        zip.finish().unwrap();
    }

    #[test]
    fn numbers_of_every_size_sign_and_order_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        for (kind, content, values) in [
            ("|u1", &[1, 255][..], [1, 255]),
            ("|i1", &[1, 255], [1, -1]),
            ("<i2", &[1, 0, 0, 255], [1, -256]),
            (">u2", &[1, 0, 0, 255], [256, 255]),
            (">i4", &[255, 255, 255, 254, 0, 0, 0, 9], [-2, 9]),
            ("<u8", &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], [1, 1 << 32]),
        ] {
            let text = format!("{{\"shape\": (2,), 'descr': '{kind}', 'fortran_order': False}}\n");
            write(&path, 3, &text, content);
            let found: Array<i64, Ix1> = Npz::open(&path).unwrap().integers("x", "numbers").unwrap();
            assert_eq!(found.to_vec(), values, "{kind}");
        }
    }

    /// A header is held against the bytes that are there before there is memory for what it claims.
    #[test]
    fn a_header_that_claims_more_than_there_is_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npz");
        let error = |version, text: &str| {
            write(&path, version, text, &[0; 3072]);
            let found = Npz::open(&path).unwrap().integers::<u8, Ix4>("x", "images");
            format!("{:#}", found.unwrap_err())
        };
        let shape = |shape: &str| format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
        for (sizes, expected) in [
            ("1099511627776, 32, 32, 3", "expected 3377699720527872 bytes, as its header says, found 3072"),
            ("2, 32, 32, 3", "expected 6144 bytes, as its header says, found 3072"),
            ("1, 32, 32, 2", "expected 2048 bytes, as its header says, found 2049"),
            ("4611686018427387904, 32, 32, 3", "a shape of more than 2^64 bytes"),
            ("3, 1024", "expected images, found an array of shape [3, 1024]"),
            ("-1, 32, 32, 3", "header: expected type, order and shape"),
        ] {
            let error = error(1, &shape(sizes));
            assert!(error.contains("x.npz: `x`") && error.contains(expected), "{sizes}: {error}");
        }
        let long = " ".repeat(1 << 21);
        assert!(error(2, &long).contains("header: expected at most 1048576 bytes, found 2097152"));
        assert!(error(9, "").contains("npy file of version 1 to 3"));
        assert!(error(1, "{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': ()}").contains("type"));
    }
}
