//! Reads a file's constants into exact tensors: raw or typed, in the file or in another file beside it.

use crate::error::shown;
use crate::proto::TensorProto;
use crate::tensor::{Constant, Data, Element, MAX_ELEMENTS};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};
use std::sync::Arc;

/// Reads a constant. Files with the data of constants lie in `folder`.
pub fn constant(tensor: &TensorProto, folder: &Path) -> Result<Constant, String> {
    let named = |reason: String| format!("tensor `{}`: {reason}", shown(&tensor.name));
    read(tensor, folder).map_err(named)
}

fn read(tensor: &TensorProto, folder: &Path) -> Result<Constant, String> {
    let element = Element::of(tensor.data_type)?;
    let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let len = dims.iter().flatten().try_fold(1usize, |n, &d| n.checked_mul(d));
    let (Some(dims), Some(len @ ..=MAX_ELEMENTS)) = (dims, len) else {
        return Err(format!("shape: expected at most {MAX_ELEMENTS} elements, found {:?}", tensor.dims));
    };
    let other;
    let raw: &[u8] = if tensor.data_location == 1 {
        other = external(tensor, folder, element.bytes(len))?;
        &other
    } else {
        &tensor.raw_data
    };
    let count = |found: usize| {
        if found == len {
            Ok(())
        } else {
            Err(format!("expected {len} elements for {dims:?}, found {found}"))
        }
    };
    let data = if !raw.is_empty() || len == 0 {
        if raw.len() != element.bytes(len) {
            return Err(format!("expected {} bytes for {dims:?}, found {}", element.bytes(len), raw.len()));
        }
        from_bytes(raw, element, len)
    } else {
        match element {
            Element::Float => {
                count(tensor.float_data.len())?;
                Data::Float(Arc::new(tensor.float_data.clone()))
            }
            Element::Double => {
                count(tensor.double_data.len())?;
                doubles(tensor.double_data.iter().copied())?
            }
            Element::Int(64, _) | Element::Int(32, false) => {
                count(tensor.int64_data.len())?;
                Data::Int(Arc::new(tensor.int64_data.clone()))
            }
            Element::Int(2 | 4, _) if tensor.int32_data.len() == element.bytes(len) => {
                let bytes: Vec<u8> = tensor.int32_data.iter().map(|&v| v as u8).collect();
                from_bytes(&bytes, element, len)
            }
            _ => {
                count(tensor.int32_data.len())?;
                Data::Int(Arc::new(tensor.int32_data.iter().map(|&v| v.into()).collect()))
            }
        }
    };
    check(&data, element)?;
    Ok(Constant { dims, data, element })
}

/// Checks that floats are numbers and that whole numbers fit their type.
fn check(data: &Data, element: Element) -> Result<(), String> {
    match data {
        Data::Float(values) => match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(format!("element {i}: expected a finite number, found {}", values[i])),
            None => Ok(()),
        },
        Data::Int(values) => {
            let (lo, hi) = element.limits().unwrap_or((i64::MIN, i64::MAX));
            match values.iter().position(|v| !(lo..=hi).contains(v)) {
                Some(i) => Err(format!("element {i}: expected {lo} to {hi}, found {}", values[i])),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Converts float64, in the order given.
fn doubles(values: impl Iterator<Item = f64>) -> Result<Data, String> {
    let exact = |v: f64| {
        num_rational::BigRational::from_float(v).ok_or_else(|| format!("expected finite numbers, found {v}"))
    };
    Ok(Data::Exact(Arc::new(values.map(exact).collect::<Result<_, _>>()?)))
}

fn from_bytes(raw: &[u8], element: Element, count: usize) -> Data {
    fn ints<const N: usize>(raw: &[u8], of: impl Fn([u8; N]) -> i64) -> Data {
        Data::Int(Arc::new(raw.as_chunks().0.iter().map(|&b| of(b)).collect()))
    }
    match element {
        Element::Float => {
            Data::Float(Arc::new(raw.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()))
        }
        // A float64 that is no number becomes a float32 that is none, which the check refuses.
        Element::Double => {
            let values = || raw.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b));
            doubles(values()).unwrap_or_else(|_| Data::Float(Arc::new(vec![f32::NAN])))
        }
        Element::Int(bits @ (2 | 4), signed) => {
            // The first of the elements in a byte lies in its lowest bits.
            let per = usize::from(8 / bits);
            let one = |i: usize| {
                let value = i64::from(raw[i / per] >> (i % per * usize::from(bits))) & ((1 << bits) - 1);
                if signed && value >> (bits - 1) != 0 { value - (1 << bits) } else { value }
            };
            Data::Int(Arc::new((0..count).map(one).collect()))
        }
        Element::Int(8, true) => ints(raw, |b| i8::from_le_bytes(b).into()),
        Element::Int(8, false) | Element::Bool => ints(raw, |b| u8::from_le_bytes(b).into()),
        Element::Int(16, true) => ints(raw, |b| i16::from_le_bytes(b).into()),
        Element::Int(16, false) => ints(raw, |b| u16::from_le_bytes(b).into()),
        Element::Int(32, true) => ints(raw, |b| i32::from_le_bytes(b).into()),
        Element::Int(32, false) => ints(raw, |b| u32::from_le_bytes(b).into()),
        Element::Int(..) => ints(raw, i64::from_le_bytes),
    }
}

/// Reads the data of a constant from another file, which must lie in the model's folder.
fn external(tensor: &TensorProto, folder: &Path, length: usize) -> Result<Vec<u8>, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let location = entry("location").ok_or("external data: expected a `location`")?;
    let inside = Path::new(location).components().all(|c| matches!(c, Component::Normal(_)));
    if location.is_empty() || !inside {
        return Err(format!(
            "external data: expected a file in the model's folder, found `{}`",
            shown(location)
        ));
    }
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => {
            text.parse::<u64>().map(Some).map_err(|_| format!("external data: {key}: expected a number"))
        }
    };
    let offset = number("offset")?.unwrap_or(0);
    if number("length")?.is_some_and(|n| n != length as u64) {
        return Err(format!("external data: length: expected {length} for its shape, found another"));
    }
    let path = folder.join(location);
    let failed = |e: std::io::Error| format!("external data: {}: {e}", path.display());
    let mut file = File::open(&path).map_err(failed)?;
    let there = file.metadata().map_err(failed)?.len();
    if offset.checked_add(length as u64).is_none_or(|end| end > there) {
        return Err(format!(
            "external data: {}: expected {length} bytes from {offset}, found {there} in all",
            path.display()
        ));
    }
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
