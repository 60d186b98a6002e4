//! The shape of a matrix-vector unit: how its sums are folded onto hardware.

use crate::plan::data::Mac;

/// Multiply-accumulate: `pe` outputs over `taps` beats of `simd` levels each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mvau {
    /// Outputs computed side by side.
    pub pe: usize,
    /// Inputs per beat.
    pub simd: usize,
    /// Beats of one output: chunks × kernel rows × kernel columns.
    pub taps: usize,
    /// Folds of all groups: each has its own weights.
    pub folds: usize,
    /// Bits of a level.
    pub level_bits: usize,
    /// Bits of a weight.
    pub weight_bits: usize,
    /// How products are built; never [`Mac::Auto`].
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
