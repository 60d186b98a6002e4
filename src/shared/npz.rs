//! Writes arrays for NumPy.

use anyhow::{Context, Result};
use ndarray_npy::{NpzWriter, WriteNpzError};
use std::io::Cursor;
use std::path::Path;

/// Holds a file of arrays that is being written.
pub type Arrays = NpzWriter<Cursor<Vec<u8>>>;

/// Writes the arrays that `add` adds to `path`, whole or not at all.
pub fn write(path: &Path, add: impl FnOnce(&mut Arrays) -> Result<(), WriteNpzError>) -> Result<()> {
    let context = || format!("{}: writing the arrays", path.display());
    let mut npz = NpzWriter::new_compressed(Cursor::new(vec![]));
    add(&mut npz).with_context(context)?;
    let bytes = npz.finish().with_context(context)?.into_inner();
    dq_net::atomic::write(path, &bytes).with_context(context)
}
