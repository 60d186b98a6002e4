//! Compares two counts on the same images.

/// Returns the probability that of `more + fewer` images on which two attacks differ at least `more` fall on
/// one side, if either side were as likely: the one-sided exact test of McNemar (1947).
pub fn mcnemar(more: usize, fewer: usize) -> f64 {
    let all = more + fewer;
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    // The tail of the binomial distribution from its thin end: all of them, all but one, and so on.
    for left in 0..=fewer {
        if left > 0 {
            log_choose += ((all + 1 - left) as f64 / left as f64).ln();
        }
        sum += (log_choose - all as f64 * std::f64::consts::LN_2).exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_binomial_distribution() {
        for (more, fewer, wanted) in [
            (0, 0, 1.0),
            (1, 0, 0.5),
            (5, 0, 1.0 / 32.0),
            (5, 1, 7.0 / 64.0),
            (3, 3, 42.0 / 64.0),
            (8, 2, 56.0 / 1024.0),
        ] {
            assert!(
                (mcnemar(more, fewer) - wanted).abs() < 1e-12,
                "{more} {fewer}: {}",
                mcnemar(more, fewer)
            );
        }
        // As R's binom.test(5100, 10000, alternative = "greater") gives it.
        assert!((mcnemar(5100, 4900) - 0.02329).abs() < 1e-4, "{}", mcnemar(5100, 4900));
    }
}
