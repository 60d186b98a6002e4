//! Defines the shape of a feature map, without its data.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Describes one image's feature map: height × width × channels, channels fastest in memory and on every
/// stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of channels.
    pub channels: usize,
}

/// Largest number of elements of a feature map. It is far above any network here and far below what would
/// exhaust memory.
pub const MAX_ELEMENTS: usize = 1 << 26;

impl Shape {
    /// Makes the shape `height` × `width` × `channels`.
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// Returns the number of elements. Cannot overflow for a shape that passed [`Shape::checked_len`].
    pub const fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Returns whether a dimension is zero.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of elements, if it is at least 1 and at most [`MAX_ELEMENTS`].
    pub fn checked_len(&self) -> Option<usize> {
        let len = self.height.checked_mul(self.width)?.checked_mul(self.channels)?;
        (1..=MAX_ELEMENTS).contains(&len).then_some(len)
    }

    /// Returns the shape as an `ndarray` dimension.
    pub const fn dim(&self) -> (usize, usize, usize) {
        (self.height, self.width, self.channels)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.height, self.width, self.channels)
    }
}
