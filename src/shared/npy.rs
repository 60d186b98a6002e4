//! Reads NumPy's npy files: what a header says, and whole numbers of any integer type. No size that a header
//! claims is trusted: memory grows with the bytes that are there.

use anyhow::{Context, Result, bail, ensure};
use ndarray::{Array, Dimension, IxDyn, ShapeBuilder};
use std::io::Read;

/// Every npy file begins with these bytes.
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// Longer headers are refused. NumPy's own are of 128 bytes.
const MOST_HEADER: u64 = 1 << 20;
/// Larger arrays are refused.
const MOST_BYTES: u64 = 4 << 30;

/// Holds an array as it was read.
pub struct Npy {
    header: Header,
    /// The bytes behind the header, of which there are no more than one more than the header says.
    bytes: Vec<u8>,
}

impl Npy {
    /// Reads a file to its end.
    pub fn read(file: &mut impl Read) -> Result<Npy> {
        let header = Header::read(file)?;
        let size = Number::parse(&header.kind).map_or(0, |number| number.size);
        let wanted = header.bytes(size).unwrap_or(u64::MAX).min(MOST_BYTES);
        let mut bytes = Vec::new();
        file.take(wanted + 1).read_to_end(&mut bytes)?;
        Ok(Npy { header, bytes })
    }

    /// Returns the array, which must be of whole numbers. In errors, `place` says where it is and `expected`
    /// what it should be.
    pub fn integers<T: TryFrom<i128>, D: Dimension>(
        &self,
        place: &str,
        expected: &str,
    ) -> Result<Array<T, D>> {
        let Npy { header, bytes } = self;
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
}

/// Holds what an npy file says of its array.
pub struct Header {
    /// Type of the elements, such as `<i8`.
    pub kind: String,
    /// Whether the first index varies fastest.
    pub is_fortran: bool,
    /// Length along each axis.
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads the start of an npy file.
    pub fn read(file: &mut impl Read) -> Result<Header> {
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
    pub fn bytes(&self, size: usize) -> Option<u64> {
        let sizes = self.shape.iter().chain([&size]);
        sizes.map(|&size| size as u64).try_fold(1_u64, u64::checked_mul)
    }
}

/// Says how a whole number is written.
pub struct Number {
    /// Bytes of an element.
    pub size: usize,
    is_signed: bool,
    is_big_endian: bool,
}

impl Number {
    /// Reads NumPy's name of a type: `|u1`, `<i8`, `>u4` …; none where it is no whole number.
    pub fn parse(kind: &str) -> Option<Number> {
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

    /// Returns the number that `bytes` hold.
    pub fn read(&self, bytes: &[u8]) -> i128 {
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
