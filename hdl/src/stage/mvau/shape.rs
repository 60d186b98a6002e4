//! Describes the shape of a matrix-vector unit: how its sums are folded onto hardware.

use crate::plan::data::Mac;

/// Describes multiply-accumulate: `pe` outputs over `taps` beats of `simd` levels each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mvau {
    /// Number of outputs that are computed side by side.
    pub pe: usize,
    /// Number of inputs per beat.
    pub simd: usize,
    /// Number of beats per output: chunks × kernel rows × kernel columns.
    pub taps: usize,
    /// Number of folds of all groups; each has its own weights.
    pub folds: usize,
    /// Bits of a level.
    pub level_bits: usize,
    /// Bits of a weight.
    pub weight_bits: usize,
    /// The form of its products; never [`Mac::Auto`].
    pub mac: Mac,
}

impl Mvau {
    /// Returns the words of its memory of weights: one per beat.
    pub fn words(&self) -> usize {
        self.folds * self.taps
    }

    /// Returns the bits of a word: a weight for each input of each PE.
    pub fn word(&self) -> usize {
        self.pe * self.simd * self.weight_bits
    }
}
