//! Gives the random numbers of drawn images: a SplitMix64 stream per key, and lattice noise.
//!
//! Images share no stream, so that their order and the number of threads do not matter.

use dq_net::SplitMix64;

/// Gives a stream of random numbers.
pub(super) struct Random(SplitMix64);

impl Random {
    /// Returns the stream of a key, such as (seed, split, image, purpose).
    pub fn new(key: [u64; 4]) -> Self {
        let absorb =
            |state, part| SplitMix64::mix(SplitMix64::GAMMA.wrapping_add(state) ^ SplitMix64::mix(part));
        Random(SplitMix64::new(key.into_iter().fold(0, absorb)))
    }

    /// Returns a random 64-bit word.
    pub fn word(&mut self) -> u64 {
        self.0.word()
    }

    /// Returns a uniform number in `low..high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.unit()
    }

    /// Returns a number in `-1..1`, mostly near 0: the mean of three uniform numbers, with a standard
    /// deviation of 1/3.
    pub fn bell(&mut self) -> f64 {
        (self.0.unit() + self.0.unit() + self.0.unit()) * (2.0 / 3.0) - 1.0
    }

    /// Returns a uniform number in `0..n`; `n` is small, so the bias of one part in 2^64 / n does not matter.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.word()) * n as u128) >> 64) as usize
    }

    /// Returns true with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.0.unit() < p
    }
}

/// Gives smooth noise in 0..1 over the plane: random values on the integer lattice, blended between its
/// points.
pub(super) struct Noise {
    key: u64,
}

impl Noise {
    /// Draws a new field.
    pub fn new(random: &mut Random) -> Self {
        Noise { key: random.word() }
    }

    /// Returns the field's value at a point.
    pub fn at(&self, x: f64, y: f64) -> f64 {
        let (column, row) = (x.floor(), y.floor());
        let ease = |t: f64| t * t * (3.0 - 2.0 * t);
        let (across, down) = (ease(x - column), ease(y - row));
        let corner = |dx: f64, dy: f64| {
            let (i, j) = ((column + dx) as i64 as u64, (row + dy) as i64 as u64);
            let point = SplitMix64::mix(i.wrapping_mul(SplitMix64::GAMMA) ^ SplitMix64::mix(j));
            SplitMix64::fraction(SplitMix64::mix(self.key ^ point))
        };
        let top = corner(0.0, 0.0) + (corner(1.0, 0.0) - corner(0.0, 0.0)) * across;
        let bottom = corner(0.0, 1.0) + (corner(1.0, 1.0) - corner(0.0, 1.0)) * across;
        top + (bottom - top) * down
    }

    /// Returns the sum of three octaves of the field, in 0..1; the finest has lattice points `finest` apart.
    pub fn rough(&self, x: f64, y: f64, finest: f64) -> f64 {
        let octave = |length: f64, shift: f64| self.at(x / length + shift, y / length - shift);
        (octave(finest * 4.0, 0.0) * 4.0 + octave(finest * 2.0, 71.0) * 2.0 + octave(finest, 137.0)) / 7.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_neighbouring_keys_look_unrelated() {
        let draws: Vec<f64> = (0..4_000).map(|i| Random::new([1, 1, i, 1]).between(0.0, 1.0)).collect();
        let mean = draws.iter().sum::<f64>() / 4_000.0;
        let lag = draws.windows(2).map(|pair| (pair[0] - 0.5) * (pair[1] - 0.5)).sum::<f64>() / 3_999.0;
        assert!((mean - 0.5).abs() < 0.02 && lag.abs() < 0.006, "mean {mean}, covariance {lag}");
    }

    #[test]
    fn ranges_hold() {
        let mut random = Random::new([9, 9, 9, 9]);
        let mut seen = [0; 5];
        for _ in 0..5_000 {
            assert!((-3.0..2.0).contains(&random.between(-3.0, 2.0)));
            assert!((-1.0..1.0).contains(&random.bell()));
            seen[random.below(5)] += 1;
        }
        assert!(seen.iter().all(|&count| (850..1_150).contains(&count)), "{seen:?}");
        let noise = Noise::new(&mut random);
        for i in 0..2_000 {
            let (x, y) = (f64::from(i) * 0.37 - 300.0, f64::from(i) * 0.11 - 90.0);
            assert!((0.0..=1.0).contains(&noise.at(x, y)) && (0.0..=1.0).contains(&noise.rough(x, y, 2.0)));
        }
    }
}
