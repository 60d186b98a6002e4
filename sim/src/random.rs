//! Random numbers as a pure function of what they are for: seed, attack, radius, image. Never shared between images, so
//! results do not depend on threads, batches or order.

/// SplitMix64 (Steele et al. 2014).
pub(crate) struct Random(u64);

impl Random {
    /// The stream of image `index` under attack `name` at radius `eps`.
    pub fn keyed(seed: u64, name: &str, eps: u8, index: u64) -> Self {
        let mut state = Self(seed);
        let bytes = name.bytes().map(u64::from);
        for word in bytes.chain([1 << 32 | u64::from(eps), index]) {
            state.0 = state.word() ^ word;
        }
        Self(state.word())
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `lo..=hi`, up to a bias below 2^-32.
    pub fn within(&mut self, lo: i32, hi: i32) -> i32 {
        let count = (hi - lo) as u64 + 1;
        lo + (((self.word() >> 32) * count) >> 32) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
