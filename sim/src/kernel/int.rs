//! Computes the exact integer matrix product over windows: uint8 levels × int8 weights → i32. A row of the
//! left matrix is not stored: it is the runs of one window, read where they lie in a zero-bordered feature
//! map (implicit im2col).

use super::shape::{IntTile, LANES, Rows, Runs, Widening};
use super::tile::{self, Planes, TiledWeights};
use super::{Kernel, Session, narrow, panels};

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
    /// How AVX2 sums each panel; empty for other kernels.
    widenings: Vec<Widening>,
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
            Self::Panels(Panels::new(kernel, outputs, runs, level_hi, weight))
        }
    }
}

impl Panels {
    fn new(
        kernel: Kernel,
        outputs: usize,
        Runs { starts: runs, length: run }: Runs,
        level_hi: i64,
        weight: impl Fn(usize, usize, usize) -> i8,
    ) -> Self {
        let (panels, quads) = (outputs.div_ceil(LANES), run.div_ceil(4));
        let mut data = vec![0; panels * runs.len() * quads * LANES * 4];
        let mut offsets = vec![0i32; panels * LANES];
        for (i, chunk) in data.chunks_exact_mut(LANES * 4).enumerate() {
            let (panel, s, quad) = (i / (runs.len() * quads), i / quads % runs.len(), i % quads);
            for (j, slot) in chunk.iter_mut().enumerate() {
                let (output, k) = (panel * LANES + j / 4, quad * 4 + j % 4);
                if output < outputs && k < run {
                    *slot = weight(output, s, k);
                    offsets[output] = offsets[output].wrapping_add(128 * i32::from(*slot));
                }
            }
        }
        let widenings = match kernel {
            Kernel::Avx2 => {
                let panels = data.chunks_exact(runs.len() * quads * LANES * 4);
                panels.map(|panel| narrow::plan(panel, &runs, level_hi)).collect()
            }
            _ => vec![],
        };
        Self { data, outputs, runs, quads, widenings, offsets }
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
    let length = weights.panel_len();
    let (offsets, widening) = (&weights.offsets[..], &Widening::Split);
    let mut tile =
        IntTile { input, rows, runs, quads: weights.quads, panels: &weights.data, offsets, widening };
    panels::each(weights.outputs, kernel.panels(length), rows, out, |panel, width, rows, sums| {
        tile.rows = rows;
        tile.panels = &weights.data[panel * length..(panel + width) * length];
        tile.offsets = &weights.offsets[panel * LANES..];
        tile.widening = weights.widenings.get(panel).unwrap_or(&Widening::Split);
        micro(kernel, &tile, width, sums);
    });
}

/// Multiplies the rows of `tile` by its panels, whose outputs are all there.
#[inline(always)]
fn micro(kernel: Kernel, tile: &IntTile, width: usize, out: Rows<i32>) {
    match (kernel, width) {
        // SAFETY: every window was checked against the input (`by_panels`) and every row against the sums
        // (`panels`); the kernel is available on this machine.
        #[cfg(target_arch = "x86_64")]
        (Kernel::Avx512, 4) => unsafe { super::avx512::product::<4>(tile, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        (Kernel::Avx512, 2) => unsafe { super::avx512::product::<2>(tile, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        (Kernel::Avx512, _) => unsafe { super::avx512::product::<1>(tile, out) },
        // SAFETY: as above; the panel was planned for these weights and levels.
        #[cfg(target_arch = "x86_64")]
        (Kernel::Avx2, _) => unsafe { super::avx2::product(tile, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        (Kernel::Neon, _) => unsafe { super::neon::product(tile, out) },
        _ => portable(tile, out),
    }
}

/// Multiplies each row by the one panel.
fn portable(tile: &IntTile, out: Rows<i32>) {
    for (row, sums) in tile.rows.iter().zip(out.sums.chunks_mut(out.stride)) {
        let mut acc = [0; LANES];
        for (run, panel) in tile.runs.iter().zip(tile.panels.chunks_exact(tile.quads * LANES * 4)) {
            let taps = &tile.input[row + run..][..tile.quads * 4];
            for (a, b) in taps.chunks_exact(4).zip(panel.chunks_exact(LANES * 4)) {
                for (sum, taps) in acc.iter_mut().zip(b.chunks_exact(4)) {
                    for q in 0..4 {
                        *sum += i32::from(a[q]) * i32::from(taps[q]);
                    }
                }
            }
        }
        sums[..LANES].copy_from_slice(&acc);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Describes a product: outputs, runs, taps of a run, rows.
    type Shape = (usize, usize, usize, usize);

    const SHAPES: [Shape; 7] = [
        (1, 1, 1, 1),
        (17, 3, 7, 13),
        (48, 2, 20, 29),
        (33, 1, 130, 3),
        (64, 1, 64, 23),
        (121, 2, 16, 16),
        (16, 2, 1300, 5),
    ];

    /// Compares every kernel with plain sums, for levels of at most `level_hi` that lie in `input`.
    fn assert_exact(
        (outputs, runs, run, rows): Shape,
        level_hi: u8,
        input: &[u8],
        weight: impl Fn(usize, usize, usize) -> i8,
    ) {
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
            let runs = Runs { starts: offsets.clone(), length: run };
            let packed = PackedInt::new(kernel, outputs, runs, level_hi.into(), &weight);
            let mut out = vec![-1; rows * stride];
            product(&mut Session::new(kernel), input, &starts, &packed, Rows { sums: &mut out, stride });
            assert_eq!(out, wanted, "{kernel:?}, {outputs} outputs, levels to {level_hi}");
        }
    }

    /// The largest levels and weights of either sign are where a saturating instruction would show, and where
    /// sums of 16 bits are shortest.
    #[test]
    fn every_kernel_is_exact_at_the_extremes() {
        for (hi, least, largest) in
            [(255, -128, 127), (60, -63, 63), (15, -7, 7), (15, -128, 127), (1, -1, 1)]
        {
            let levels = [hi, hi - 1, hi, hi / 2, 0];
            let input: Vec<u8> = (0..5000).map(|i| levels[i * 7 % 5]).collect();
            let weights = [largest, least, least, -largest, 1];
            for shape in SHAPES {
                assert_exact(shape, hi, &input, |o, s, k| weights[(o + s * 3 + k * k) % 5]);
            }
        }
    }

    /// All levels are the largest one, and the weights of an output have one sign: eight quads of taps reach
    /// an i16's limits, or leave them by one level.
    #[test]
    fn sums_are_exact_where_they_reach_the_limits_of_16_bits() {
        for (hi, positive, negative) in
            [(217, 151, -151), (128, 255, -256), (128, 256, -256), (99, 330, -331), (31, 1057, -1057)]
        {
            let input = vec![hi; 5000];
            for (runs, run) in [(1, 32), (5, 20), (3, 64)] {
                let weight = |o: usize, s: usize, k: usize| {
                    let total = [positive, negative][o % 2];
                    let at = ((s * run + k) / 4 * 2 + k % 2) as i32 % 16;
                    (total * (at + 1) / 16 - total * at / 16) as i8
                };
                assert_exact((32, runs, run, 13), hi, &input, weight);
            }
        }
    }
}
