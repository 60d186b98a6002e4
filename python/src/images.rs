//! NumPy arrays as images and labels. Whatever is not uint8 is refused, and the error says how to convert it:
//! a silent conversion would attack another image than the circuit sees.

use crate::error::raise;
use dq_net::Shape;
use dq_net::layer::Input;
use ndarray::{ArrayView4, Ix4};
use numpy::{
    PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// Borrows `images` as N × height × width × channels of uint8, with the shape and the levels that the network
/// reads.
pub fn pixels<'py>(images: &Bound<'py, PyAny>, input: Input) -> PyResult<PyReadonlyArrayDyn<'py, u8>> {
    let array = images.cast::<PyUntypedArray>().map_err(|_| {
        let found = images.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("images: expected a NumPy array of uint8, found {found}"))
    })?;
    let Ok(array) = array.cast::<PyArrayDyn<u8>>() else {
        let (found, top) = (array.dtype(), input.top());
        let how = match found.kind() {
            b'f' => format!("; for pixels in [0, 1]: np.rint(images * {top}).astype(np.uint8)"),
            b'i' | b'u' | b'b' => {
                format!("; where all values lie in 0..={top}: images.astype(np.uint8)")
            }
            _ => String::new(),
        };
        return Err(PyTypeError::new_err(format!("images: expected uint8, found {found}{how}")));
    };
    let Shape { height, width, channels } = input.shape;
    let found = array.shape();
    if found.len() == 4 && found[1..] == [height, width, channels] {
        let images = array.readonly();
        input.check_images(view(&images)).map_err(raise)?;
        return Ok(images);
    }
    let how = match found {
        [_, c, h, w] if [*h, *w, *c] == [height, width, channels] => {
            "; channels go last: images.transpose(0, 2, 3, 1)"
        }
        [h, w, c] if [*h, *w, *c] == [height, width, channels] => "; one image: images[None]",
        _ => "",
    };
    Err(raise(format!("images: expected shape (N, {height}, {width}, {channels}), found {found:?}{how}")))
}

/// Reads labels: `count` whole numbers below `classes`.
pub fn labels(labels: &Bound<PyAny>, count: usize, classes: usize) -> PyResult<Vec<u8>> {
    let numpy = labels.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (labels,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !["i", "u"].contains(&kind.as_str()) {
        let found = array.getattr("dtype")?;
        return Err(PyTypeError::new_err(format!("labels: expected whole numbers, found {found}")));
    }
    let values: Vec<i64> = array.call_method1("astype", ("int64",))?.call_method0("ravel")?.extract()?;
    if values.len() != count {
        return Err(raise(format!("labels: expected {count}, one per image, found {}", values.len())));
    }
    let fits = |label: i64| u8::try_from(label).ok().filter(|&label| usize::from(label) < classes);
    let label = |(i, &label): (usize, &i64)| {
        fits(label).ok_or_else(|| raise(format!("labels[{i}]: expected 0 to {}, found {label}", classes - 1)))
    };
    values.iter().enumerate().map(label).collect()
}

/// Views a checked array as a batch of images.
pub fn view<'a>(images: &'a PyReadonlyArrayDyn<u8>) -> ArrayView4<'a, u8> {
    images.as_array().into_dimensionality::<Ix4>().expect("checked: four dimensions")
}
