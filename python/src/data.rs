//! Data sets as NumPy arrays.

use crate::error::raise;
use dq_data::Split;
use numpy::{IntoPyArray, PyArray1, PyArray4};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Images, their labels, and the classes' names.
type Loaded<'py> = (Bound<'py, PyArray4<u8>>, Bound<'py, PyArray1<i64>>, Vec<String>);

/// Load a data set: images (uint8, N x height x width x channels), labels (int64), names of the classes.
///
/// name: `signs` (built in), `cifar10`, `svhn`, `mnist`, `fashion-mnist`, or `idx` for images of your own.
/// folder: where the published files lie; not for `signs`.
/// split: `test` or `train`.
#[pyfunction]
#[pyo3(signature = (name, folder=None, *, split="test"))]
pub fn data<'py>(py: Python<'py>, name: &str, folder: Option<PathBuf>, split: &str) -> PyResult<Loaded<'py>> {
    let split = match split {
        "test" => Split::Test,
        "train" => Split::Train,
        other => return Err(raise(format!("split: expected `test` or `train`, found `{other}`"))),
    };
    let images = py.detach(|| dq_data::load(name, folder.as_deref(), split)).map_err(raise)?;
    let labels: Vec<i64> = images.labels.iter().map(|&label| label.into()).collect();
    Ok((images.pixels.into_pyarray(py), labels.into_pyarray(py), images.classes))
}
