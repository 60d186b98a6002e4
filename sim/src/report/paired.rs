//! Says how likely chance is to show what was counted.

/// Returns the probability that of `more + fewer` images on which two attacks differ at least `more` fall on
/// one side, if either side were as likely: the one-sided exact test of McNemar (1947).
pub fn mcnemar(more: usize, fewer: usize) -> f64 {
    at_least(more, more + fewer, 0.5)
}

/// Returns the probability that at least `count` of `of` images are of a kind of which there is the given share,
/// above 0 and below 1.
pub(crate) fn at_least(count: usize, of: usize, share: f64) -> f64 {
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    // The tail of the binomial distribution from its thin end: all of them, all but one, and so on.
    for left in 0..(of + 1).saturating_sub(count) {
        if left > 0 {
            log_choose += ((of + 1 - left) as f64 / left as f64).ln();
        }
        let log_each = (of - left) as f64 * share.ln() + left as f64 * (1.0 - share).ln();
        sum += (log_choose + log_each).exp();
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

    #[test]
    fn counts_beyond_a_share_are_as_likely_as_the_binomial_distribution_says() {
        // As R's pbinom(count - 1, of, share, lower.tail = FALSE) gives it.
        for (count, of, share, wanted) in [
            (0, 10, 0.1, 1.0),
            (1, 128, 0.002, 0.22607),
            (2, 128, 0.002, 0.02754),
            (11, 10, 0.5, 0.0),
            (5, 5, 0.5, 0.03125),
        ] {
            let found = at_least(count, of, share);
            assert!((found - wanted).abs() < 1e-4, "{count} of {of}: {found}");
        }
    }
}
