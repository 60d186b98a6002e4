//! Defines a micro-kernel for NEON with dot products: `sdot` adds four int8 × int8 products to an i32. Levels
//! are read as signed bytes, 128 less than they are, and sums start from an offset that makes up for it.

use super::shape::{IntTile, LANES, Rows};
use std::arch::aarch64::*;
use std::arch::asm;

/// Multiplies the rows of `tile` by its one panel, and writes their sums to `out`.
///
/// # Safety
/// The machine has dot products, every window of `tile` lies within its input, and every row within `out`.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn product(tile: &IntTile, mut out: Rows<i32>) {
    let mut rows = tile.rows;
    while !rows.is_empty() {
        // SAFETY: the caller's promise covers every row.
        let count = unsafe {
            let to = out.row(tile.rows.len() - rows.len());
            match rows.len() {
                4.. => some_rows::<4>(tile, rows, to, out.stride),
                _ => some_rows::<1>(tile, rows, to, out.stride),
            }
        };
        rows = &rows[count..];
    }
}

/// Multiplies the first `R` of `rows` by the panel: writes the sums to `to`, and returns `R`.
///
/// # Safety
/// As [`product`], with at least `R` rows.
#[target_feature(enable = "neon,dotprod")]
unsafe fn some_rows<const R: usize>(tile: &IntTile, rows: &[usize], to: *mut i32, stride: usize) -> usize {
    let starts: [*const u8; R] = std::array::from_fn(|r| tile.input.as_ptr().wrapping_add(rows[r]));
    let offsets: &[i32; LANES] = tile.offsets.first_chunk().expect("one for each output");
    // SAFETY: sixteen i32 are four registers.
    let mut acc = unsafe { [std::array::from_fn(|q| vld1q_s32(offsets.as_ptr().add(4 * q))); R] };
    let mut panel = tile.panels.as_ptr();
    for &run in tile.runs {
        let mut quad = 0;
        while quad < tile.quads {
            // SAFETY: the panel holds runs × quads × 64 bytes; windows lie within the input (promised).
            unsafe {
                if quad + 4 <= tile.quads {
                    let a: [int8x16_t; R] =
                        std::array::from_fn(|r| signed(vld1q_u8(starts[r].add(run + quad * 4))));
                    step::<R, 0>(&mut acc, &a, panel);
                    step::<R, 1>(&mut acc, &a, panel.add(LANES * 4));
                    step::<R, 2>(&mut acc, &a, panel.add(LANES * 8));
                    step::<R, 3>(&mut acc, &a, panel.add(LANES * 12));
                    (quad, panel) = (quad + 4, panel.add(LANES * 16));
                } else {
                    let four = |r: usize| starts[r].add(run + quad * 4).cast::<u32>().read_unaligned();
                    let a: [int8x16_t; R] =
                        std::array::from_fn(|r| signed(vreinterpretq_u8_u32(vdupq_n_u32(four(r)))));
                    step::<R, 0>(&mut acc, &a, panel);
                    (quad, panel) = (quad + 1, panel.add(LANES * 4));
                }
            }
        }
    }
    for (r, acc) in acc.iter().enumerate() {
        for (q, acc) in acc.iter().enumerate() {
            // SAFETY: four i32 are one register; rows lie within the sums (promised).
            unsafe { vst1q_s32(to.add(r * stride + q * 4), *acc) };
        }
    }
    R
}

/// Returns each level minus 128.
#[target_feature(enable = "neon")]
fn signed(levels: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(levels, vdupq_n_u8(128)))
}

/// Adds the products of quad `Q` of each row and a quad of 16 outputs.
///
/// # Safety
/// The machine has dot products, and 64 bytes lie at `panel`.
#[target_feature(enable = "neon,dotprod")]
unsafe fn step<const R: usize, const Q: usize>(
    acc: &mut [[int32x4_t; 4]; R],
    a: &[int8x16_t; R],
    panel: *const i8,
) {
    // SAFETY: 64 bytes are four registers; the instruction touches its operands alone.
    unsafe {
        let b: [int8x16_t; 4] = std::array::from_fn(|q| vld1q_s8(panel.add(16 * q)));
        for (acc, a) in acc.iter_mut().zip(a) {
            for (acc, b) in acc.iter_mut().zip(b) {
                asm!(
                    "sdot {acc:v}.4s, {b:v}.16b, {a:v}.4b[{quad}]",
                    acc = inout(vreg) *acc,
                    b = in(vreg) b,
                    a = in(vreg) *a,
                    quad = const Q,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
}
