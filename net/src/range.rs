//! Defines the range of a wire, from which its bits follow. Widths are never stored.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bounds every value that a wire can carry, inclusively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Smallest value.
    pub lo: i64,
    /// Largest value.
    pub hi: i64,
}

/// Largest magnitude of an accumulator. Every value, negated value and threshold then fits an `i32`.
pub const MAX_ACCUMULATOR: i64 = 1 << 30;

impl Range {
    /// Makes the range `lo..=hi`.
    ///
    /// # Panics
    /// If `lo > hi`.
    pub const fn new(lo: i64, hi: i64) -> Self {
        assert!(lo <= hi);
        Self { lo, hi }
    }

    /// Returns the range of levels of a `bits`-wide unsigned stream: `0..=2^bits − 1`.
    pub const fn levels(bits: u8) -> Self {
        Self::new(0, (1 << bits) - 1)
    }

    /// Returns whether a wire needs a sign.
    pub const fn signed(&self) -> bool {
        self.lo < 0
    }

    /// Returns the bits of the narrowest wire: unsigned when `lo ≥ 0`, else two's complement. At least 1.
    pub fn bits(&self) -> u32 {
        let unsigned = |v: i64| 64 - (v as u64).leading_zeros();
        if self.lo >= 0 {
            unsigned(self.hi).max(1)
        } else {
            // A two's complement word must hold the magnitude −lo − 1 below zero.
            1 + unsigned(self.hi.max(0)).max(unsigned(-(self.lo + 1)))
        }
    }

    /// Returns the smallest range that holds both.
    pub fn hull(self, other: Self) -> Self {
        Self::new(self.lo.min(other.lo), self.hi.max(other.hi))
    }

    /// Returns the range of `dir · value` for `dir` = ±1.
    pub fn directed(self, dir: i8) -> Self {
        if dir < 0 { Self::new(-self.hi, -self.lo) } else { self }
    }

    /// Returns whether `value` lies within.
    pub fn contains(&self, value: i64) -> bool {
        (self.lo..=self.hi).contains(&value)
    }

    /// Returns whether every value is small enough for an accumulator.
    pub fn fits_accumulator(&self) -> bool {
        self.lo >= -MAX_ACCUMULATOR && self.hi <= MAX_ACCUMULATOR
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.lo, self.hi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_the_fewest_that_hold_both_ends() {
        for (lo, hi, bits) in [
            (0, 0, 1),
            (0, 1, 1),
            (0, 255, 8),
            (0, 256, 9),
            (-1, 0, 1),
            (-1, 1, 2),
            (-128, 127, 8),
            (-129, 0, 9),
            (-3, 200, 9),
        ] {
            assert_eq!(Range::new(lo, hi).bits(), bits, "{lo}..={hi}");
        }
    }
}
