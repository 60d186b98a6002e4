//! The Python module `dqnet._dqnet`. Arrays come in and go out as NumPy's, everything else as plain Python
//! values; whatever takes time runs without Python's global lock, on all cores.
//!
//! The Python side (`dqnet/`) adds what needs no Rust: the PyTorch module, and the docs of the package.

mod attack;
mod data;
mod error;
mod hardware;
mod images;
mod interrupt;
mod json;
mod network;
mod onnx;

use pyo3::prelude::*;

/// Integer networks, exactly as the circuit computes them.
#[pymodule]
fn _dqnet(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DqError", module.py().get_type::<error::DqError>())?;
    module.add_class::<network::Network>()?;
    module.add_function(wrap_pyfunction!(network::load, module)?)?;
    module.add_function(wrap_pyfunction!(attack::attacks, module)?)?;
    module.add_function(wrap_pyfunction!(data::data, module)?)?;
    module.add_function(wrap_pyfunction!(onnx::import_onnx, module)?)?;
    Ok(())
}
