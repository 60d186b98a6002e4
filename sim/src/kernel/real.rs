//! Float matrix product over windows, the twin of [`super::int`]. Every sum runs over its taps in order, each step one
//! fused multiply-add: the result is the same bit for bit in every kernel, batch and thread.

use super::{Kernel, multiversion};

/// Outputs in a panel.
const LANES: usize = 16;
/// Rows of a micro-kernel.
const ROWS: usize = 6;

/// Weights in the order in which the kernel reads them: panel × run × tap × 16 outputs, zeros at the edges.
pub(crate) struct PackedReal<T> {
    data: Vec<T>,
    outputs: usize,
    runs: usize,
    run: usize,
}

/// f32 or f64.
pub(crate) trait Real: Copy + Default + Send + Sync {
    /// `self · b + c`, rounded once.
    fn fused(self, b: Self, c: Self) -> Self;

    /// `out[r·stride + o] = Σ input[rows[r] + runs[s] + k] · weight(o, s, k)`.
    ///
    /// # Panics
    /// If a window would leave `input`, or a row `out`.
    fn product(
        kernel: Kernel,
        input: &[Self],
        rows: &[usize],
        runs: &[usize],
        weights: &PackedReal<Self>,
        out: &mut [Self],
        stride: usize,
    );
}

macro_rules! real {
    ($type:ty, $product:ident) => {
        impl Real for $type {
            #[inline(always)]
            fn fused(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }

            fn product(
                kernel: Kernel,
                input: &[Self],
                rows: &[usize],
                runs: &[usize],
                weights: &PackedReal<Self>,
                out: &mut [Self],
                stride: usize,
            ) {
                $product(kernel, input, rows, runs, weights, out, stride);
            }
        }

        multiversion! {
            fn $product = product(
                input: &[$type],
                rows: &[usize],
                runs: &[usize],
                weights: &PackedReal<$type>,
                out: &mut [$type],
                stride: usize,
            )
        }
    };
}

real!(f32, product_f32);
real!(f64, product_f64);

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

#[inline(always)]
fn product<T: Real>(
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
    for (p, panel) in weights.data.chunks_exact(weights.runs * weights.run * LANES).enumerate() {
        let columns = (weights.outputs - p * LANES).min(LANES);
        let mut row = 0;
        while row < rows.len() {
            let count = if rows.len() - row >= ROWS { ROWS } else { 1 };
            let sums = match count {
                ROWS => micro::<T, ROWS>(input, &rows[row..], runs, weights.run, panel),
                _ => {
                    let mut sums = [[T::default(); LANES]; ROWS];
                    sums[0] = micro::<T, 1>(input, &rows[row..], runs, weights.run, panel)[0];
                    sums
                }
            };
            for (r, lanes) in sums.iter().enumerate().take(count) {
                let at = (row + r) * stride + p * LANES;
                out[at..at + columns].copy_from_slice(&lanes[..columns]);
            }
            row += count;
        }
    }
}

/// `R` leading rows against one panel.
#[inline(always)]
fn micro<T: Real, const R: usize>(
    input: &[T],
    rows: &[usize],
    runs: &[usize],
    run: usize,
    panel: &[T],
) -> [[T; LANES]; R] {
    let mut acc = [[T::default(); LANES]; R];
    for (start, panel) in runs.iter().zip(panel.chunks_exact(run * LANES)) {
        let windows: [&[T]; R] = std::array::from_fn(|r| &input[rows[r] + start..][..run]);
        for (k, b) in panel.chunks_exact(LANES).enumerate() {
            for (acc, window) in acc.iter_mut().zip(windows) {
                let a = window[k];
                for (acc, &b) in acc.iter_mut().zip(b) {
                    *acc = a.fused(b, *acc);
                }
            }
        }
    }
    acc
}
