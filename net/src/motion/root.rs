//! Roots and quotients of whole numbers, rounded up.

/// Returns the least whole number whose square is at least `x`.
pub fn root_up(x: u128) -> u128 {
    let root = x.isqrt();
    root + u128::from(root * root < x)
}

/// Returns `x·up² / down²`, rounded up; none where that passes 128 bits.
pub fn times_square(x: u128, up: u64, down: u64) -> Option<u128> {
    let square = |v: u64| u128::from(v).checked_mul(v.into());
    Some(x.checked_mul(square(up)?)?.div_ceil(square(down)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_the_least_that_are_enough() {
        for x in (0..2_000).chain([(1 << 100) - 1, 1 << 100, (1 << 100) + 1]) {
            let root = root_up(x);
            assert!(root * root >= x && (root == 0 || (root - 1) * (root - 1) < x), "{x}");
        }
        assert_eq!(root_up(u128::MAX), 1 << 64);
        assert_eq!(times_square(10, 2, 3), Some(5));
        assert_eq!(times_square(u128::MAX, 2, 3), None);
    }
}
