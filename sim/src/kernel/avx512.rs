//! Integer micro-kernel for AVX-512 VNNI: `vpdpbusd` adds four uint8 × int8 products to an i32 without saturation.

use super::int::{LANES, MAX_SUMS, Tile};
use std::arch::x86_64::*;

/// Up to 12 leading rows of `tile` against its `width` panels (1 or 2).
///
/// # Safety
/// The machine has AVX-512 F, BW and VNNI, and every window of `tile` lies within its input.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn micro(tile: Tile, width: usize) -> (usize, [i32; MAX_SUMS]) {
    let mut sums = [0; MAX_SUMS];
    // SAFETY: the caller's promise covers every row.
    let count = unsafe {
        match (tile.rows.len(), width) {
            (12.., 2) => rows::<12, 2>(tile, &mut sums),
            (4.., 2) => rows::<4, 2>(tile, &mut sums),
            (_, 2) => rows::<1, 2>(tile, &mut sums),
            (12.., _) => rows::<12, 1>(tile, &mut sums),
            (4.., _) => rows::<4, 1>(tile, &mut sums),
            _ => rows::<1, 1>(tile, &mut sums),
        }
    };
    (count, sums)
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
                for (r, acc) in acc.iter_mut().enumerate() {
                    let at = starts[r].add(run + quad * 4);
                    let a = _mm512_set1_epi32(at.cast::<i32>().read_unaligned());
                    for (acc, b) in acc.iter_mut().zip(b) {
                        *acc = _mm512_dpbusd_epi32(*acc, a, b);
                    }
                }
            }
        }
    }
    for (acc, lanes) in acc.iter().flatten().zip(sums.chunks_exact_mut(LANES)) {
        // SAFETY: sixteen i32 are one register.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), *acc) };
    }
    R
}
