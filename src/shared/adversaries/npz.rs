//! Reads arrays of whole numbers from npz files, which are zip archives of NumPy's npy files, whatever
//! integer type they have there. No size that a header claims is trusted: memory grows with the bytes that
//! are there.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{Array, Dimension, IxDyn, ShapeBuilder};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zip::ZipArchive;

/// Every npy file begins with these bytes.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Longer headers are refused. NumPy's own are of 128 bytes.
const MOST_HEADER: u64 = 1 << 20;
/// Larger arrays are refused.
const MOST_BYTES: u64 = 4 << 30;

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
        let (header, bytes) = self.array(name).with_context(|| format!("{place}: expected {expected}"))?;
        let Some(number) = Number::parse(&header.kind) else {
            bail!("{place}: expected {expected}, found numbers of another type");
        };
        let (wanted, found) = (header.bytes(number.size), bytes.len() as u64);
        let wanted = wanted.with_context(|| format!("{place}: a shape of more than 2^64 bytes"))?;
        ensure!(wanted == found, "{place}: expected {wanted} bytes, as its header says, found {found}");
        let mut values = Vec::with_capacity(bytes.len() / number.size);
        for bytes in bytes.chunks_exact(number.size) {
            let value = number.read(bytes);
            let Ok(value) = T::try_from(value) else { bail!("{place}: expected {expected}: found {value}") };
            values.push(value);
        }
        let shape = IxDyn(&header.shape).set_f(header.is_fortran);
        let misfit = || format!("{place}: expected {expected}, found an array of shape {:?}", header.shape);
        let array = Array::from_shape_vec(shape, values).with_context(misfit)?;
        array.into_dimensionality().with_context(misfit)
    }

    /// Reads the header of an array and the bytes behind it, of which there are no more than one more than
    /// the header says.
    fn array(&mut self, name: &str) -> Result<(Header, Vec<u8>)> {
        let name = match self.zip.index_for_name(name) {
            Some(_) => name.to_owned(),
            None => format!("{name}.npy"),
        };
        let mut entry = self.zip.by_name(&name)?;
        let header = Header::read(&mut entry)?;
        let size = Number::parse(&header.kind).map_or(0, |number| number.size);
        let wanted = header.bytes(size).unwrap_or(u64::MAX).min(MOST_BYTES);
        let mut bytes = Vec::new();
        entry.take(wanted + 1).read_to_end(&mut bytes)?;
        Ok((header, bytes))
    }
}

/// Holds what an npy file says of its array.
struct Header {
    /// Type of the elements, such as `<i8`.
    kind: String,
    /// Whether the first index varies fastest.
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads the start of an npy file.
    fn read(file: &mut impl Read) -> Result<Header> {
        let mut start = [0; 8];
        file.read_exact(&mut start).context("expected an npy file")?;
        let version = start[6];
        if !start.starts_with(MAGIC) || !(1..=3).contains(&version) {
            bail!("expected an npy file of version 1 to 3, found other bytes");
        }
        let mut length = [0; 4];
        file.read_exact(&mut length[..if version == 1 { 2 } else { 4 }]).context("reading the header")?;
        let length = u64::from(u32::from_le_bytes(length));
        ensure!(length <= MOST_HEADER, "header: expected at most {MOST_HEADER} bytes, found {length}");
        let mut text = String::new();
        file.take(length).read_to_string(&mut text).context("reading the header")?;
        ensure!(text.len() as u64 == length, "header: expected {length} bytes, found {}", text.len());
        Header::parse(&text).with_context(|| format!("header: expected type, order and shape, found {text}"))
    }

    /// Reads `{'descr': '<i8', 'fortran_order': False, 'shape': (3, 4), }`, in any order.
    fn parse(text: &str) -> Option<Header> {
        let value = |key: &str| {
            let (_, rest) = text.split_once(key)?;
            rest[1..].trim_start().strip_prefix(':').map(str::trim_start)
        };
        let quoted = |text: &str| {
            let quote = text.chars().next().filter(|c| "'\"".contains(*c))?;
            text[1..].split_once(quote).map(|(inner, _)| inner.to_owned())
        };
        // Records have a list here; they are no numbers.
        let kind = value("descr").map(|text| quoted(text).unwrap_or_default())?;
        let is_fortran = match value("fortran_order")? {
            text if text.starts_with("True") => true,
            text if text.starts_with("False") => false,
            _ => return None,
        };
        let (sizes, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape = sizes.map(|size| size.parse().ok()).collect::<Option<Vec<usize>>>()?;
        Some(Header { kind, is_fortran, shape })
    }

    /// Returns how many bytes an array of elements of `size` bytes has, where they can be counted.
    fn bytes(&self, size: usize) -> Option<u64> {
        let sizes = self.shape.iter().chain([&size]);
        sizes.map(|&size| size as u64).try_fold(1_u64, u64::checked_mul)
    }
}

/// Says how a whole number is written.
struct Number {
    size: usize,
    is_signed: bool,
    is_big_endian: bool,
}

impl Number {
    /// Reads NumPy's name of a type: `|u1`, `<i8`, `>u4` …; none where it is no whole number.
    fn parse(kind: &str) -> Option<Number> {
        let mut letters = kind.chars();
        let (order, sign) = (letters.next()?, letters.next()?);
        let size = match letters.as_str() {
            "1" => 1,
            "2" => 2,
            "4" => 4,
            "8" => 8,
            _ => return None,
        };
        let is_known = "<>|=".contains(order) && "iu".contains(sign);
        is_known.then_some(Number { size, is_signed: sign == 'i', is_big_endian: order == '>' })
    }

    fn read(&self, bytes: &[u8]) -> i128 {
        let word = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
        let word = match self.is_big_endian {
            true => bytes.iter().fold(0, word),
            false => bytes.iter().rev().fold(0, word),
        };
        let unused = 64 - 8 * self.size as u32;
        match self.is_signed {
            true => i128::from((word << unused).cast_signed() >> unused),
            false => i128::from(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
