//! Implements SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), the generator of pseudo-random words in all
//! crates. It is fast, gives the same words on every machine, and is not cryptographic.

/// Gives a stream of pseudo-random words. Equal seeds give equal streams.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// Increment of the state from word to word: 2^64 divided by the golden ratio, made odd.
    pub const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Starts the stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next 64 bits.
    pub const fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(Self::GAMMA);
        Self::mix(self.state)
    }

    /// Returns a number in `0..count`. The bias is below `count` / 2^64.
    ///
    /// # Panics
    /// If `count` is 0.
    pub const fn below(&mut self, count: usize) -> usize {
        (self.word() % count as u64) as usize
    }

    /// Returns a number in 0.0..1.0, a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        Self::fraction(self.word())
    }

    /// Returns the upper 53 bits of `word` as a fraction in 0.0..1.0, exactly.
    pub fn fraction(word: u64) -> f64 {
        (word >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mixes a word: the generator's finalizer, a bijection in which every bit depends on every other.
    pub const fn mix(word: u64) -> u64 {
        let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // These are the first words of seed 1234567 in the reference implementation
        // (prng.di.unimi.it/splitmix64.c).
        let mut stream = SplitMix64::new(1_234_567);
        let words: [u64; 3] = std::array::from_fn(|_| stream.word());
        assert_eq!(words, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn numbers_stay_in_their_ranges() {
        let mut stream = SplitMix64::new(7);
        assert!((0..1_000).all(|_| stream.below(5) < 5 && (0.0..1.0).contains(&stream.unit())));
        assert_eq!((SplitMix64::fraction(0), SplitMix64::fraction(1 << 63)), (0.0, 0.5));
        assert!(SplitMix64::fraction(u64::MAX) < 1.0);
    }
}
