//! Float matrix product over windows, the twin of [`super::int`]. Every sum runs over its taps in order, each step one
//! fused multiply-add: the result is the same bit for bit in every kernel, batch and thread.

use super::{Kernel, multiversion};

/// Outputs in a panel.
pub(super) const LANES: usize = 16;
/// Most rows of a micro-kernel.
const MAX_ROWS: usize = 12;

/// Weights in the order in which the kernel reads them: panel × run × tap × 16 outputs, zeros at the edges.
pub(crate) struct PackedReal<T> {
    data: Vec<T>,
    outputs: usize,
    runs: usize,
    run: usize,
}

impl<T: Real> PackedReal<T> {
    /// `weight(output, run, k)` for `runs` runs of `run` taps.
    pub fn new(outputs: usize, runs: usize, run: usize, weight: impl Fn(usize, usize, usize) -> T) -> Self {
        let mut data = vec![T::default(); outputs.div_ceil(LANES) * runs * run * LANES];
        for (i, chunk) in data.chunks_exact_mut(LANES).enumerate() {
            let (panel, s, k) = (i / (runs * run), i / run % runs, i % run);
            for (j, slot) in chunk.iter_mut().enumerate().take(outputs - panel * LANES) {
                *slot = weight(panel * LANES + j, s, k);
            }
        }
        Self { data, outputs, runs, run }
    }
}

/// What a micro-kernel reads: windows at `rows` of `input`, each made of the runs at `runs`, against one packed panel.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a, T> {
    pub input: &'a [T],
    pub rows: &'a [usize],
    pub runs: &'a [usize],
    pub run: usize,
    pub panel: &'a [T],
}

/// f32 or f64.
pub(crate) trait Real: Copy + Default + Send + Sync {
    /// `self · b + c`, rounded once.
    fn fused(self, b: Self, c: Self) -> Self;

    /// Rows of `kernel`'s micro-kernels, the most first, 1 the last.
    fn rows(kernel: Kernel) -> &'static [usize];

    /// The first `sums.len()` rows of `tile` against its panel: one of [`Real::rows`]. [`product`] checked every window.
    fn micro(kernel: Kernel, tile: Tile<Self>, sums: &mut [[Self; LANES]]);
}

impl Real for f32 {
    #[inline(always)]
    fn fused(self, b: Self, c: Self) -> Self {
        self.mul_add(b, c)
    }

    fn rows(kernel: Kernel) -> &'static [usize] {
        match kernel {
            Kernel::Portable => &[1],
            Kernel::Avx2 => &[6, 1],
            Kernel::Avx512 => &[12, 4, 1],
        }
    }

    fn micro(kernel: Kernel, tile: Tile<Self>, sums: &mut [[Self; LANES]]) {
        match kernel {
            // SAFETY: `product` checked every window against the input; the kernel is available on this machine.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { super::avx512::micro_f32(tile, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { super::avx2::micro_f32(tile, sums) },
            _ => plain::<f32, 1>(tile, sums),
        }
    }
}

impl Real for f64 {
    #[inline(always)]
    fn fused(self, b: Self, c: Self) -> Self {
        self.mul_add(b, c)
    }

    fn rows(_: Kernel) -> &'static [usize] {
        &[2, 1]
    }

    fn micro(kernel: Kernel, tile: Tile<Self>, sums: &mut [[Self; LANES]]) {
        plain_f64(kernel, tile, sums);
    }
}

multiversion! {
    fn plain_f64 = either_f64(tile: Tile<f64>, sums: &mut [[f64; LANES]])
}

#[inline(always)]
fn either_f64(tile: Tile<f64>, sums: &mut [[f64; LANES]]) {
    if sums.len() == 2 { plain::<f64, 2>(tile, sums) } else { plain::<f64, 1>(tile, sums) }
}

/// `out[r·stride + o] = Σ input[rows[r] + runs[s] + k] · weight(o, s, k)`.
///
/// # Panics
/// If a window would leave `input`, or a row `out`.
pub(crate) fn product<T: Real>(
    kernel: Kernel,
    input: &[T],
    rows: &[usize],
    runs: &[usize],
    weights: &PackedReal<T>,
    out: &mut [T],
    stride: usize,
) {
    let last = rows.iter().max().unwrap_or(&0) + runs.iter().max().expect("a window has a run");
    assert!(last + weights.run <= input.len(), "a window leaves the feature map");
    assert_eq!(runs.len(), weights.runs);
    let mut sums = [[T::default(); LANES]; MAX_ROWS];
    for (p, panel) in weights.data.chunks_exact(weights.runs * weights.run * LANES).enumerate() {
        let columns = (weights.outputs - p * LANES).min(LANES);
        let mut row = 0;
        while row < rows.len() {
            let fits = T::rows(kernel).iter().find(|&&count| rows.len() - row >= count);
            let count = *fits.expect("one row always fits");
            let tile = Tile { input, rows: &rows[row..], runs, run: weights.run, panel };
            T::micro(kernel, tile, &mut sums[..count]);
            for (r, lanes) in sums[..count].iter().enumerate() {
                let at = (row + r) * stride + p * LANES;
                out[at..at + columns].copy_from_slice(&lanes[..columns]);
            }
            row += count;
        }
    }
}

/// `R` rows in plain loops, vectorized by the compiler.
#[inline(always)]
fn plain<T: Real, const R: usize>(tile: Tile<T>, sums: &mut [[T; LANES]]) {
    let mut acc = [[T::default(); LANES]; R];
    for (start, panel) in tile.runs.iter().zip(tile.panel.chunks_exact(tile.run * LANES)) {
        let windows: [&[T]; R] = std::array::from_fn(|r| &tile.input[tile.rows[r] + start..][..tile.run]);
        for (k, b) in panel.chunks_exact(LANES).enumerate() {
            for (acc, window) in acc.iter_mut().zip(windows) {
                let a = window[k];
                for (acc, &b) in acc.iter_mut().zip(b) {
                    *acc = a.fused(b, *acc);
                }
            }
        }
    }
    sums.copy_from_slice(&acc);
}
