//! Takes a product apart by panels. Micro-kernels write the sums of whole panels straight to the caller's
//! rows; a panel that the outputs do not fill goes through a copy.

use super::shape::{LANES, Rows};

/// Most panels of a micro-kernel.
pub(super) const WIDEST: usize = 4;

/// Rows of a panel that the outputs do not fill that are multiplied together.
const RAGGED_ROWS: usize = 12;

/// Calls `micro(panel, width, rows, sums)` for all panels of `outputs` outputs: `width`, a power of two of at
/// most `widest` ≤ [`WIDEST`], panels from `panel` on, whose sums begin with those given.
///
/// # Panics
/// If a row leaves `out`.
#[inline(always)]
pub(super) fn each<'a, S: Copy + Default>(
    outputs: usize,
    widest: usize,
    rows: &'a [usize],
    out: Rows<S>,
    mut micro: impl FnMut(usize, usize, &'a [usize], Rows<S>),
) {
    let Some(last) = rows.len().checked_sub(1) else { return };
    assert!(last * out.stride + outputs <= out.sums.len(), "a row leaves the sums");
    let mut panel = 0;
    while panel * LANES < outputs {
        let first = panel * LANES;
        let left = outputs - first;
        let width = widest.min(1 << left.div_ceil(LANES).ilog2());
        let sums = Rows { sums: &mut out.sums[first..], stride: out.stride };
        if left >= width * LANES {
            micro(panel, width, rows, sums);
        } else {
            ragged(left, rows, sums, |rows, sums| micro(panel, width, rows, sums));
        }
        panel += width;
    }
}

/// Calls `micro(rows, sums)` for some rows at a time, and copies the `columns` outputs that are there.
fn ragged<'a, S: Copy + Default>(
    columns: usize,
    rows: &'a [usize],
    out: Rows<S>,
    mut micro: impl FnMut(&'a [usize], Rows<S>),
) {
    let mut sums = [S::default(); RAGGED_ROWS * WIDEST * LANES];
    let stride = columns.next_multiple_of(LANES);
    for (i, rows) in rows.chunks(RAGGED_ROWS).enumerate() {
        micro(rows, Rows { sums: &mut sums, stride });
        for (r, row) in sums.chunks_exact(stride).take(rows.len()).enumerate() {
            let at = (i * RAGGED_ROWS + r) * out.stride;
            out.sums[at..at + columns].copy_from_slice(&row[..columns]);
        }
    }
}
