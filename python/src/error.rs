//! Errors as Python's exceptions, with the words that the command line has for them.

use dq_net::FileError;
use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyValueError};

pyo3::create_exception!(dqnet, DqError, PyValueError, "A network, a plan or images that do not fit.");

/// Makes an exception of what a library says.
pub fn raise(error: impl std::fmt::Display) -> PyErr {
    DqError::new_err(error.to_string())
}

/// Makes an exception of what went wrong with a file: `OSError` of the fitting kind where the system refused.
pub fn raise_of_file(error: FileError) -> PyErr {
    match &error {
        FileError::Io { source, path, .. } => match source.raw_os_error() {
            // Python chooses `FileNotFoundError`, `PermissionError`, ... by the number.
            Some(number) => PyOSError::new_err((number, error.to_string(), path.display().to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
        _ => raise(error),
    }
}
