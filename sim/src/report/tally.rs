//! Counts images, with the confidence interval that the count leaves.

use serde::{Deserialize, Serialize};

/// Counts how many of how many images are right, with the Wilson interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Correctly classified images.
    pub correct: usize,
    /// All images.
    pub total: usize,
    /// `correct / total`, 0 to 1.
    pub accuracy: f64,
    /// 95 % Wilson score interval of the accuracy.
    pub interval: [f64; 2],
}

/// Counts how many of how many images something was so, with the Wilson interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Images of which it was so.
    pub count: usize,
    /// All images.
    pub total: usize,
    /// `count / total`, 0 to 1; 0 of none.
    pub rate: f64,
    /// 95 % Wilson score interval of the rate.
    pub interval: [f64; 2],
}

impl Rate {
    /// Counts `count` of `total`.
    pub fn new(count: usize, total: usize) -> Self {
        let Tally { accuracy: rate, interval, .. } = Tally::new(count, total);
        Self { count, total, rate, interval }
    }
}

/// Quantile of the normal distribution for a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

impl Tally {
    /// Counts `correct` of `total`.
    pub fn new(correct: usize, total: usize) -> Self {
        let accuracy = if total == 0 { 0.0 } else { correct as f64 / total as f64 };
        Self { correct, total, accuracy, interval: wilson(correct, total) }
    }
}

/// Returns the 95 % Wilson score interval of `correct / total`; 0 to 1 for no trial (Wilson 1927).
pub fn wilson(correct: usize, total: usize) -> [f64; 2] {
    if total == 0 {
        return [0.0, 1.0];
    }
    let (n, p) = (total as f64, correct as f64 / total as f64);
    let z2 = Z * Z / n;
    let middle = p + z2 / 2.0;
    let half = Z * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt();
    let low = if correct == 0 { 0.0 } else { (middle - half) / (1.0 + z2) };
    let high = if correct == total { 1.0 } else { (middle + half) / (1.0 + z2) };
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_intervals_are_the_published_ones() {
        // The intervals are those of Newcombe 1998, table I (method 3): 81/263, 15/148, 0/20, 1/29.
        for (correct, total, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let [a, b] = wilson(correct, total);
            assert!((a - low).abs() < 5e-5 && (b - high).abs() < 5e-5, "{correct}/{total}: {a} {b}");
        }
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
        assert_eq!(wilson(20, 20)[1], 1.0);
    }
}
