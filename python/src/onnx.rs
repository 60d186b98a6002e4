//! ONNX files in, QONNX files out.

use crate::error::{raise, raise_of_system};
use crate::interrupt::interruptible;
use crate::json::to_python;
use crate::network::Network;
use dq_onnx::number::{Q, decimal};
use dq_onnx::{ImportError, Normalization, Options, Reading, Watch};
use dq_sim::WhiteBox;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// The network, and the report of the import.
type Imported<'py> = (Network, Bound<'py, PyAny>);

/// Import an ONNX file (QONNX, QDQ or QOperator) as its exact integer network, with proof.
///
/// mean, std: what the training took off the pixels and divided them by, a number or one per channel.
/// uint8: whether the graph takes pixels from 0 to 255; without it, from 0 to 1 unless its input is uint8.
/// levels: whether the quantizer that reads the input is left out, so that images are its levels from 0 on.
/// output: the tensor of the scores, where the graph has several outputs.
/// round_scores: whether scores of several scales may be rounded, so that close ones may change places.
///
/// Returns the network, and a report as a dict: thresholds, and where float32 execution would differ.
#[pyfunction]
#[pyo3(signature = (path, *, mean=None, std=None, uint8=None, levels=false, output=None, round_scores=false))]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
pub fn import_onnx<'py>(
    py: Python<'py>,
    path: PathBuf,
    mean: Option<Bound<'py, PyAny>>,
    std: Option<Bound<'py, PyAny>>,
    uint8: Option<bool>,
    levels: bool,
    output: Option<String>,
    round_scores: bool,
) -> PyResult<Imported<'py>> {
    let (mean, std) = (numbers("mean", mean)?, numbers("std", std)?);
    let reading = match (uint8, levels) {
        (Some(_), true) => return Err(raise("levels: expected no uint8 beside it")),
        (_, true) => Some(Reading::Levels),
        (Some(true), _) => Some(Reading::Pixels),
        (Some(false), _) => Some(Reading::Unit),
        (None, _) => None,
    };
    let normalization = Normalization { reading, mean, std };
    let options = Options { normalization, output, name: None, round_scores };
    let import =
        |stop: &AtomicBool| dq_onnx::import_watched(&path, &options, Watch { progress: &|_| {}, stop });
    let imported = interruptible(py, import)?.map_err(|error| match &error {
        ImportError::Io { source, path } => raise_of_system(source, &error, path),
        _ => raise(error),
    })?;
    Ok((Network { white_box: WhiteBox::new(&imported.network) }, to_python(py, &imported.report)?))
}

/// Reads a number or several, exactly as Python writes them: 0.485 is 485/1000.
fn numbers(what: &str, given: Option<Bound<PyAny>>) -> PyResult<Vec<Q>> {
    let Some(given) = given else { return Ok(vec![]) };
    let items: Vec<Bound<PyAny>> = match given.try_iter() {
        Ok(items) => items.collect::<PyResult<_>>()?,
        Err(_) => vec![given],
    };
    let number = |item: &Bound<PyAny>| -> PyResult<Q> {
        let plain = item.call_method0("__float__").or_else(|_| {
            let found = item.get_type().name()?;
            Err(PyTypeError::new_err(format!("{what}: expected numbers, found {found}")))
        })?;
        decimal(&plain.repr()?.to_string()).map_err(|error| raise(format!("{what}: {error}")))
    };
    items.iter().map(number).collect()
}

#[pymethods]
impl Network {
    /// Write the network as QONNX: ONNX operators and MultiThreshold on whole numbers, FINN's data types.
    ///
    /// Returns the names of nodes whose values pass 2^24, where an executor in float32 may round.
    fn to_qonnx(&self, py: Python, path: PathBuf) -> PyResult<Vec<String>> {
        let export = py.detach(|| dq_onnx::export(self.network()));
        dq_net::atomic::write(&path, &export.bytes)?;
        Ok(export.inexact)
    }
}
