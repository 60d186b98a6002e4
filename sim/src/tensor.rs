//! Holds the values of a node for a block of images: as bytes where the wire's range allows, else as words.

use crate::buffers;
use dq_net::{Range, Shape};
use ndarray::{Array4, ArrayView, Dimension};
use std::borrow::Cow;

/// Holds values, batch × height × width × channels, row-major.
pub(crate) enum Tensor {
    /// Bytes: every value of the wire lies in 0..=255.
    Bytes(Vec<u8>),
    /// Words, for any wire.
    Words(Vec<i32>),
}

impl Tensor {
    /// Returns whether values of `range` are stored as bytes.
    pub fn is_bytes(range: Range) -> bool {
        range.lo >= 0 && range.hi <= 255
    }

    /// Stores values of a wire of `range`, as bytes where they fit.
    pub fn narrow(values: Vec<i32>, range: Range) -> Self {
        if Self::is_bytes(range) {
            Tensor::Bytes(values.into_iter().map(|v| v as u8).collect())
        } else {
            Tensor::Words(values)
        }
    }

    /// Copies pixels.
    pub fn of_pixels<D: Dimension>(images: ArrayView<u8, D>) -> Self {
        Tensor::Bytes(match images.to_slice() {
            Some(pixels) => pixels.to_vec(),
            None => images.iter().copied().collect(),
        })
    }

    /// Returns one value.
    pub fn get(&self, i: usize) -> i32 {
        match self {
            Tensor::Bytes(values) => values[i].into(),
            Tensor::Words(values) => values[i],
        }
    }

    /// Returns all values as words.
    pub fn words(&self) -> Cow<'_, [i32]> {
        match self {
            Tensor::Bytes(values) => values.iter().map(|&v| v.into()).collect(),
            Tensor::Words(values) => Cow::Borrowed(values),
        }
    }

    /// Gives the values' memory back.
    pub fn give(self) {
        match self {
            Tensor::Bytes(values) => buffers::give(values),
            Tensor::Words(values) => buffers::give(values),
        }
    }

    /// Turns all values into words.
    pub fn into_words(self) -> Vec<i32> {
        match self {
            Tensor::Bytes(values) => values.into_iter().map(i32::from).collect(),
            Tensor::Words(values) => values,
        }
    }

    /// Turns it into an array of `count` maps of `shape`.
    pub fn into_array(self, count: usize, shape: Shape) -> Array4<i32> {
        let (height, width, channels) = shape.dim();
        Array4::from_shape_vec((count, height, width, channels), self.into_words()).expect("counted")
    }
}

/// Returns `count` values of `range`, its ends among them.
#[cfg(test)]
pub(crate) fn spread(range: Range, count: usize) -> Vec<i32> {
    let span = (range.hi - range.lo + 1) as u64;
    let value = |i: usize| match i {
        0 => range.lo,
        1 => range.hi,
        _ => range.lo + ((i as u64).wrapping_mul(dq_net::SplitMix64::GAMMA) % span) as i64,
    };
    (0..count).map(|i| value(i) as i32).collect()
}
