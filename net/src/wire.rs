//! Defines a wire: the values that flow from one node to the next.

use crate::{range::Range, shape::Shape};

/// Describes a node's output: its shape and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Shape of one image's feature map.
    pub shape: Shape,
    /// Bounds of every value, derived from the actual parameters.
    pub range: Range,
}
