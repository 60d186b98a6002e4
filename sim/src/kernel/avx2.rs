//! Defines micro-kernels for AVX2. The integer one is exact: products are summed in 16 bits only as far as the
//! panel's plan says (`narrow`), and where two of them could leave an i16, the levels' top bit goes
//! separately. The float one takes one fused multiply-add per tap, in the taps' order.

use super::shape::{Chunk, IntTile, LANES, RealTile, Rows, Stretch, Widening};
use std::arch::x86_64::*;

/// Multiplies the rows of `tile` by its one panel, and writes their sums to `out`.
///
/// # Safety
/// The machine has AVX2, every window of `tile` lies within its input, every row within `out`, and the
/// panel's plan is for its weights and levels.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn product(tile: &IntTile, mut out: Rows<i32>) {
    let mut rows = tile.rows;
    while !rows.is_empty() {
        // SAFETY: the caller's promise covers every row.
        let count = unsafe {
            let to = out.row(tile.rows.len() - rows.len());
            match (tile.widening, rows.len()) {
                (Widening::Chunks(chunks), 6..) => by_chunks::<6>(tile, chunks, rows, to, out.stride),
                (Widening::Chunks(chunks), 5) => by_chunks::<5>(tile, chunks, rows, to, out.stride),
                (Widening::Chunks(chunks), 4) => by_chunks::<4>(tile, chunks, rows, to, out.stride),
                (Widening::Chunks(chunks), 3) => by_chunks::<3>(tile, chunks, rows, to, out.stride),
                (Widening::Chunks(chunks), 2) => by_chunks::<2>(tile, chunks, rows, to, out.stride),
                (Widening::Chunks(chunks), _) => by_chunks::<1>(tile, chunks, rows, to, out.stride),
                (Widening::Pairs, 4..) => by_pairs::<4, false>(tile, rows, to, out.stride),
                (Widening::Pairs, _) => by_pairs::<1, false>(tile, rows, to, out.stride),
                (Widening::Split, 4..) => by_pairs::<4, true>(tile, rows, to, out.stride),
                (Widening::Split, _) => by_pairs::<1, true>(tile, rows, to, out.stride),
            }
        };
        rows = &rows[count..];
    }
}

/// Multiplies the first `R` of `rows` by the panel, summing in 16 bits within each of `chunks`: writes the
/// sums to `to`, and returns `R`.
///
/// # Safety
/// As [`product`], with at least `R` rows.
#[target_feature(enable = "avx2")]
unsafe fn by_chunks<const R: usize>(
    tile: &IntTile,
    chunks: &[Chunk],
    rows: &[usize],
    to: *mut i32,
    stride: usize,
) -> usize {
    let starts: [*const u8; R] = std::array::from_fn(|r| tile.input.as_ptr().wrapping_add(rows[r]));
    let mut panel = tile.panels.as_ptr();
    for (i, chunk) in chunks.iter().enumerate() {
        let mut acc = [[_mm256_setzero_si256(); 2]; R];
        for &Stretch { start, quads } in chunk {
            for quad in 0..quads {
                // SAFETY: the panel holds 64 bytes for each quad; windows lie within the input (promised).
                unsafe {
                    let b = [0, 32].map(|at| _mm256_loadu_si256(panel.add(at).cast()));
                    panel = panel.add(LANES * 4);
                    for r in 0..R {
                        let at = starts[r].add(start + quad * 4);
                        let a = _mm256_set1_epi32(at.cast::<i32>().read_unaligned());
                        for half in 0..2 {
                            let pairs = _mm256_maddubs_epi16(a, b[half]);
                            acc[r][half] = _mm256_add_epi16(acc[r][half], pairs);
                        }
                    }
                }
            }
        }
        // The sums are copied: the loop reads its array from memory, and they are to stay in registers until
        // here.
        let done = acc;
        for (r, acc) in done.iter().enumerate() {
            for (half, acc) in acc.iter().enumerate() {
                let sum = _mm256_madd_epi16(*acc, _mm256_set1_epi16(1));
                // SAFETY: eight i32 are one register; rows lie within the sums (promised).
                unsafe {
                    let to = to.add(r * stride + half * 8).cast();
                    let before = if i == 0 { _mm256_setzero_si256() } else { _mm256_loadu_si256(to) };
                    _mm256_storeu_si256(to, _mm256_add_epi32(sum, before));
                }
            }
        }
    }
    R
}

/// Multiplies the first `R` of `rows` by the panel, and widens each sum of two products: writes the sums to
/// `to`, and returns `R`.
///
/// # Safety
/// As [`product`], with at least `R` rows.
#[target_feature(enable = "avx2")]
unsafe fn by_pairs<const R: usize, const SPLIT: bool>(
    tile: &IntTile,
    rows: &[usize],
    to: *mut i32,
    stride: usize,
) -> usize {
    let mut acc = [[_mm256_setzero_si256(); 2]; R];
    let starts: [*const u8; R] = std::array::from_fn(|r| tile.input.as_ptr().wrapping_add(rows[r]));
    let (ones, low7) = (_mm256_set1_epi16(1), _mm256_set1_epi8(127));
    let mut panel = tile.panels.as_ptr();
    for &run in tile.runs {
        for quad in 0..tile.quads {
            // SAFETY: the panel holds runs × quads × 64 bytes; windows lie within the input (promised).
            unsafe {
                let b = [0, 32].map(|at| _mm256_loadu_si256(panel.add(at).cast()));
                panel = panel.add(LANES * 4);
                for r in 0..R {
                    let at = starts[r].add(run + quad * 4);
                    let a = _mm256_set1_epi32(at.cast::<i32>().read_unaligned());
                    for half in 0..2 {
                        let (acc, b) = (&mut acc[r][half], b[half]);
                        if SPLIT {
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
    let done = acc;
    for (r, acc) in done.iter().enumerate() {
        for (half, acc) in acc.iter().enumerate() {
            // SAFETY: eight i32 are one register; rows lie within the sums (promised).
            unsafe { _mm256_storeu_si256(to.add(r * stride + half * 8).cast(), *acc) };
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
