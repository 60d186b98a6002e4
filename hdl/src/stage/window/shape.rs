//! Describes the shape of a window: the map, the windows over it, and the order in which their taps come.

use super::loops::LOOPS;
use crate::rtl::{addr_bits, bits_for};
use dq_net::Shape;
use dq_net::layer::window::Axis;

/// Describes windows over a feature map. For each output pixel, group, fold, chunk of channels of the group,
/// kernel row, kernel column (the last fastest) there is one beat of `simd` channels; each of
/// them has the padding's level where the tap lies in the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The feature map.
    pub map: Shape,
    /// Windows along the rows.
    pub rows: Axis,
    /// Windows along the columns.
    pub columns: Axis,
    /// Number of output rows and columns.
    pub output: [usize; 2],
    /// Number of groups of channels.
    pub groups: usize,
    /// How often each window of a group is replayed.
    pub folds: usize,
    /// Number of beats for the channels of one group.
    pub chunks: usize,
    /// Number of rows that the line buffer holds.
    pub ring: usize,
    /// Level of the padding.
    pub level: u64,
}

impl Window {
    /// Returns the taps of a window.
    pub fn taps(&self) -> usize {
        self.rows.kernel * self.columns.kernel
    }

    /// Returns the beats of an input pixel.
    pub fn pixel_beats(&self) -> usize {
        self.groups * self.chunks
    }

    /// Returns the number of states of the reading side's loops, the innermost first.
    pub fn loops(&self) -> [usize; LOOPS] {
        let [rows, columns] = self.output;
        [self.columns.kernel, self.rows.kernel, self.chunks, self.folds, self.groups, columns, rows]
    }

    /// Returns the operations of a frame.
    pub fn operations(&self) -> u64 {
        [self.output[0], self.output[1], self.groups, self.folds, self.chunks, self.taps()]
            .iter()
            .map(|&n| n as u64)
            .product()
    }

    /// Returns the first row of the window of the last output row, in rows of the map.
    pub fn last_row(&self) -> usize {
        ((self.output[0] - 1) * self.rows.stride).saturating_sub(self.rows.before)
    }

    /// Returns the rows from the window of one frame's last output row to that of the next frame's first;
    /// negative where padding makes them overlap.
    pub fn jump(&self) -> isize {
        self.map.height as isize - ((self.output[0] - 1) * self.rows.stride) as isize
    }
}

/// Returns the words of the line buffer.
pub fn words(w: &Window) -> usize {
    w.ring * w.map.width * w.pixel_beats()
}

/// Returns the bits of a biased row: rows written ahead included.
pub fn row_bits(w: &Window) -> usize {
    let taps = (w.output[0] - 1) * w.rows.stride + w.rows.kernel;
    bits_for((w.rows.before + w.map.height + w.ring).max(taps) as u64)
}

/// Returns the bits of the rows held: below zero where a stride skips rows that are not written yet.
pub fn held_bits(w: &Window) -> usize {
    bits_for((w.ring + w.rows.stride) as u64)
}

pub fn column_bits(w: &Window) -> usize {
    let taps = (w.output[1] - 1) * w.columns.stride + w.columns.kernel;
    bits_for((w.columns.before + w.map.width).max(taps) as u64)
}

pub fn address_bits(w: &Window) -> usize {
    addr_bits(words(w))
}

/// Returns how far `columns` columns are apart in the line buffer: their beats, modulo the address.
pub fn offset(w: &Window, columns: i64) -> u64 {
    (columns * w.pixel_beats() as i64).rem_euclid(1 << address_bits(w)) as u64
}
