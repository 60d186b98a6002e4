//! Gives counter-based random numbers: a pure function of (seed, stream, index). There is no state to save,
//! so resuming, threads and the order of evaluation change nothing. They are never cryptographic.

use dq_net::SplitMix64;

/// Says what numbers are drawn for; streams of one seed are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Initial weights of the parameter with this number.
    Weights(u64),
    /// Which images are held out.
    Holdout,
    /// Order of the images in this epoch.
    Order(u64),
    /// Augmentation of the images in this epoch.
    Augment(u64),
    /// Where this epoch's cutout lies.
    Cutout(u64),
    /// Radii of the adversaries of this step.
    Radius(u64),
    /// Noise of the adversaries of this step.
    Noise(u64),
    /// Where an iteration for a norm starts.
    Norm,
    /// Which images and inputs probe or calibrate an exported network.
    Probe(u64),
}

/// Returns 64 uniform bits for `(seed, stream, index)`.
pub fn bits(seed: u64, stream: Stream, index: u64) -> u64 {
    let (kind, number) = match stream {
        Stream::Weights(n) => (1, n),
        Stream::Holdout => (2, 0),
        Stream::Order(n) => (3, n),
        Stream::Augment(n) => (4, n),
        Stream::Probe(n) => (5, n),
        Stream::Cutout(n) => (6, n),
        Stream::Radius(n) => (7, n),
        Stream::Noise(n) => (8, n),
        Stream::Norm => (9, 0),
    };
    let first_word = |state| SplitMix64::new(state).word();
    [kind, number, index].into_iter().fold(first_word(seed), |state, part| first_word(state ^ part))
}

/// Returns a uniform number in [0, 1).
pub fn uniform(seed: u64, stream: Stream, index: u64) -> f64 {
    SplitMix64::fraction(bits(seed, stream, index))
}

/// Returns a standard normal number (Box–Muller).
pub fn normal(seed: u64, stream: Stream, index: u64) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(seed, stream, 2 * index)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(seed, stream, 2 * index + 1)).cos()
}

/// Returns a uniformly random order of `0..n` (Fisher–Yates; the bias of the modulus is below n/2^64).
pub fn permutation(seed: u64, stream: Stream, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, (bits(seed, stream, i as u64) % (i as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_has_mean_0_and_variance_1() {
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|i| normal(7, Stream::Weights(3), i)).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        // The tolerances are four standard errors: 4/√n and 4·√(2/n).
        assert!(mean.abs() < 0.0127 && (variance - 1.0).abs() < 0.018, "mean {mean}, variance {variance}");
    }

    #[test]
    fn permutations_hold_every_index_once_and_differ_by_stream() {
        let a = permutation(1, Stream::Order(0), 1000);
        let b = permutation(1, Stream::Order(1), 1000);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));
        assert!(a.iter().zip(&b).filter(|(x, y)| x == y).count() < 20);
    }
}
