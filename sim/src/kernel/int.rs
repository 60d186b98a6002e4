//! Computes the exact integer matrix product over windows: uint8 levels × int8 weights → i32. A row of the
//! left matrix is not stored: it is the runs of one window, read where they lie in a zero-bordered feature
//! map (implicit im2col).

use super::shape::{IntTile, LANES, MAX_SUMS, Rows, Runs};
use super::tile::{self, Planes, TiledWeights};
use super::{Kernel, Session};

/// Holds weights in the order in which a kernel reads them.
pub(crate) enum PackedInt {
    Panels(Panels),
    Tiles(TiledWeights),
}

/// Holds weights for vector kernels.
pub(crate) struct Panels {
    /// Weights: panel × run × quad × 16 outputs × 4 taps, zeros at the edges.
    data: Vec<i8>,
    outputs: usize,
    /// Offset of each run from the start of its window.
    runs: Vec<usize>,
    /// Number of groups of four taps in a run.
    quads: usize,
    /// Whether two products may leave an i16 (AVX2 then splits the levels).
    wide_pairs: bool,
    /// 128 times the sum of each output's weights, modulo 2³² (NEON subtracts 128 from each level).
    offsets: Vec<i32>,
}

impl PackedInt {
    /// Packs `weight(output, run, tap)` for levels of at most `level_hi` ≤ 255.
    pub fn new(
        kernel: Kernel,
        outputs: usize,
        runs: Runs,
        level_hi: i64,
        weight: impl Fn(usize, usize, usize) -> i8,
    ) -> Self {
        if kernel == Kernel::Amx && TiledWeights::pay(outputs, &runs) {
            Self::Tiles(TiledWeights::new(outputs, runs, weight))
        } else {
            Self::Panels(Panels::new(outputs, runs, level_hi, weight))
        }
    }
}

impl Panels {
    fn new(
        outputs: usize,
        Runs { starts: runs, length: run }: Runs,
        level_hi: i64,
        weight: impl Fn(usize, usize, usize) -> i8,
    ) -> Self {
        let (panels, quads) = (outputs.div_ceil(LANES), run.div_ceil(4));
        let mut data = vec![0; panels * runs.len() * quads * LANES * 4];
        let mut largest = 0;
        let mut offsets = vec![0i32; panels * LANES];
        for (i, chunk) in data.chunks_exact_mut(LANES * 4).enumerate() {
            let (panel, s, quad) = (i / (runs.len() * quads), i / quads % runs.len(), i % quads);
            for (j, slot) in chunk.iter_mut().enumerate() {
                let (output, k) = (panel * LANES + j / 4, quad * 4 + j % 4);
                if output < outputs && k < run {
                    *slot = weight(output, s, k);
                    largest = largest.max(i64::from(*slot).abs());
                    offsets[output] = offsets[output].wrapping_add(128 * i32::from(*slot));
                }
            }
        }
        let wide_pairs = 2 * largest * level_hi > i64::from(i16::MAX);
        Self { data, outputs, runs, quads, wide_pairs, offsets }
    }

    /// Returns how many bytes of a run are read: up to 3 more than it has, whose weights are zero.
    fn run_bytes(&self) -> usize {
        self.quads * 4
    }

    fn panel_len(&self) -> usize {
        self.runs.len() * self.quads * LANES * 4
    }
}

/// Computes `out[r·stride + o] = Σ input[rows[r] + runs[s] + k] · weight(o, s, k)`, exactly.
///
/// # Panics
/// If a window would leave `input`, or a row `out`; if the weights were packed for another kernel.
pub(crate) fn product(
    session: &mut Session,
    input: &[u8],
    rows: &[usize],
    weights: &PackedInt,
    out: Rows<i32>,
) {
    match weights {
        PackedInt::Panels(panels) => {
            by_panels(session.kernel().vectors(), input, rows, panels, out);
        }
        PackedInt::Tiles(tiles) => {
            tile::product(session, Planes { low: input, high: None }, rows, tiles, out);
        }
    }
}

fn by_panels(kernel: Kernel, input: &[u8], rows: &[usize], weights: &Panels, out: Rows<i32>) {
    let runs = &weights.runs[..];
    let last = rows.iter().max().unwrap_or(&0) + runs.iter().max().expect("a window has a run");
    assert!(last + weights.run_bytes() <= input.len(), "a window leaves the feature map");
    let panels = weights.outputs.div_ceil(LANES);
    let mut sums = [0; MAX_SUMS];
    let mut panel = 0;
    while panel < panels {
        let width = if kernel == Kernel::Avx512 && panel + 2 <= panels { 2 } else { 1 };
        let length = weights.panel_len();
        let tile = IntTile {
            input,
            rows,
            runs,
            quads: weights.quads,
            panels: &weights.data[panel * length..(panel + width) * length],
            offsets: &weights.offsets[panel * LANES..],
        };
        let mut row = 0;
        while row < rows.len() {
            let tile = IntTile { rows: &rows[row..], ..tile };
            let count = micro(kernel, tile, width, weights.wide_pairs, &mut sums);
            let first = panel * LANES;
            let columns = (weights.outputs - first).min(width * LANES);
            for r in 0..count {
                let at = (row + r) * out.stride + first;
                out.sums[at..at + columns].copy_from_slice(&sums[r * width * LANES..][..columns]);
            }
            row += count;
        }
        panel += width;
    }
}

/// Multiplies some leading rows of `tile` by its panels: writes their sums (row × panel × lane) and returns
/// how many rows.
#[inline(always)]
fn micro(
    kernel: Kernel,
    tile: IntTile,
    _width: usize,
    _wide_pairs: bool,
    sums: &mut [i32; MAX_SUMS],
) -> usize {
    match kernel {
        // SAFETY: `product` checked every window against the input; the kernel is available on this machine.
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => unsafe { super::avx512::micro(tile, _width, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => unsafe { super::avx2::micro(tile, _wide_pairs, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Kernel::Neon => unsafe { super::neon::micro(tile, sums) },
        _ => portable(tile, sums),
    }
}

/// Multiplies one row by one panel.
fn portable(tile: IntTile, sums: &mut [i32; MAX_SUMS]) -> usize {
    let mut acc = [0; LANES];
    for (s, panel) in tile.panels.chunks_exact(tile.quads * LANES * 4).enumerate() {
        let run = &tile.input[tile.rows[0] + tile.runs[s]..][..tile.quads * 4];
        for (a, b) in run.chunks_exact(4).zip(panel.chunks_exact(LANES * 4)) {
            for (sum, taps) in acc.iter_mut().zip(b.chunks_exact(4)) {
                for q in 0..4 {
                    *sum += i32::from(a[q]) * i32::from(taps[q]);
                }
            }
        }
    }
    sums[..LANES].copy_from_slice(&acc);
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs_at(starts: &[usize], length: usize) -> Runs {
        Runs { starts: starts.to_vec(), length }
    }

    /// The largest levels and weights of either sign are where a saturating instruction would show.
    #[test]
    fn every_kernel_is_exact_at_the_extremes() {
        for (outputs, runs, run, rows) in [(1, 1, 1, 1), (17, 3, 7, 13), (48, 2, 20, 29), (33, 1, 130, 3)] {
            let input: Vec<u8> = (0..5000).map(|i| [255, 254, 255, 128, 0][i * 7 % 5]).collect();
            let weight = |o: usize, s: usize, k: usize| [127, -128, -128, -127, 1][(o + s * 3 + k * k) % 5];
            let starts: Vec<usize> = (0..rows).map(|r| r * 31).collect();
            let offsets: Vec<usize> = (0..runs).map(|s| s * 401).collect();
            let stride = outputs + 3;
            let mut wanted = vec![-1; rows * stride];
            for (r, start) in starts.iter().enumerate() {
                for o in 0..outputs {
                    wanted[r * stride + o] = (0..runs)
                        .flat_map(|s| (0..run).map(move |k| (s, k)))
                        .map(|(s, k)| i32::from(input[start + offsets[s] + k]) * i32::from(weight(o, s, k)))
                        .sum();
                }
            }
            for kernel in Kernel::available() {
                let packed = PackedInt::new(kernel, outputs, runs_at(&offsets, run), 255, weight);
                let mut out = vec![-1; rows * stride];
                let rows = Rows { sums: &mut out, stride };
                product(&mut Session::new(kernel), &input, &starts, &packed, rows);
                assert_eq!(out, wanted, "{kernel:?}, {outputs} outputs");
            }
        }
    }
}
