//! Reads arrays of whole numbers from npz files, whatever integer type they have there.

use anyhow::{Context, Result, bail};
use ndarray::{Array, Dimension};
use ndarray_npy::{NpzReader, ReadNpyError, ReadNpzError, ReadableElement};
use std::fs::File;
use std::path::Path;

/// Opens `path`, which must be an npz file.
pub fn opened(path: &Path) -> Result<NpzReader<File>> {
    let file = File::open(path).with_context(|| format!("{}: opening", path.display()))?;
    NpzReader::new(file).with_context(|| format!("{}: expected an npz file", path.display()))
}

/// Reads an array of whole numbers, whatever their size and byte order in the file; NumPy's default is int64.
pub fn integers<T, D>(
    npz: &mut NpzReader<File>,
    path: &Path,
    name: &str,
    expected: &str,
) -> Result<Array<T, D>>
where
    T: Copy + TryFrom<u8> + TryFrom<u16> + TryFrom<u32> + TryFrom<u64>,
    T: TryFrom<i8> + TryFrom<i16> + TryFrom<i32> + TryFrom<i64>,
    D: Dimension,
{
    let place = || format!("{}: `{name}`: expected {expected}", path.display());
    macro_rules! first_of {
        ($($type:ty),*) => {{
            $(if let Some(found) = array::<$type, D>(npz, name).with_context(place)? {
                return narrow(&found).with_context(place);
            })*
            bail!("{}, found numbers of another type", place())
        }};
    }
    first_of!(u8, i64, u64, i32, u32, i16, u16, i8)
}

/// Reads an array of `T`; `None` where its elements are of another type.
fn array<T: ReadableElement, D: Dimension>(
    npz: &mut NpzReader<File>,
    name: &str,
) -> Result<Option<Array<T, D>>, ReadNpzError> {
    match npz.by_name(name) {
        Ok(found) => Ok(Some(found)),
        Err(ReadNpzError::Npy(ReadNpyError::WrongDescriptor(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the same numbers as `T`; an error where one is none.
fn narrow<T: Copy + TryFrom<F>, F: Copy + std::fmt::Display, D: Dimension>(
    found: &Array<F, D>,
) -> Result<Array<T, D>> {
    if let Some(wrong) = found.iter().find(|&&value| T::try_from(value).is_err()) {
        bail!("found {wrong}");
    }
    Ok(found.mapv(|value| T::try_from(value).ok().expect("each was tried")))
}
