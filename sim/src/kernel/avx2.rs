//! Defines micro-kernels for AVX2. The integer one is exact: where two products could leave an i16, the
//! levels' top bit goes separately. The float one takes one fused multiply-add per tap, in the taps' order.

use super::shape::{IntTile, LANES, MAX_SUMS, RealTile};
use std::arch::x86_64::*;

/// Multiplies up to 4 leading rows of `tile` by its one panel: writes their sums and returns how many rows.
///
/// # Safety
/// The machine has AVX2, and every window of `tile` lies within its input.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn micro(tile: IntTile, wide_pairs: bool, sums: &mut [i32; MAX_SUMS]) -> usize {
    // SAFETY: the caller's promise covers every row.
    unsafe {
        match (tile.rows.len() >= 4, wide_pairs) {
            (true, false) => rows::<4, false>(tile, sums),
            (true, true) => rows::<4, true>(tile, sums),
            (false, false) => rows::<1, false>(tile, sums),
            (false, true) => rows::<1, true>(tile, sums),
        }
    }
}

/// # Safety
/// As [`micro`], with at least `R` rows.
#[target_feature(enable = "avx2")]
unsafe fn rows<const R: usize, const WIDE: bool>(tile: IntTile, sums: &mut [i32; MAX_SUMS]) -> usize {
    let mut acc = [[_mm256_setzero_si256(); 2]; R];
    let starts: [*const u8; R] = std::array::from_fn(|r| tile.input.as_ptr().wrapping_add(tile.rows[r]));
    let (ones, low7) = (_mm256_set1_epi16(1), _mm256_set1_epi8(127));
    let mut panel = tile.panels.as_ptr();
    for &run in tile.runs {
        for quad in 0..tile.quads {
            // SAFETY: the panel holds runs × quads × 64 bytes; windows lie within the input (promised).
            unsafe {
                let b = [_mm256_loadu_si256(panel.cast()), _mm256_loadu_si256(panel.add(32).cast())];
                panel = panel.add(LANES * 4);
                for r in 0..R {
                    let at = starts[r].add(run + quad * 4);
                    let a = _mm256_set1_epi32(at.cast::<i32>().read_unaligned());
                    for p in 0..2 {
                        let (acc, b) = (&mut acc[r][p], b[p]);
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
    // The sums are copied: the loop reads its array from memory, and they are to stay in registers until
    // here.
    let done = acc;
    for (acc, row) in done.iter().zip(sums.chunks_exact_mut(LANES)) {
        for (half, lanes) in acc.iter().zip(row.chunks_exact_mut(8)) {
            // SAFETY: eight i32 are one register.
            unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *half) };
        }
    }
    R
}

/// Multiplies 6 rows or 1 of `tile` by its panel.
///
/// # Safety
/// The machine has AVX2 and FMA, and every window of `tile` lies within its input.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn micro_f32(tile: RealTile<f32>, rows: usize, sums: &mut [[f32; LANES]]) {
    // SAFETY: the caller's promise covers every row.
    unsafe {
        match rows {
            6 => rows_f32::<6>(tile, sums),
            _ => rows_f32::<1>(tile, sums),
        }
    }
}

/// # Safety
/// As [`micro_f32`], with at least `R` rows.
#[target_feature(enable = "avx2,fma")]
unsafe fn rows_f32<const R: usize>(tile: RealTile<f32>, sums: &mut [[f32; LANES]]) {
    let mut acc = [[_mm256_setzero_ps(); 2]; R];
    let starts: [*const f32; R] = std::array::from_fn(|r| tile.input.as_ptr().wrapping_add(tile.rows[r]));
    let mut panel = tile.panels.as_ptr();
    for &run in tile.runs {
        for k in 0..tile.groups {
            // SAFETY: the panel holds runs × run × 16 values; windows lie within the input (promised).
            unsafe {
                let b = [_mm256_loadu_ps(panel), _mm256_loadu_ps(panel.add(8))];
                panel = panel.add(LANES);
                for r in 0..R {
                    let a = _mm256_set1_ps(*starts[r].add(run + k));
                    acc[r][0] = _mm256_fmadd_ps(a, b[0], acc[r][0]);
                    acc[r][1] = _mm256_fmadd_ps(a, b[1], acc[r][1]);
                }
            }
        }
    }
    let done = acc;
    for (half, lanes) in done.iter().flatten().zip(sums.as_flattened_mut().chunks_exact_mut(8)) {
        // SAFETY: eight f32 are one register.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), *half) };
    }
}

/// Multiplies 6 rows or 1 of `tile` by its panel, two products per step.
///
/// # Safety
/// The machine has AVX2, and every window of `tile` lies within its input.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn micro_i16(tile: RealTile<i16>, rows: usize, sums: &mut [[i32; LANES]]) {
    // SAFETY: the caller's promise covers every row.
    unsafe {
        match rows {
            6 => rows_i16::<6>(tile, sums),
            _ => rows_i16::<1>(tile, sums),
        }
    }
}

/// # Safety
/// As [`micro_i16`], with at least `R` rows.
#[target_feature(enable = "avx2")]
unsafe fn rows_i16<const R: usize>(tile: RealTile<i16>, sums: &mut [[i32; LANES]]) {
    let mut acc = [[_mm256_setzero_si256(); 2]; R];
    let starts: [*const i16; R] = std::array::from_fn(|r| tile.input.as_ptr().wrapping_add(tile.rows[r]));
    let mut panel = tile.panels.as_ptr();
    for &run in tile.runs {
        for group in 0..tile.groups {
            // SAFETY: the panel holds runs × groups × 32 values; windows lie within the input (promised).
            unsafe {
                let b = [0, 16].map(|at| _mm256_loadu_si256(panel.add(at).cast()));
                panel = panel.add(LANES * 2);
                for r in 0..R {
                    let taps = starts[r].add(run + group * 2).cast::<i32>().read_unaligned();
                    let a = _mm256_set1_epi32(taps);
                    for half in 0..2 {
                        acc[r][half] = _mm256_add_epi32(acc[r][half], _mm256_madd_epi16(a, b[half]));
                    }
                }
            }
        }
    }
    let done = acc;
    for (half, lanes) in done.iter().flatten().zip(sums.as_flattened_mut().chunks_exact_mut(8)) {
        // SAFETY: eight i32 are one register.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), *half) };
    }
}
