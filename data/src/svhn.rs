//! Reads SVHN's cropped digits (Netzer et al. 2011): house numbers, 32×32 RGB, in MATLAB version 5 files.
//!
//! `train_32x32.mat` and `test_32x32.mat` hold `X` (32×32×3×N uint8, column-major) and `y` (N×1, with 10 for
//! digit 0). The `matfile` crate decodes the arrays. It may panic or recurse without bound on a malformed
//! file, so every element is inflated and walked here first; it never sees a tag that leads out of its
//! element.

use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;
use matfile::{MatFile, NumericData};
use ndarray::{Array4, ShapeBuilder};

use crate::files::Place;
use crate::{DataError, Images, Split};

const SET: &str = "svhn";
const SIDE: usize = 32;
const IMAGE: usize = SIDE * SIDE * 3;
/// Most images of a split, which bounds the memory that a file can ask for. The largest published split of
/// this format has 73,257.
const MOST: usize = 100_000;
const HEADER: usize = 128;
/// Type numbers of a data element that is an array, or a zlib stream of one.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// Reads a split from the MATLAB file of its name in `dir`.
pub(super) fn load(dir: &Path, split: Split) -> Result<Images, DataError> {
    let path = dir.join(match split {
        Split::Train => "train_32x32.mat",
        Split::Test => "test_32x32.mat",
    });
    let place = Place { set: SET, path: &path };
    let mat = parse(&place)?;
    let array = |name: &'static str, shape: &str| {
        mat.find_by_name(name).ok_or_else(|| {
            place.malformed(
                format!("array `{name}`"),
                format!("a numeric array {shape}"),
                "none of this name",
            )
        })
    };
    let (x, y) = (array("X", "32×32×3×N")?, array("y", "N×1")?);
    let n = match x.size().as_slice() {
        [SIDE, SIDE, 3, n] => *n,
        [SIDE, SIDE, 3] => 1, // MATLAB drops trailing dimensions of 1
        size => return Err(place.malformed("size of `X`", "[32, 32, 3, N]", format!("{size:?}"))),
    };
    // Other tools write a row, or other number types, than the published files have.
    if ![[n, 1], [1, n]].iter().any(|size| y.size() == size) {
        return Err(place.malformed("size of `y`", format!("[{n}, 1]"), format!("{:?}", y.size())));
    }
    let NumericData::UInt8 { real: pixels, imag: None } = x.data() else {
        return Err(place.malformed("type of `X`", "uint8", "another type"));
    };
    let Some(labels) = real_numbers(y.data()) else {
        return Err(place.malformed("type of `y`", "real numbers", "complex numbers"));
    };
    if let Some(at) = labels.iter().position(|label| !(1..=10).any(|digit| *label == f64::from(digit))) {
        return Err(place.malformed(format!("label of image {at}"), "1 to 10", labels[at]));
    }
    let columns = Array4::from_shape_vec((SIDE, SIDE, 3, n).f(), pixels.clone())
        .expect("matfile holds the number of elements against the size");
    Ok(Images {
        name: SET.to_owned(),
        pixels: columns.permuted_axes([3, 0, 1, 2]).as_standard_layout().into_owned(),
        labels: labels.iter().map(|&label| label as u8 % 10).collect(),
        classes: (0..10).map(|digit| digit.to_string()).collect(),
    })
}

/// Returns an array's numbers; `None` where they are complex.
fn real_numbers(data: &NumericData) -> Option<Vec<f64>> {
    macro_rules! of_any_type {
        ($($Type:ident),*) => {
            match data {
                $(NumericData::$Type { real, imag: None } => {
                    Some(real.iter().map(|&number| number as f64).collect())
                })*
                _ => None,
            }
        };
    }
    of_any_type!(Int8, UInt8, Int16, UInt16, Int32, UInt32, Int64, UInt64, Single, Double)
}

/// Returns the file's arrays, which `matfile` decodes from a copy of the file whose elements are inflated and
/// checked.
fn parse(place: &Place) -> Result<MatFile, DataError> {
    let limit = MOST * (IMAGE + 1) + 4096;
    let file = place.read_at_most(limit, "a MATLAB 5 file")?;
    if file.len() > limit {
        return Err(place.malformed("size", format!("at most {limit} bytes"), "more"));
    }
    if file.len() < HEADER {
        return Err(place.malformed("header", format!("{HEADER} bytes"), file.len()));
    }
    if file[124..HEADER] != [0, 1, b'I', b'M'] {
        return Err(place.malformed(
            "header",
            "version 1.0, little-endian (00 01 49 4d)",
            format!("{:02x?}", &file[124..HEADER]),
        ));
    }
    let mut plain = file[..HEADER].to_vec();
    let mut rest = &file[HEADER..];
    while !rest.is_empty() {
        let at = file.len() - rest.len();
        let element = Element::read(place, at, rest)?;
        match element.kind {
            MATRIX => plain.extend_from_slice(check_matrix(place, at, element.whole)?),
            COMPRESSED => {
                let mut inflated = Vec::new();
                let room = (limit - plain.len().min(limit)) as u64;
                ZlibDecoder::new(element.body)
                    .take(room + 1)
                    .read_to_end(&mut inflated)
                    .map_err(|source| place.unreadable(format!("a zlib stream at byte {at}"), source))?;
                if inflated.len() as u64 > room {
                    return Err(place.malformed("inflated size", format!("at most {limit} bytes"), "more"));
                }
                plain.extend_from_slice(check_matrix(place, at, &inflated)?);
            }
            kind => {
                return Err(place.malformed(
                    format!("element at byte {at}"),
                    "an array (14) or a compressed array (15)",
                    format!("type {kind}"),
                ));
            }
        }
        rest = &rest[element.whole.len()..];
    }
    drop(file);
    MatFile::parse(plain.as_slice()).map_err(|error| {
        let reason = match error {
            matfile::Error::ParseError(_) => "an element that is malformed",
            _ => "numbers in a type that does not fit their array",
        };
        place.malformed("content", "numeric arrays", reason)
    })
}

/// Holds one data element: a tag of type and size, and as many bytes as the size says, padded to a multiple
/// of eight.
struct Element<'a> {
    kind: u32,
    body: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads the element at the start of `bytes`, which stand at byte `at` of the file (or of the compressed
    /// element there).
    fn read(place: &Place, at: usize, bytes: &'a [u8]) -> Result<Self, DataError> {
        let word = |from: usize| {
            bytes.get(from..from + 4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
        };
        let (Some(first), Some(second)) = (word(0), word(4)) else {
            return Err(place.malformed(format!("element at byte {at}"), "a tag of 8 bytes", bytes.len()));
        };
        // A type below 2^16 is followed by a size; otherwise the size is in the upper half, and the body in
        // the tag.
        let (kind, start, size) = match first >> 16 {
            0 => (first, 8, second as usize),
            small => (first & 0xffff, 4, small as usize),
        };
        let room = if start == 4 { 4 } else { bytes.len() - 8 };
        if size > room {
            return Err(place.malformed(
                format!("size of the element at byte {at}"),
                format!("at most {room} bytes"),
                size,
            ));
        }
        let end = match (start, kind) {
            (4, _) => 8,
            (_, COMPRESSED) => 8 + size, // the only kind that is not padded
            _ => (8 + size.next_multiple_of(8)).min(bytes.len()),
        };
        Ok(Element { kind, body: &bytes[start..start + size], whole: &bytes[..end] })
    }
}

/// Returns `element` itself after checking that it is one array, whose tags stay inside it and whose size is
/// plausible.
fn check_matrix<'a>(place: &Place, at: usize, element: &'a [u8]) -> Result<&'a [u8], DataError> {
    let array = Element::read(place, at, element)?;
    if array.kind != MATRIX || array.whole.len() != element.len() {
        return Err(place.malformed(
            format!("element at byte {at}"),
            "one array (14)",
            format!("type {} and {} bytes more", array.kind, element.len() - array.whole.len()),
        ));
    }
    let mut rest = array.body;
    let mut parts = 0;
    while !rest.is_empty() {
        let part = Element::read(place, at, rest)?;
        if parts == 1 {
            let elements = part.body.chunks_exact(4).try_fold(1_u64, |product, size| {
                // `matfile` multiplies in i32, so no partial product may be large either: a size of 0 counts
                // as 1.
                let size = u32::from_le_bytes(size.try_into().expect("four bytes"));
                product.checked_mul(u64::from(size.max(1)))
            });
            if elements.is_none_or(|elements| elements > (MOST * IMAGE) as u64) {
                return Err(place.malformed(
                    format!("size of the array at byte {at}"),
                    format!("at most {MOST} images"),
                    "more",
                ));
            }
        }
        rest = &rest[part.whole.len()..];
        parts += 1;
    }
    Ok(element)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn element(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_le_bytes(), (body.len() as u32).to_le_bytes()].concat();
        bytes.extend(body);
        if kind != COMPRESSED {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    /// Returns a uint8 array, as MATLAB lays it out.
    fn array(name: &str, dims: &[u32], content: &[u8]) -> Vec<u8> {
        array_of([9, 2], name, dims, content)
    }

    /// Returns an array of this class, whose content is stored as numbers of this type.
    fn array_of([class, kind]: [u8; 2], name: &str, dims: &[u32], content: &[u8]) -> Vec<u8> {
        let dims: Vec<u8> = dims.iter().flat_map(|size| size.to_le_bytes()).collect();
        let flags = element(6, &[class, 0, 0, 0, 0, 0, 0, 0]);
        // A name of at most four bytes is written in the short form: size and type share the tag's first
        // word.
        let mut short = (1 | (name.len() as u32) << 16).to_le_bytes().to_vec();
        short.extend(name.as_bytes());
        short.resize(8, 0);
        element(MATRIX, &[flags, element(5, &dims), short, element(kind.into(), content)].concat())
    }

    fn compressed(element_of: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(element_of).unwrap();
        element(COMPRESSED, &encoder.finish().unwrap())
    }

    fn file(elements: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"MATLAB 5.0 MAT-file".to_vec();
        bytes.resize(124, b' ');
        bytes.extend([0, 1, b'I', b'M']);
        bytes.extend(elements.concat());
        bytes
    }

    fn pixels(n: usize) -> Vec<u8> {
        (0..n * IMAGE).map(|i| (i % 253) as u8).collect()
    }

    fn sound() -> [Vec<u8>; 2] {
        [array("X", &[32, 32, 3, 3], &pixels(3)), array("y", &[3, 1], &[1, 10, 9])]
    }

    fn load_bytes(bytes: &[u8]) -> Result<Images, DataError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("test_32x32.mat"), bytes).unwrap();
        load(dir.path(), Split::Test)
    }

    #[test]
    fn plain_and_compressed_files_load() {
        let [x, y] = sound();
        let plain = load_bytes(&file(&[x.clone(), y.clone()])).unwrap();
        assert_eq!(plain, load_bytes(&file(&[compressed(&x), compressed(&y)])).unwrap());
        assert_eq!((plain.shape(), plain.labels.as_slice()), ([32, 32, 3], &[1, 0, 9][..]));
        for (n, row, column, channel) in [(0, 0, 0, 0), (1, 2, 3, 1), (2, 31, 30, 2)] {
            let at = row + 32 * (column + 32 * (channel + 3 * n));
            assert_eq!(plain.pixels[[n, row, column, channel]], (at % 253) as u8);
        }
    }

    #[test]
    fn labels_of_other_types_and_as_a_row_are_read() {
        let [x, y] = sound();
        let expected = load_bytes(&file(&[x.clone(), y])).unwrap();
        let int64 = array_of([14, 12], "y", &[1, 3], &[1_u64, 10, 9].map(u64::to_le_bytes).concat());
        let single = array_of([7, 7], "y", &[3, 1], &[1_f32, 10.0, 9.0].map(f32::to_le_bytes).concat());
        for y in [int64, single] {
            assert_eq!(load_bytes(&file(&[x.clone(), y])).unwrap(), expected);
        }
        let half = array_of([7, 7], "y", &[3, 1], &[1_f32, 2.5, 9.0].map(f32::to_le_bytes).concat());
        let error = load_bytes(&file(&[x, half])).unwrap_err().to_string();
        assert!(error.contains("label of image 1: expected 1 to 10, found 2.5"), "{error}");
    }

    #[test]
    fn wrong_files_are_named() {
        let [x, y] = sound();
        let refused = |bytes: &[u8], said: &str| {
            let error = load_bytes(bytes).unwrap_err().to_string();
            assert!(error.contains("test_32x32.mat") && error.contains(said), "{error}");
        };
        refused(b"", "header: expected 128 bytes, found 0");
        refused(&[0; 200], "version 1.0, little-endian");
        refused(&file(std::slice::from_ref(&x)), "array `y`: expected a numeric array N×1");
        refused(&file(&[x.clone(), y.clone()])[..9_000], "size of the element at byte 128");
        refused(&file(&[x.clone(), array("y", &[3, 1], &[1, 11, 9])]), "label of image 1: expected 1 to 10");
        refused(&file(&[x.clone(), array("y", &[2, 1], &[1, 2])]), "size of `y`: expected [3, 1]");
        refused(&file(&[array("X", &[3, 32, 32, 3], &pixels(3)), y.clone()]), "size of `X`");
        refused(&file(&[array("X", &[32, 32, 3, 4], &pixels(3)), y.clone()]), "content");
        refused(&file(&[array("X", &[u32::MAX; 4], &[]), y.clone()]), "at most 100000 images");
        refused(&file(&[array("X", &[1 << 20, 1 << 20, 0], &[]), y.clone()]), "at most 100000 images");
        refused(&file(&[compressed(&compressed(&x)), y.clone()]), "expected one array (14), found type 15");
        refused(&file(&[element(COMPRESSED, b"no zlib"), y.clone()]), "a zlib stream at byte 128");
        refused(&file(&[element(9, &[0; 8]), y]), "an array (14) or a compressed array (15)");
        let missing = load(Path::new("no/such/folder"), Split::Train).unwrap_err().to_string();
        assert!(missing.contains("train_32x32.mat"), "{missing}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        /// Whatever four bytes of tags and sizes are overwritten, there is an answer and no panic.
        #[test]
        fn damaged_files_are_refused_or_read(at in 0..96_usize, word in prop_oneof![
            any::<u32>(), 0..20_u32, Just(u32::MAX), Just(0x8000_0000), Just(u32::MAX - 8)
        ], which in 0..2_usize) {
            let [mut x, mut y] = sound();
            let target = if which == 0 { &mut x } else { &mut y };
            let at = at.min(target.len() - 4);
            target[at..at + 4].copy_from_slice(&word.to_le_bytes());
            match load_bytes(&file(&[x, y])) {
                Ok(images) => prop_assert_eq!(images.shape(), [32, 32, 3]),
                Err(error) => prop_assert!(error.to_string().contains("test_32x32.mat")),
            }
        }
    }
}
