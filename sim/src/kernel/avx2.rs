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
pub(super) unsafe fn product(tile: &IntTile, out: Rows<i32>) {
    // SAFETY: the caller's promise.
    unsafe {
        match tile.widening {
            Widening::Chunks(chunks) => by_chunks(tile, chunks, out),
            Widening::Pairs => by_pairs::<false>(tile, out),
            Widening::Split => by_pairs::<true>(tile, out),
        }
    }
}

/// Holds a chunk of a window and its part of the panel.
struct Part<'a> {
    input: *const u8,
    chunk: &'a [Stretch],
    panel: *const i8,
    /// Whether sums begin with it.
    first: bool,
}

/// Multiplies the rows by the panel, summing in 16 bits within each of `chunks`.
///
/// # Safety
/// As [`product`].
#[target_feature(enable = "avx2")]
unsafe fn by_chunks(tile: &IntTile, chunks: &[Chunk], mut out: Rows<i32>) {
    let mut panel = tile.panels.as_ptr();
    for (i, chunk) in chunks.iter().enumerate() {
        let part = Part { input: tile.input.as_ptr(), chunk, panel, first: i == 0 };
        let mut rows = tile.rows;
        while !rows.is_empty() {
            // SAFETY: the caller's promise covers every row.
            let count = unsafe {
                let to = out.row(tile.rows.len() - rows.len());
                match rows.len() {
                    6.. => rows_by_chunk::<6>(&part, rows, to, out.stride),
                    5 => rows_by_chunk::<5>(&part, rows, to, out.stride),
                    4 => rows_by_chunk::<4>(&part, rows, to, out.stride),
                    3 => rows_by_chunk::<3>(&part, rows, to, out.stride),
                    2 => rows_by_chunk::<2>(&part, rows, to, out.stride),
                    _ => rows_by_chunk::<1>(&part, rows, to, out.stride),
                }
            };
            rows = &rows[count..];
        }
        panel = panel.wrapping_add(chunk.iter().map(|stretch| stretch.quads * LANES * 4).sum());
    }
}

/// Multiplies the first `R` of `rows`: writes the sums to `to`, or adds them, and returns `R`.
///
/// # Safety
/// As [`product`], with at least `R` rows.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn rows_by_chunk<const R: usize>(part: &Part, rows: &[usize], to: *mut i32, stride: usize) -> usize {
    let mut acc = [[_mm256_setzero_si256(); 2]; R];
    let mut panel = part.panel;
    for &Stretch { start, quads } in part.chunk {
        let start = part.input.wrapping_add(start);
        let taps: [*const u8; R] = std::array::from_fn(|r| start.wrapping_add(rows[r]));
        for quad in 0..quads {
            // SAFETY: the panel holds 64 bytes for each quad; windows lie within the input (promised).
            unsafe {
                let b = [0, 32].map(|at| _mm256_loadu_si256(panel.add(quad * LANES * 4 + at).cast()));
                for r in 0..R {
                    let a = _mm256_set1_epi32(taps[r].add(quad * 4).cast::<i32>().read_unaligned());
                    for half in 0..2 {
                        acc[r][half] = _mm256_add_epi16(acc[r][half], _mm256_maddubs_epi16(a, b[half]));
                    }
                }
            }
        }
        panel = panel.wrapping_add(quads * LANES * 4);
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
                let before = if part.first { _mm256_setzero_si256() } else { _mm256_loadu_si256(to) };
                _mm256_storeu_si256(to, _mm256_add_epi32(sum, before));
            }
        }
    }
    R
}

/// Multiplies the rows by the panel, and widens each sum of two products.
///
/// # Safety
/// As [`product`].
#[target_feature(enable = "avx2")]
unsafe fn by_pairs<const SPLIT: bool>(tile: &IntTile, mut out: Rows<i32>) {
    let mut rows = tile.rows;
    while !rows.is_empty() {
        // SAFETY: the caller's promise covers every row.
        let count = unsafe {
            let to = out.row(tile.rows.len() - rows.len());
            match rows.len() {
                4.. => rows_by_pairs::<4, SPLIT>(tile, rows, to, out.stride),
                _ => rows_by_pairs::<1, SPLIT>(tile, rows, to, out.stride),
            }
        };
        rows = &rows[count..];
    }
}

/// Multiplies the first `R` of `rows`: writes the sums to `to`, and returns `R`.
///
/// # Safety
/// As [`product`], with at least `R` rows.
#[target_feature(enable = "avx2")]
unsafe fn rows_by_pairs<const R: usize, const SPLIT: bool>(
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

/// Defines the micro-kernels of one element: 6 rows, 3 or 1 of a tile by one panel.
macro_rules! micro {
    ($(#[$meta:meta])* $name:ident, $some_rows:ident, $element:ty, $sum:ty, $taps:literal,
     $features:literal, $zero:expr,
     $load:expr, $spread:expr, $step:expr, $store:expr) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// The machine has AVX2 and FMA, every window of `tile` lies within its input, and every row within
        /// `out`.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(tile: &RealTile<$element>, mut out: Rows<$sum>) {
            let mut rows = tile.rows;
            while !rows.is_empty() {
                // SAFETY: the caller's promise covers every row.
                let count = unsafe {
                    let to = out.row(tile.rows.len() - rows.len());
                    match rows.len() {
                        6.. => $some_rows::<6>(tile, rows, to, out.stride),
                        3.. => $some_rows::<3>(tile, rows, to, out.stride),
                        _ => $some_rows::<1>(tile, rows, to, out.stride),
                    }
                };
                rows = &rows[count..];
            }
        }

        /// # Safety
        /// As above, with at least `R` rows.
        #[target_feature(enable = $features)]
        unsafe fn $some_rows<const R: usize>(
            tile: &RealTile<$element>,
            rows: &[usize],
            to: *mut $sum,
            stride: usize,
        ) -> usize {
            const TAPS: usize = $taps;
            let mut acc = [[$zero; 2]; R];
            let mut panel = tile.panels.as_ptr();
            for &run in tile.runs {
                let start = tile.input.as_ptr().wrapping_add(run);
                let taps: [*const $element; R] = std::array::from_fn(|r| start.wrapping_add(rows[r]));
                for group in 0..tile.groups {
                    // SAFETY: the panel holds runs × groups × 16 × taps values; windows lie within the input
                    // (promised).
                    unsafe {
                        let b = [0, LANES / 2 * TAPS].map(|at| $load(panel.add(at)));
                        panel = panel.add(LANES * TAPS);
                        for r in 0..R {
                            let a = $spread(taps[r].add(group * TAPS));
                            for half in 0..2 {
                                acc[r][half] = $step(acc[r][half], a, b[half]);
                            }
                        }
                    }
                }
            }
            // The sums are copied: the loop reads its array from memory, and they are to stay in registers
            // until here.
            let done = acc;
            for (r, acc) in done.iter().enumerate() {
                for (half, acc) in acc.iter().enumerate() {
                    // SAFETY: eight sums are one register; rows lie within the sums (promised).
                    unsafe { $store(to.add(r * stride + half * LANES / 2), *acc) };
                }
            }
            R
        }
    };
}

micro! {
    /// Floats: one fused multiply-add per tap, in the taps' order.
    product_f32, rows_f32, f32, f32, 1, "avx2,fma",
    _mm256_setzero_ps(),
    |at| _mm256_loadu_ps(at),
    |at: *const f32| _mm256_set1_ps(*at),
    |sum, a, b| _mm256_fmadd_ps(a, b, sum),
    |to, sum| _mm256_storeu_ps(to, sum)
}

micro! {
    /// Fixed point: two products per step, added to an i32.
    product_i16, rows_i16, i16, i32, 2, "avx2",
    _mm256_setzero_si256(),
    |at: *const i16| _mm256_loadu_si256(at.cast()),
    |at: *const i16| _mm256_set1_epi32(at.cast::<i32>().read_unaligned()),
    |sum, a, b| _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)),
    |to: *mut i32, sum| _mm256_storeu_si256(to.cast(), sum)
}
