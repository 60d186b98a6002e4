//! Plain data as Python's dictionaries and lists, by way of JSON.

use crate::error::raise;
use pyo3::prelude::*;
use serde::Serialize;

/// Returns `value` as `json.loads` gives it.
pub fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(raise)?;
    py.import("json")?.call_method1("loads", (text,))
}
