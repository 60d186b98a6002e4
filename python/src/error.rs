//! Errors as Python's exceptions, with the words that the command line has for them.

use dq_net::FileError;
use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyValueError};
use std::fmt::Display;
use std::io;
use std::path::Path;

pyo3::create_exception!(dqnet, DqError, PyValueError, "A network, a plan or images that do not fit.");

/// Makes an exception of what a library says.
pub fn raise(error: impl Display) -> PyErr {
    DqError::new_err(error.to_string())
}

/// Makes an exception of what went wrong with a file: `OSError` of the fitting kind where the system refused.
pub fn raise_of_file(error: FileError) -> PyErr {
    match &error {
        FileError::Io { source, path, .. } => raise_of_system(source, &error, path),
        _ => raise(error),
    }
}

/// Makes an `OSError` of `error`, whose cause is what the system said of `path`.
pub fn raise_of_system(cause: &io::Error, error: &impl Display, path: &Path) -> PyErr {
    match cause.raw_os_error() {
        // Python chooses `FileNotFoundError`, `PermissionError`, ... by the number.
        Some(number) => PyOSError::new_err((number, error.to_string(), path.display().to_string())),
        None => PyOSError::new_err(error.to_string()),
    }
}
