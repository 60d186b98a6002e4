//! Chooses the floats in which whole numbers are exact.

use dq_net::Range;
use ndarray::{Array, ArrayView, RemoveAxis};
use tch::Kind;

/// Names floats by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// f32, which holds every whole number within ±2^24.
    Single,
    /// f64, which holds every whole number within ±2^53.
    Double,
}

/// Largest magnitude up to which f32 holds all whole numbers.
const SINGLE: i64 = 1 << 24;
/// Largest magnitude up to which f64 holds all whole numbers.
const DOUBLE: i64 = 1 << 53;
/// Largest magnitude of a whole number of TF32's 11 bits.
const OPERAND: i64 = 1 << 11;
/// Largest magnitude of a weight of 8 bits.
const LARGEST_WEIGHT: i64 = 1 << 7;

impl Number {
    /// Returns the narrowest floats that hold every whole number within ±`magnitude`.
    pub fn holding(magnitude: i64) -> Self {
        assert!(magnitude <= DOUBLE, "a network's sums stay far below 2^53, found {magnitude}");
        if magnitude <= SINGLE { Number::Single } else { Number::Double }
    }

    /// Returns the narrowest floats in which a matrix product is exact, where `operand` bounds the magnitude
    /// of every factor, and `sum` the sum of magnitudes of the products.
    fn of_products(operand: i64, sum: i64) -> Self {
        if operand <= OPERAND { Self::holding(sum) } else { Number::Double }
    }

    /// Returns the narrowest floats in which every output of a layer with `weights` (output × …) is exact, where
    /// `most` is the largest magnitude that it reads.
    pub fn of_weights<D: RemoveAxis>(weights: &Array<i8, D>, most: i64) -> Self {
        let sum =
            |row: ArrayView<i8, D::Smaller>| row.iter().map(|w| i64::from(w.unsigned_abs())).sum::<i64>();
        let sum = weights.outer_iter().map(sum).max().expect("checked: not empty");
        Self::of_products(most.max(LARGEST_WEIGHT), sum * most)
    }

    /// Returns what libtorch calls them.
    pub fn kind(self) -> Kind {
        match self {
            Number::Single => Kind::Float,
            Number::Double => Kind::Double,
        }
    }
}

/// Returns the largest magnitude of a wire's values.
pub(crate) fn magnitude(range: Range) -> i64 {
    range.lo.abs().max(range.hi.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_as_wide_as_sums_and_operands_need() {
        assert_eq!(Number::holding(1 << 24), Number::Single);
        assert_eq!(Number::holding((1 << 24) + 1), Number::Double);
        assert_eq!(Number::holding(1 << 53), Number::Double);
        assert_eq!(Number::of_products(1 << 11, 1 << 24), Number::Single);
        assert_eq!(Number::of_products((1 << 11) + 1, 1 << 24), Number::Double);
        assert_eq!(Number::of_products(1, (1 << 24) + 1), Number::Double);
        assert_eq!(magnitude(Range::new(-5, 3)), 5);
    }

    #[test]
    #[should_panic(expected = "below 2^53")]
    fn what_f64_does_not_hold_is_refused() {
        Number::holding((1 << 53) + 1);
    }
}
