//! Holds the memory of Winograd's convolutions. Computes nothing.

use crate::buffers;
use crate::kernel::Kernel;
use crate::kernel::winograd::{Gather, OUTPUTS, POINTS, Spread};
use crate::linear::windows::{SLACK, Windows};

/// Holds what some tiles become on their way.
pub(super) struct Work<V, S> {
    /// Where each tile begins.
    pub starts: Vec<usize>,
    /// Where its pixels go.
    pub places: Vec<usize>,
    /// Its points; those of a tile lie `stride` elements from the next tile's, and `apart` from the next
    /// point's.
    pub points: Vec<V>,
    pub stride: usize,
    pub apart: usize,
    /// Where each tile's values begin at a point.
    pub rows: Vec<usize>,
    /// Point × tile × [`OUTPUTS`].
    pub sums: Vec<S>,
}

impl<V: Spread, S: Gather> Work<V, S> {
    pub fn new(windows: &Windows, kernel: Kernel) -> Self {
        let (channels, most) = (windows.frame.source.channels, kernel.tiles());
        let stride = channels.next_multiple_of(V::vector(kernel, channels));
        // Points a multiple of 4 KiB apart would share the same few places of the first-level cache.
        let apart = most * stride + LINE / size_of::<V>();
        let mut points = buffers::stale(POINTS * apart + SLACK);
        points[POINTS * apart..].fill(V::default());
        Self {
            starts: Vec::with_capacity(most),
            places: Vec::with_capacity(most),
            points,
            stride,
            apart,
            rows: (0..most).map(|t| t * stride).collect(),
            sums: buffers::stale(POINTS * most * OUTPUTS),
        }
    }

    pub fn give(self) {
        buffers::give(self.points);
        buffers::give(self.sums);
    }
}

/// Bytes of a line of the cache.
const LINE: usize = 64;
