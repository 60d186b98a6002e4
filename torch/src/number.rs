//! Chooses the floats in which whole numbers are exact.

use dq_net::Range;
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

impl Number {
    /// Returns the narrowest floats that hold every whole number within ±`magnitude`.
    pub fn holding(magnitude: i64) -> Self {
        assert!(magnitude <= DOUBLE, "a network's sums stay far below 2^53, found {magnitude}");
        if magnitude <= SINGLE { Number::Single } else { Number::Double }
    }

    /// Returns the narrowest floats in which a matrix product is exact, where `operand` bounds the magnitude
    /// of every factor, and `sum` the sum of magnitudes of the products.
    pub fn of_products(operand: i64, sum: i64) -> Self {
        if operand <= OPERAND { Self::holding(sum) } else { Number::Double }
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
