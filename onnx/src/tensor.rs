//! Defines constants: exact tensors that a file gives or that are computed from such, in a form that keeps
//! millions of weights small.

use crate::number::{Q, of_f32, whole};
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};
use std::sync::Arc;

/// Most elements of a constant.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// Types of elements, by their number in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// float32.
    Float,
    /// float64.
    Double,
    /// Whole numbers: bits, and whether they have a sign.
    Int(u8, bool),
    /// true or false.
    Bool,
}

impl Element {
    /// Returns the type of a number of the format, or its name where it is not read.
    pub fn of(code: i32) -> Result<Self, String> {
        Ok(match code {
            1 => Element::Float,
            11 => Element::Double,
            2 => Element::Int(8, false),
            3 => Element::Int(8, true),
            4 => Element::Int(16, false),
            5 => Element::Int(16, true),
            6 => Element::Int(32, true),
            7 => Element::Int(64, true),
            9 => Element::Bool,
            12 => Element::Int(32, false),
            10 | 16 => {
                let name = if code == 10 { "float16" } else { "bfloat16" };
                return Err(format!("{name} values: expected float32 (export the model in float32)"));
            }
            8 => return Err("texts: expected numbers".into()),
            21 => Element::Int(4, false),
            22 => Element::Int(4, true),
            25 => Element::Int(2, false),
            26 => Element::Int(2, true),
            _ => return Err(format!("elements of type {code}: expected float32 or whole numbers")),
        })
    }

    /// Returns the bits of one element; elements of less than 8 bits share bytes.
    pub fn bits(self) -> usize {
        match self {
            Element::Float => 32,
            Element::Double => 64,
            Element::Int(bits, _) => usize::from(bits),
            Element::Bool => 8,
        }
    }

    /// Returns the bytes of `count` elements.
    pub fn bytes(self, count: usize) -> usize {
        (count * self.bits()).div_ceil(8)
    }

    /// Returns the smallest and the largest whole number of the type; `None` for floats.
    pub fn limits(self) -> Option<(i64, i64)> {
        match self {
            Element::Int(bits @ ..=32, true) => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
            Element::Int(bits @ ..=32, false) => Some((0, (1 << bits) - 1)),
            Element::Int(..) => Some((i64::MIN, i64::MAX)),
            Element::Bool => Some((0, 1)),
            Element::Float | Element::Double => None,
        }
    }
}

/// The elements of a constant, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// float32, finite.
    Float(Arc<Vec<f32>>),
    /// Whole numbers.
    Int(Arc<Vec<i64>>),
    /// Any rationals: few elements only.
    Exact(Arc<Vec<Q>>),
    /// Whole numbers times a scale, which is one or one per index of an axis.
    Levels {
        /// The whole numbers.
        ints: Arc<Vec<i32>>,
        /// The scale or scales.
        scale: Arc<Vec<Q>>,
        /// The axis along which scales differ.
        axis: usize,
    },
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Shape; empty for a single number.
    pub dims: Vec<usize>,
    /// Elements.
    pub data: Data,
    /// Type of the elements, where the file gave one.
    pub element: Element,
}

impl Constant {
    /// Makes a constant of whole numbers (int64).
    pub fn ints(dims: Vec<usize>, values: Vec<i64>) -> Self {
        Constant { dims, data: Data::Int(Arc::new(values)), element: Element::Int(64, true) }
    }

    /// Makes a constant of rationals.
    pub fn exact(dims: Vec<usize>, values: Vec<Q>) -> Self {
        Constant { dims, data: Data::Exact(Arc::new(values)), element: Element::Float }
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Returns whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns element `i`, row-major.
    pub fn value(&self, i: usize) -> Q {
        match &self.data {
            Data::Float(values) => of_f32(values[i]).expect("checked: finite"),
            Data::Int(values) => whole(values[i]),
            Data::Exact(values) => values[i].clone(),
            Data::Levels { ints, scale, axis } => {
                let unit = match scale.len() {
                    1 => &scale[0],
                    n => &scale[i / inner(&self.dims, *axis) % n],
                };
                unit * whole(ints[i])
            }
        }
    }

    /// Returns all elements; for constants of few elements.
    pub fn values(&self) -> Vec<Q> {
        (0..self.len()).map(|i| self.value(i)).collect()
    }

    /// Returns the only element.
    pub fn scalar(&self, what: &str) -> Result<Q, String> {
        match self.len() {
            1 => Ok(self.value(0)),
            n => Err(format!("{what}: expected one number, found {n}")),
        }
    }

    /// Returns all elements as whole numbers.
    pub fn whole_values(&self, what: &str) -> Result<Vec<i64>, String> {
        let one = |i: usize| {
            let value = self.value(i);
            if value.is_integer() { value.to_i64() } else { None }
        };
        let all = (0..self.len()).map(one).collect::<Option<Vec<i64>>>();
        all.ok_or_else(|| format!("{what}: expected whole numbers"))
    }

    /// Returns the same elements in another shape of as many.
    pub fn reshaped(&self, dims: Vec<usize>) -> Self {
        debug_assert_eq!(dims.iter().product::<usize>(), self.len());
        let data = match &self.data {
            Data::Levels { ints, scale, axis } if scale.len() > 1 => {
                // The scales keep an axis only where the new shape has it with the same place in memory.
                let inside = inner(&self.dims, *axis);
                let same = |a: &usize| dims[*a] == scale.len() && inner(&dims, *a) == inside;
                match (0..dims.len()).find(same) {
                    Some(axis) => Data::Levels { ints: ints.clone(), scale: scale.clone(), axis },
                    None => Data::Exact(Arc::new(self.values())),
                }
            }
            data => data.clone(),
        };
        Constant { dims, data, element: self.element }
    }

    /// Returns the elements at `indices` (row-major), as a constant of shape `dims`; `axes` maps each old
    /// axis to its new place, where that is known.
    pub fn picked(&self, dims: Vec<usize>, indices: &[usize], axes: Option<&[usize]>) -> Self {
        fn pick<T: Clone>(values: &[T], indices: &[usize]) -> Arc<Vec<T>> {
            Arc::new(indices.iter().map(|&i| values[i].clone()).collect())
        }
        let data = match &self.data {
            Data::Float(values) => Data::Float(pick(values, indices)),
            Data::Int(values) => Data::Int(pick(values, indices)),
            Data::Exact(values) => Data::Exact(pick(values, indices)),
            Data::Levels { ints, scale, axis } => match axes {
                Some(axes) if !axes.is_empty() => {
                    let axis = if scale.len() == 1 { 0 } else { axes[*axis] };
                    Data::Levels { ints: pick(ints, indices), scale: scale.clone(), axis }
                }
                _ if scale.len() == 1 => {
                    Data::Levels { ints: pick(ints, indices), scale: scale.clone(), axis: 0 }
                }
                _ => Data::Exact(Arc::new(indices.iter().map(|&i| self.value(i)).collect())),
            },
        };
        Constant { dims, data, element: self.element }
    }

    /// Returns whether all elements are 0.
    pub fn is_zero(&self) -> bool {
        (0..self.len()).all(|i| self.value(i).is_zero())
    }
}

/// Returns the elements that one step along `axis` passes over.
pub fn inner(dims: &[usize], axis: usize) -> usize {
    dims[axis + 1..].iter().product()
}

/// Returns an axis that may count from the end, as one that counts from the front.
pub fn axis(value: i64, rank: usize) -> Result<usize, String> {
    let shifted = if value < 0 { value + rank as i64 } else { value };
    usize::try_from(shifted)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| format!("axis: expected {} to {}, found {value}", -(rank as i64), rank as i64 - 1))
}

/// Returns, for each element of a tensor of shape `whole`, the position in a constant of shape `part` that is
/// stretched to it by the rules of broadcasting.
pub fn broadcast(part: &[usize], whole: &[usize]) -> Result<Vec<usize>, String> {
    let fits = part.len() <= whole.len()
        && part.iter().rev().zip(whole.iter().rev()).all(|(&p, &w)| p == w || p == 1);
    if !fits {
        return Err(format!("shapes: expected one that stretches to {whole:?}, found {part:?}"));
    }
    let skipped = whole.len() - part.len();
    let mut strides = vec![0; whole.len()];
    let mut stride = 1;
    for (axis, &size) in part.iter().enumerate().rev() {
        strides[skipped + axis] = if size == 1 { 0 } else { stride };
        stride *= size;
    }
    Ok(strided(whole, &strides))
}

/// Returns the position of every element of a tensor of shape `dims` that is read with `strides`.
pub fn strided(dims: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut positions = vec![0];
    for (&size, &stride) in dims.iter().zip(strides) {
        let mut next = Vec::with_capacity(positions.len() * size);
        for &base in &positions {
            next.extend((0..size).map(|i| base + i * stride));
        }
        positions = next;
    }
    positions
}

/// Returns shape and source positions of a transposition.
pub fn transposed(dims: &[usize], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let shape: Vec<usize> = order.iter().map(|&a| dims[a]).collect();
    let strides: Vec<usize> = order.iter().map(|&a| inner(dims, a)).collect();
    let positions = strided(&shape, &strides);
    (shape, positions)
}

/// Returns what a reshape makes of `dims`: 0 keeps a size, −1 is what is left.
pub fn reshape(dims: &[usize], wanted: &[i64], allow_zero: bool) -> Result<Vec<usize>, String> {
    let total: usize = dims.iter().product();
    let refused = || format!("shape: expected one of {total} elements, found {wanted:?}");
    let mut shape = vec![];
    let mut open = None;
    for (i, &size) in wanted.iter().enumerate() {
        shape.push(match size {
            0 if !allow_zero => *dims.get(i).ok_or_else(refused)?,
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            size => usize::try_from(size).map_err(|_| refused())?,
        });
    }
    let known = shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s)).ok_or_else(refused)?;
    if let Some(i) = open.filter(|_| known > 0 && total.is_multiple_of(known)) {
        shape[i] = total / known;
    }
    if shape.iter().product::<usize>() == total { Ok(shape) } else { Err(refused()) }
}

/// Returns whole numbers (of the smallest common unit) and that unit, for the elements at `indices`; the unit
/// is 1 where all are 0. `None` where a number does not fit 32 bits.
pub fn integers(constant: &Constant, indices: &[usize]) -> Option<(Vec<i32>, Q)> {
    if let Data::Levels { ints, scale, axis } = &constant.data {
        let of = |i: usize| if scale.len() == 1 { 0 } else { i / inner(&constant.dims, *axis) % scale.len() };
        let first = indices.first().map(|&i| of(i))?;
        if indices.iter().all(|&i| of(i) == first) {
            return Some((indices.iter().map(|&i| ints[i]).collect(), scale[first].clone()));
        }
    }
    if let Data::Int(ints) = &constant.data {
        let ints = indices.iter().map(|&i| i32::try_from(ints[i]).ok()).collect::<Option<_>>()?;
        return Some((ints, whole(1)));
    }
    let values: Vec<Q> = indices.iter().map(|&i| constant.value(i)).collect();
    let unit = crate::number::common_unit(&values).unwrap_or_else(|| whole(1));
    let ints = values.iter().map(|v: &BigRational| (v / &unit).to_i32()).collect::<Option<_>>()?;
    Some((ints, unit))
}
