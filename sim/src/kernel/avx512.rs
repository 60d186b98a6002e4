//! Micro-kernels for AVX-512: VNNI's `vpdpbusd` adds four uint8 × int8 products to an i32 without saturation; floats take
//! one fused multiply-add a tap, in the taps' order.

use super::int::{LANES, MAX_SUMS, Tile};
use super::real;
use std::arch::x86_64::*;

/// Up to 12 leading rows of `tile` against its `width` panels (1 or 2): writes their sums and returns how
/// many rows.
///
/// # Safety
/// The machine has AVX-512 F, BW and VNNI, and every window of `tile` lies within its input.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn micro(tile: Tile, width: usize, sums: &mut [i32; MAX_SUMS]) -> usize {
    // SAFETY: the caller's promise covers every row.
    unsafe {
        match (tile.rows.len(), width) {
            (12.., 2) => rows::<12, 2>(tile, sums),
            (4.., 2) => rows::<4, 2>(tile, sums),
            (_, 2) => rows::<1, 2>(tile, sums),
            (12.., _) => rows::<12, 1>(tile, sums),
            (4.., _) => rows::<4, 1>(tile, sums),
            _ => rows::<1, 1>(tile, sums),
        }
    }
}

/// # Safety
/// As [`micro`], with at least `R` rows and `P` panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn rows<const R: usize, const P: usize>(tile: Tile, sums: &mut [i32; MAX_SUMS]) -> usize {
    let mut acc = [[_mm512_setzero_si512(); P]; R];
    let length = tile.runs.len() * tile.quads * LANES * 4;
    let starts: [*const u8; R] = std::array::from_fn(|r| tile.input.as_ptr().wrapping_add(tile.rows[r]));
    let mut panel = tile.panels.as_ptr();
    for &run in tile.runs {
        for quad in 0..tile.quads {
            // SAFETY: each panel holds runs × quads × 64 bytes; windows lie within the input (promised).
            unsafe {
                let b: [__m512i; P] =
                    std::array::from_fn(|p| _mm512_loadu_si512(panel.add(p * length).cast()));
                panel = panel.add(LANES * 4);
                for r in 0..R {
                    let at = starts[r].add(run + quad * 4);
                    let a = _mm512_set1_epi32(at.cast::<i32>().read_unaligned());
                    for p in 0..P {
                        acc[r][p] = _mm512_dpbusd_epi32(acc[r][p], a, b[p]);
                    }
                }
            }
        }
    }
    // A copy: what is walked through lies in memory, and the sums are to stay in registers until here.
    let done = acc;
    for (acc, lanes) in done.iter().flatten().zip(sums.chunks_exact_mut(LANES)) {
        // SAFETY: sixteen i32 are one register.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), *acc) };
    }
    R
}

/// 12 rows, 4 or 1 of `tile` against its panel.
///
/// # Safety
/// The machine has AVX-512 F, and every window of `tile` lies within its input.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn micro_f32(tile: real::Tile<f32>, sums: &mut [[f32; LANES]]) {
    // SAFETY: the caller's promise covers every row.
    unsafe {
        match sums.len() {
            12 => rows_f32::<12>(tile, sums),
            4 => rows_f32::<4>(tile, sums),
            _ => rows_f32::<1>(tile, sums),
        }
    }
}

/// # Safety
/// As [`micro_f32`], with at least `R` rows.
#[target_feature(enable = "avx512f")]
unsafe fn rows_f32<const R: usize>(tile: real::Tile<f32>, sums: &mut [[f32; LANES]]) {
    let mut acc = [_mm512_setzero_ps(); R];
    let starts: [*const f32; R] = std::array::from_fn(|r| tile.input.as_ptr().wrapping_add(tile.rows[r]));
    let mut panel = tile.panel.as_ptr();
    for &run in tile.runs {
        for k in 0..tile.run {
            // SAFETY: the panel holds runs × run × 16 values; windows lie within the input (promised).
            unsafe {
                let b = _mm512_loadu_ps(panel);
                panel = panel.add(LANES);
                for r in 0..R {
                    acc[r] = _mm512_fmadd_ps(_mm512_set1_ps(*starts[r].add(run + k)), b, acc[r]);
                }
            }
        }
    }
    let done = acc;
    for (acc, lanes) in done.iter().zip(sums) {
        // SAFETY: sixteen f32 are one register.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), *acc) };
    }
}
