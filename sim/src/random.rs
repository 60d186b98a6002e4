//! Gives random numbers as a pure function of what they are for: seed, attack, radius, image. Streams are
//! never shared between images, so results do not depend on threads, batches or order.

use dq_net::SplitMix64;

/// Gives a stream of random numbers.
pub(crate) struct Random(SplitMix64);

impl Random {
    /// Starts the stream of image `index` under attack `name` at radius `eps`.
    pub fn keyed(seed: u64, name: &str, eps: u8, index: u64) -> Self {
        let first_word = |state| SplitMix64::new(state).word();
        let parts = name.bytes().map(u64::from).chain([1 << 32 | u64::from(eps), index]);
        let state = parts.fold(seed, |state, part| first_word(state) ^ part);
        Self(SplitMix64::new(first_word(state)))
    }

    /// Returns 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.word()
    }

    /// Draws a number uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// Draws a number of the standard normal distribution (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// Draws a number of the Poisson distribution of this `mean`, by inversion; for means up to some
    /// hundreds.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        let drawn = self.unit();
        let (mut count, mut density) = (0, (-mean).exp());
        let mut below = density;
        while below < drawn && f64::from(count) < 10.0 * mean + 100.0 {
            count += 1;
            density *= mean / f64::from(count);
            below += density;
        }
        count
    }

    /// Draws a number uniform in `lo..=hi`, up to a bias below 2^-32.
    pub fn within(&mut self, lo: i32, hi: i32) -> i32 {
        let count = (hi - lo) as u64 + 1;
        lo + (((self.word() >> 32) * count) >> 32) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_and_poisson_numbers_have_their_moments() {
        let mut random = Random::keyed(5, "moments", 0, 0);
        let moments = |draw: &mut dyn FnMut() -> f64| {
            let all: Vec<f64> = (0..20_000).map(|_| draw()).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            (mean, all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64)
        };
        let (mean, variance) = moments(&mut || random.normal());
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        for wanted in [0.0, 0.5, 20.0, 500.0] {
            let (mean, variance) = moments(&mut || random.poisson(wanted).into());
            assert!((mean - wanted).abs() <= 0.05 * wanted, "{mean} of {wanted}");
            assert!((variance - wanted).abs() <= 0.1 * wanted, "{variance} of {wanted}");
        }
    }

    #[test]
    fn streams_differ_in_every_part_of_the_key_and_are_uniform() {
        let first = |seed, name, eps, index| Random::keyed(seed, name, eps, index).word();
        let base = first(1, "pgd", 8, 5);
        assert_eq!(base, first(1, "pgd", 8, 5));
        for other in
            [first(2, "pgd", 8, 5), first(1, "bim", 8, 5), first(1, "pgd", 7, 5), first(1, "pgd", 8, 6)]
        {
            assert_ne!(base, other);
        }
        let mut counts = [0u32; 5];
        let mut random = Random::keyed(3, "random", 2, 0);
        (0..50_000).for_each(|_| counts[(random.within(-2, 2) + 2) as usize] += 1);
        assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
    }
}
