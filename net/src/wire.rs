//! Defines a wire: the values that flow from one node to the next.

use crate::{range::Range, shape::Shape};

/// Shape and bounds of a node's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Shape of one image's feature map.
    pub shape: Shape,
    /// Bounds of every value, from the actual parameters.
    pub range: Range,
}
