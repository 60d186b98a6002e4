//! Integer micro-kernel for AVX2. Exact: where two products could leave an i16, the levels' top bit goes separately.

use super::int::{LANES, MAX_SUMS, Tile};
use std::arch::x86_64::*;

/// Up to 4 leading rows of `tile` against its one panel.
///
/// # Safety
/// The machine has AVX2, and every window of `tile` lies within its input.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn micro(tile: Tile, wide_pairs: bool) -> (usize, [i32; MAX_SUMS]) {
    let mut sums = [0; MAX_SUMS];
    // SAFETY: the caller's promise covers every row.
    let count = unsafe {
        match (tile.rows.len() >= 4, wide_pairs) {
            (true, false) => rows::<4, false>(tile, &mut sums),
            (true, true) => rows::<4, true>(tile, &mut sums),
            (false, false) => rows::<1, false>(tile, &mut sums),
            (false, true) => rows::<1, true>(tile, &mut sums),
        }
    };
    (count, sums)
}

/// # Safety
/// As [`micro`], with at least `R` rows.
#[target_feature(enable = "avx2")]
unsafe fn rows<const R: usize, const WIDE: bool>(tile: Tile, sums: &mut [i32; MAX_SUMS]) -> usize {
    let mut acc = [[_mm256_setzero_si256(); 2]; R];
    let (ones, low7) = (_mm256_set1_epi16(1), _mm256_set1_epi8(127));
    let mut panel = tile.panels.as_ptr();
    for &run in tile.runs {
        for quad in 0..tile.quads {
            // SAFETY: the panel holds runs × quads × 64 bytes; windows lie within the input (promised).
            unsafe {
                let b = [_mm256_loadu_si256(panel.cast()), _mm256_loadu_si256(panel.add(32).cast())];
                panel = panel.add(LANES * 4);
                for (r, acc) in acc.iter_mut().enumerate() {
                    let at = tile.input.as_ptr().add(tile.rows[r] + run + quad * 4);
                    let a = _mm256_set1_epi32(at.cast::<i32>().read_unaligned());
                    for (acc, b) in acc.iter_mut().zip(b) {
                        if WIDE {
                            // a = (a & 127) + 128·top: both halves' pair sums stay within an i16.
                            let low = _mm256_maddubs_epi16(_mm256_and_si256(a, low7), b);
                            let top = _mm256_and_si256(_mm256_srli_epi16::<7>(a), _mm256_set1_epi8(1));
                            let top = _mm256_maddubs_epi16(top, b);
                            *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(low, ones));
                            *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(top, _mm256_set1_epi16(128)));
                        } else {
                            let pairs = _mm256_maddubs_epi16(a, b);
                            *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(pairs, ones));
                        }
                    }
                }
            }
        }
    }
    for (acc, row) in acc.iter().zip(sums.chunks_exact_mut(LANES)) {
        for (half, lanes) in acc.iter().zip(row.chunks_exact_mut(8)) {
            // SAFETY: eight i32 are one register.
            unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *half) };
        }
    }
    R
}
