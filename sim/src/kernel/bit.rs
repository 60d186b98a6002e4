//! Computes the exact product of 1-bit levels (0, 1) and 1-bit weights (−1, +1) over windows, 64 at a time.
//! The sum of the weights where the level is 1 is twice the count of bits that are set both in the levels and
//! in the positive weights, minus the count of bits that are set in the levels.

use super::Kernel;
use super::shape::{BIT_ROWS, BitJob, LANES, Rows, Runs};

/// Number of levels in a word.
pub(crate) const WORD: usize = 64;
/// Holds the positive weights as bits, in the order in which they are read.
pub(crate) struct PackedBits {
    /// Words of bits: panel × word of the window × output.
    data: Vec<[u64; LANES]>,
    outputs: usize,
    runs: Vec<usize>,
    run: usize,
}

impl PackedBits {
    /// Packs `weight(output, run, word, bit)`: whether the weight at a bit of a word of a run is positive.
    /// Runs are counted in words; where a window has no level, that bit of it is 0 and the weight does not
    /// matter.
    pub fn new(
        outputs: usize,
        Runs { starts: runs, length: run }: Runs,
        weight: impl Fn(usize, usize, usize, usize) -> bool,
    ) -> Self {
        let mut data = vec![[0; LANES]; outputs.div_ceil(LANES) * runs.len() * run];
        for (i, words) in data.iter_mut().enumerate() {
            let (panel, s, k) = (i / (runs.len() * run), i / run % runs.len(), i % run);
            for (j, word) in words.iter_mut().enumerate().take(outputs - panel * LANES) {
                let positive = (0..WORD).filter(|&bit| weight(panel * LANES + j, s, k, bit));
                *word = positive.fold(0, |word, bit| word | 1 << bit);
            }
        }
        Self { data, outputs, runs, run }
    }
}

/// Packs levels of 0 and 1 as bits, the `channels` of a pixel in as many words as they need.
pub(crate) fn pack(levels: &[u8], channels: usize) -> Vec<u64> {
    let words = channels.div_ceil(WORD);
    let mut packed = vec![0; levels.len() / channels * words];
    for (words, pixel) in packed.chunks_exact_mut(words).zip(levels.chunks_exact(channels)) {
        for (word, levels) in words.iter_mut().zip(pixel.chunks(WORD)) {
            let eights = levels.chunks_exact(8);
            let rest = eights.remainder();
            let first = levels.len() - rest.len();
            for (i, eight) in eights.enumerate() {
                // The product brings the lowest bit of byte n to bit 56 + n; no two terms meet there.
                let bytes = u64::from_le_bytes(eight.try_into().expect("eight"));
                *word |= (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (i * 8);
            }
            for (i, &level) in rest.iter().enumerate() {
                *word |= u64::from(level) << (first + i);
            }
        }
    }
    packed
}

/// Returns whether `kernel` counts the bits of a register by one instruction on this machine: only then is
/// counting faster than multiplying.
pub(crate) fn counts(kernel: Kernel) -> bool {
    #[cfg(target_arch = "x86_64")]
    if kernel == Kernel::Avx512 {
        return is_x86_feature_detected!("avx512vpopcntdq");
    }
    let _ = kernel;
    false
}

/// Computes `out[r·stride + o] = Σ level(rows[r] + runs[s] + k) · weight(o, s, k)` over all bits of all
/// words, by a kernel that [`counts`].
///
/// # Panics
/// If a window would leave `input`, a row `out`, or this machine does not count.
pub(crate) fn product(input: &[u64], rows: &[usize], weights: &PackedBits, out: Rows<i32>) {
    let PackedBits { data, outputs, runs, run } = weights;
    assert!(counts(Kernel::Avx512), "this machine does not count bits");
    let last = rows.iter().max().unwrap_or(&0) + runs.iter().max().expect("a window has a run");
    assert!(last + run <= input.len(), "a window leaves the feature map");
    for (block, rows) in rows.chunks(BIT_ROWS).enumerate() {
        let job = BitJob { input, rows, runs, run: *run };
        let mut ones = [0; BIT_ROWS];
        for (ones, start) in ones.iter_mut().zip(rows) {
            let words = runs.iter().flat_map(|at| &input[start + at..][..*run]);
            *ones = words.map(|word| word.count_ones() as i32).sum();
        }
        for (p, panel) in data.chunks_exact(runs.len() * run).enumerate() {
            let mut sums = [[0; LANES]; BIT_ROWS];
            // SAFETY: the machine has the instructions, and every window was checked against the input.
            #[cfg(target_arch = "x86_64")]
            unsafe {
                super::avx512::count(&job, panel, &mut sums);
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = (&job, panel, &mut sums);
            let columns = (outputs - p * LANES).min(LANES);
            for (r, (sums, ones)) in sums.iter().zip(ones).enumerate().take(rows.len()) {
                let at = (block * BIT_ROWS + r) * out.stride + p * LANES;
                for (to, &shared) in out.sums[at..at + columns].iter_mut().zip(sums) {
                    *to = 2 * shared as i32 - ones;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_what_sums_are() {
        if !Kernel::available().into_iter().any(counts) {
            println!("SKIPPED: this machine does not count bits by one instruction");
        }
        for (channels, outputs, runs, taps, rows) in [
            (64usize, 1, 1, 1, 1),
            (40, 17, 3, 3, 9),
            (130, 48, 2, 2, 6),
            (7, 16, 1, 5, 4),
            (200, 33, 1, 1, 3),
        ] {
            let words = channels.div_ceil(WORD);
            let level = |at: usize| (at * 7_919 % 13 < 6) as u8;
            let levels: Vec<u8> = (0..channels * 400).map(level).collect();
            let packed = pack(&levels, channels);
            let sign = |o: usize, s: usize, tap: usize, c: usize| (o * 5 + s * 3 + tap * 11 + c * c) % 7 < 3;
            let (starts, offsets): (Vec<usize>, Vec<usize>) =
                ((0..rows).map(|r| r * 17).collect(), (0..runs).map(|s| s * 50).collect());
            let in_words = |places: &[usize]| places.iter().map(|place| place * words).collect::<Vec<_>>();
            let word_runs = Runs { starts: in_words(&offsets), length: taps * words };
            let weights = PackedBits::new(outputs, word_runs, |o, s, k, bit| {
                sign(o, s, k / words, k % words * WORD + bit)
            });
            let stride = outputs + 2;
            let mut wanted = vec![-1; rows * stride];
            for (r, start) in starts.iter().enumerate() {
                for o in 0..outputs {
                    let taps = (0..runs).flat_map(|s| (0..taps).map(move |tap| (s, tap)));
                    let each = taps.flat_map(|(s, tap)| (0..channels).map(move |c| (s, tap, c)));
                    let product = |(s, tap, c): (usize, usize, usize)| {
                        let level = i32::from(levels[(start + offsets[s] + tap) * channels + c]);
                        if sign(o, s, tap, c) { level } else { -level }
                    };
                    wanted[r * stride + o] = each.map(product).sum();
                }
            }
            if Kernel::available().into_iter().any(counts) {
                let mut out = vec![-1; rows * stride];
                product(&packed, &in_words(&starts), &weights, Rows { sums: &mut out, stride });
                assert_eq!(out, wanted, "{channels} channels");
            }
        }
    }
}
