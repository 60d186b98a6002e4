//! Defines micro-kernels for AVX-512: VNNI's `vpdpbusd` adds four uint8 × int8 products to an i32 without
//! saturation; floats take one fused multiply-add per tap, in the taps' order.

use super::shape::{BIT_ROWS, BitJob, IntTile, LANES, RealTile, Rows};
use std::arch::x86_64::*;

/// Multiplies the rows of `tile` by its `P` panels (1, 2 or 4), and writes their sums to `out`.
///
/// # Safety
/// The machine has AVX-512 F, BW and VNNI, every window of `tile` lies within its input, and every row within
/// `out`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn product<const P: usize>(tile: &IntTile, mut out: Rows<i32>) {
    let mut rows = tile.rows;
    while !rows.is_empty() {
        // SAFETY: the caller's promise covers every row.
        let count = unsafe {
            let to = out.row(tile.rows.len() - rows.len());
            match rows.len() {
                12.. if P < 4 => some_rows::<12, P>(tile, rows, to, out.stride),
                6.. if P == 4 => some_rows::<6, P>(tile, rows, to, out.stride),
                4.. => some_rows::<4, P>(tile, rows, to, out.stride),
                3 => some_rows::<3, P>(tile, rows, to, out.stride),
                2 => some_rows::<2, P>(tile, rows, to, out.stride),
                _ => some_rows::<1, P>(tile, rows, to, out.stride),
            }
        };
        rows = &rows[count..];
    }
}

/// Multiplies the first `R` of `rows` by the panels: writes the sums to `to`, and returns `R`.
///
/// # Safety
/// As [`product`], with at least `R` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn some_rows<const R: usize, const P: usize>(
    tile: &IntTile,
    rows: &[usize],
    to: *mut i32,
    stride: usize,
) -> usize {
    let mut acc = [[_mm512_setzero_si512(); P]; R];
    let length = tile.runs.len() * tile.quads * LANES * 4;
    let mut panel = tile.panels.as_ptr();
    for &run in tile.runs {
        let start = tile.input.as_ptr().wrapping_add(run);
        let taps: [*const u8; R] = std::array::from_fn(|r| start.wrapping_add(rows[r]));
        for quad in 0..tile.quads {
            // SAFETY: each panel holds runs × quads × 64 bytes; windows lie within the input (promised).
            unsafe {
                let b: [__m512i; P] =
                    std::array::from_fn(|p| _mm512_loadu_si512(panel.add(p * length).cast()));
                panel = panel.add(LANES * 4);
                for r in 0..R {
                    let a = _mm512_set1_epi32(taps[r].add(quad * 4).cast::<i32>().read_unaligned());
                    for p in 0..P {
                        acc[r][p] = _mm512_dpbusd_epi32(acc[r][p], a, b[p]);
                    }
                }
            }
        }
    }
    // The sums are copied: the loop reads its array from memory, and they are to stay in registers until
    // here.
    let done = acc;
    for (r, acc) in done.iter().enumerate() {
        for (p, acc) in acc.iter().enumerate() {
            // SAFETY: sixteen i32 are one register; rows lie within the sums (promised).
            unsafe { _mm512_storeu_si512(to.add(r * stride + p * LANES).cast(), *acc) };
        }
    }
    R
}

/// Counts the bits that each of `job`'s up to four rows shares with the 16 outputs of `panel`.
///
/// # Safety
/// The machine has AVX-512 F and VPOPCNTDQ, and every window of `job` lies within its input.
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
pub(super) unsafe fn count(job: &BitJob, panel: &[[u64; LANES]], sums: &mut [[u64; LANES]; BIT_ROWS]) {
    // The last row stands in for those that are not there.
    let last = job.rows.len() - 1;
    let starts: [*const u64; BIT_ROWS] =
        std::array::from_fn(|r| job.input.as_ptr().wrapping_add(job.rows[r.min(last)]));
    let mut acc = [[_mm512_setzero_si512(); 2]; BIT_ROWS];
    let mut words = panel.iter();
    for &run in job.runs {
        for (k, weights) in words.by_ref().take(job.run).enumerate() {
            // SAFETY: sixteen words are two registers; windows lie within the input (promised).
            unsafe {
                let b = [0, 8].map(|at| _mm512_loadu_si512(weights.as_ptr().add(at).cast()));
                for r in 0..BIT_ROWS {
                    let a = _mm512_set1_epi64(starts[r].add(run + k).cast::<i64>().read());
                    for half in 0..2 {
                        let shared = _mm512_popcnt_epi64(_mm512_and_si512(a, b[half]));
                        acc[r][half] = _mm512_add_epi64(acc[r][half], shared);
                    }
                }
            }
        }
    }
    let done = acc;
    for (acc, sums) in done.iter().zip(sums) {
        for (half, lanes) in acc.iter().zip(sums.chunks_exact_mut(8)) {
            // SAFETY: eight u64 are one register.
            unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), *half) };
        }
    }
}

/// Defines the micro-kernels of one element: 12 rows, 6, 4 or 1 of a tile by one panel, two or four.
macro_rules! micro {
    ($(#[$meta:meta])* $name:ident, $some_rows:ident, $element:ty, $sum:ty, $taps:literal,
     $features:literal, $zero:expr,
     $load:expr, $spread:expr, $step:expr, $store:expr) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// The machine has what AVX-512 kernels need, every window of `tile` lies within its input, and every
        /// row within `out`.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name<const P: usize>(tile: &RealTile<$element>, mut out: Rows<$sum>) {
            let mut rows = tile.rows;
            while !rows.is_empty() {
                // SAFETY: the caller's promise covers every row.
                let count = unsafe {
                    let to = out.row(tile.rows.len() - rows.len());
                    match rows.len() {
                        12.. if P < 4 => $some_rows::<12, P>(tile, rows, to, out.stride),
                        6.. if P == 4 => $some_rows::<6, P>(tile, rows, to, out.stride),
                        4.. => $some_rows::<4, P>(tile, rows, to, out.stride),
                        _ => $some_rows::<1, P>(tile, rows, to, out.stride),
                    }
                };
                rows = &rows[count..];
            }
        }

        /// # Safety
        /// As above, with at least `R` rows.
        #[target_feature(enable = $features)]
        unsafe fn $some_rows<const R: usize, const P: usize>(
            tile: &RealTile<$element>,
            rows: &[usize],
            to: *mut $sum,
            stride: usize,
        ) -> usize {
            const TAPS: usize = $taps;
            let mut acc = [[$zero; P]; R];
            let length = tile.runs.len() * tile.groups * LANES * TAPS;
            let mut panel = tile.panels.as_ptr();
            for &run in tile.runs {
                let start = tile.input.as_ptr().wrapping_add(run);
                let taps: [*const $element; R] = std::array::from_fn(|r| start.wrapping_add(rows[r]));
                for group in 0..tile.groups {
                    // SAFETY: each panel holds runs × groups × 16 × taps values; windows lie within the input
                    // (promised).
                    unsafe {
                        let b: [_; P] = std::array::from_fn(|p| $load(panel.add(p * length)));
                        panel = panel.add(LANES * TAPS);
                        for r in 0..R {
                            let a = $spread(taps[r].add(group * TAPS));
                            for p in 0..P {
                                acc[r][p] = $step(acc[r][p], a, b[p]);
                            }
                        }
                    }
                }
            }
            // The sums are copied: the loop reads its array from memory, and they are to stay in registers
            // until here.
            let done = acc;
            for (r, acc) in done.iter().enumerate() {
                for (p, acc) in acc.iter().enumerate() {
                    // SAFETY: sixteen sums are one register; rows lie within the sums (promised).
                    unsafe { $store(to.add(r * stride + p * LANES), *acc) };
                }
            }
            R
        }
    };
}

micro! {
    /// Floats: one fused multiply-add per tap, in the taps' order.
    product_f32, rows_f32, f32, f32, 1, "avx512f",
    _mm512_setzero_ps(),
    |at| _mm512_loadu_ps(at),
    |at: *const f32| _mm512_set1_ps(*at),
    |sum, a, b| _mm512_fmadd_ps(a, b, sum),
    |to, sum| _mm512_storeu_ps(to, sum)
}

micro! {
    /// Fixed point: two products per step, added to an i32.
    product_i16, rows_i16, i16, i32, 2, "avx512f,avx512vnni",
    _mm512_setzero_si512(),
    |at: *const i16| _mm512_loadu_si512(at.cast()),
    |at: *const i16| _mm512_set1_epi32(at.cast::<i32>().read_unaligned()),
    |sum, a, b| _mm512_dpwssd_epi32(sum, a, b),
    |to: *mut i32, sum| _mm512_storeu_si512(to.cast(), sum)
}
