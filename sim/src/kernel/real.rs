//! Computes the matrix product over windows of floats or 16-bit fixed point, beside [`super::int`]. Float
//! sums run over their taps in order, one fused multiply-add per tap: the result is the same bit for bit in
//! every kernel, batch and thread. Sums of fixed point are exact modulo 2³².
//!
//! Gradients sum in a fixed order of fused multiply-adds, so that attacks depend neither on the
//! processor nor on threads. This is why the crate has its own f32 kernel.

use super::shape::{LANES, RealTile, Rows, Runs};
use super::{Kernel, multiversion};

/// Most sums of a micro-kernel, in vectors of one row and one panel: 12 rows × 2 panels.
const MAX_SUMS: usize = 12 * 2;

/// Holds weights in the order in which the kernel reads them.
pub(crate) struct Packed<T> {
    /// Weights: panel × run × group of taps × 16 outputs × the group's taps, zeros at the edges.
    data: Vec<T>,
    outputs: usize,
    runs: Vec<usize>,
    /// Number of groups of taps in a run.
    groups: usize,
}

impl<T: Element> Packed<T> {
    /// Packs `weight(output, run, tap)`.
    pub fn new(outputs: usize, runs: Runs, weight: impl Fn(usize, usize, usize) -> T) -> Self {
        let Runs { starts: runs, length: run } = runs;
        let (count, groups) = (runs.len(), run.div_ceil(T::TAPS));
        let mut data = vec![T::default(); outputs.div_ceil(LANES) * count * groups * LANES * T::TAPS];
        for (i, chunk) in data.chunks_exact_mut(LANES * T::TAPS).enumerate() {
            let (panel, s, group) = (i / (count * groups), i / groups % count, i % groups);
            for (j, slot) in chunk.iter_mut().enumerate() {
                let (output, k) = (panel * LANES + j / T::TAPS, group * T::TAPS + j % T::TAPS);
                if output < outputs && k < run {
                    *slot = weight(output, s, k);
                }
            }
        }
        Self { data, outputs, runs, groups }
    }

    fn panel_len(&self) -> usize {
        self.runs.len() * self.groups * LANES * T::TAPS
    }
}

/// Describes an element of a product: f32, f64, or fixed point in an i16.
pub(crate) trait Element: Copy + Default + Send + Sync + 'static {
    /// The type that products add up to.
    type Sum: Copy + Default + Send + Sync + 'static;

    /// Taps that one step of a kernel takes: the taps read of a run are a multiple of this.
    const TAPS: usize;

    /// Returns the most panels that `kernel` takes at a time.
    fn panels(kernel: Kernel) -> usize;

    /// Lists the rows of `kernel`'s micro-kernels, the most first, 1 last.
    fn rows(kernel: Kernel) -> &'static [usize];

    /// Multiplies the first `rows` rows of `tile`, one of [`Element::rows`], by its panels: row × panel.
    /// [`product`] has checked every window.
    fn micro(kernel: Kernel, tile: RealTile<Self>, rows: usize, sums: &mut [[Self::Sum; LANES]]);
}

impl Element for f32 {
    type Sum = f32;
    const TAPS: usize = 1;

    fn panels(kernel: Kernel) -> usize {
        if kernel == Kernel::Avx512 { 2 } else { 1 }
    }

    fn rows(kernel: Kernel) -> &'static [usize] {
        match kernel {
            Kernel::Portable => &[1],
            // These are plain loops, which a compiler for AArch64 turns into NEON instructions.
            Kernel::Neon => &[4, 1],
            Kernel::Avx2 => &[6, 1],
            Kernel::Avx512 | Kernel::Amx => &[12, 4, 1],
        }
    }

    fn micro(kernel: Kernel, tile: RealTile<Self>, rows: usize, sums: &mut [[f32; LANES]]) {
        match kernel {
            // SAFETY: `product` checked every window against the input; the kernel is available on this
            // machine.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { super::avx512::micro_f32(tile, rows, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { super::avx2::micro_f32(tile, rows, sums) },
            Kernel::Neon if rows == 4 => plain::<f32, 4>(tile, sums, f32::mul_add),
            _ => plain::<f32, 1>(tile, sums, f32::mul_add),
        }
    }
}

impl Element for f64 {
    type Sum = f64;
    const TAPS: usize = 1;

    fn panels(_: Kernel) -> usize {
        1
    }

    fn rows(_: Kernel) -> &'static [usize] {
        &[2, 1]
    }

    fn micro(kernel: Kernel, tile: RealTile<Self>, _: usize, sums: &mut [[f64; LANES]]) {
        plain_f64(kernel, tile, sums);
    }
}

multiversion! {
    fn plain_f64 = either_f64(tile: RealTile<f64>, sums: &mut [[f64; LANES]])
}

#[inline(always)]
fn either_f64(tile: RealTile<f64>, sums: &mut [[f64; LANES]]) {
    if sums.len() == 2 {
        plain::<f64, 2>(tile, sums, f64::mul_add)
    } else {
        plain::<f64, 1>(tile, sums, f64::mul_add)
    }
}

/// Sums are those modulo 2³².
impl Element for i16 {
    type Sum = i32;
    const TAPS: usize = 2;

    fn panels(kernel: Kernel) -> usize {
        if kernel == Kernel::Avx512 { 2 } else { 1 }
    }

    fn rows(kernel: Kernel) -> &'static [usize] {
        f32::rows(kernel)
    }

    fn micro(kernel: Kernel, tile: RealTile<Self>, rows: usize, sums: &mut [[i32; LANES]]) {
        match kernel {
            // SAFETY: `product` checked every window against the input; the kernel is available on this
            // machine.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { super::avx512::micro_i16(tile, rows, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { super::avx2::micro_i16(tile, rows, sums) },
            _ if rows == 4 => pairs::<4>(tile, sums),
            _ => pairs::<1>(tile, sums),
        }
    }
}

/// Computes `out[r·stride + o] = Σ input[rows[r] + runs[s] + k] · weight(o, s, k)`.
///
/// # Panics
/// If a window would leave `input`, or a row `out`.
pub(crate) fn product<T: Element>(
    kernel: Kernel,
    input: &[T],
    rows: &[usize],
    weights: &Packed<T>,
    out: Rows<T::Sum>,
) {
    let runs = &weights.runs[..];
    let last = rows.iter().max().unwrap_or(&0) + runs.iter().max().expect("a window has a run");
    assert!(last + weights.groups * T::TAPS <= input.len(), "a window leaves the feature map");
    let kernel = kernel.vectors();
    let panels = weights.outputs.div_ceil(LANES);
    let length = weights.panel_len();
    let mut sums = [[T::Sum::default(); LANES]; MAX_SUMS];
    let mut panel = 0;
    while panel < panels {
        let width = T::panels(kernel).min(panels - panel);
        let (first, panels) = (panel * LANES, &weights.data[panel * length..(panel + width) * length]);
        let columns = (weights.outputs - first).min(width * LANES);
        let mut row = 0;
        while row < rows.len() {
            let fits = T::rows(kernel).iter().find(|&&count| rows.len() - row >= count);
            let count = *fits.expect("one row always fits");
            let tile = RealTile { input, rows: &rows[row..], runs, groups: weights.groups, panels };
            T::micro(kernel, tile, count, &mut sums[..count * width]);
            for (r, lanes) in sums[..count * width].chunks_exact(width).enumerate() {
                let at = (row + r) * out.stride + first;
                out.sums[at..at + columns].copy_from_slice(&lanes.as_flattened()[..columns]);
            }
            row += count;
        }
        panel += width;
    }
}

/// Multiplies `R` rows by one panel in plain loops, which the compiler vectorizes.
#[inline(always)]
fn plain<T: Element<Sum = T>, const R: usize>(
    tile: RealTile<T>,
    sums: &mut [[T; LANES]],
    fused: impl Fn(T, T, T) -> T + Copy,
) {
    let mut acc = [[T::default(); LANES]; R];
    for (start, panel) in tile.runs.iter().zip(tile.panels.chunks_exact(tile.groups * LANES)) {
        let windows: [&[T]; R] = std::array::from_fn(|r| &tile.input[tile.rows[r] + start..][..tile.groups]);
        for (k, b) in panel.chunks_exact(LANES).enumerate() {
            for (acc, window) in acc.iter_mut().zip(windows) {
                let a = window[k];
                for (acc, &b) in acc.iter_mut().zip(b) {
                    *acc = fused(a, b, *acc);
                }
            }
        }
    }
    sums.copy_from_slice(&acc);
}

/// Multiplies `R` rows by one panel, two taps at a time.
fn pairs<const R: usize>(tile: RealTile<i16>, sums: &mut [[i32; LANES]]) {
    let mut acc = [[0i32; LANES]; R];
    for (start, panel) in tile.runs.iter().zip(tile.panels.chunks_exact(tile.groups * LANES * 2)) {
        let windows: [&[i16]; R] =
            std::array::from_fn(|r| &tile.input[tile.rows[r] + start..][..tile.groups * 2]);
        for (k, b) in panel.chunks_exact(LANES * 2).enumerate() {
            for (acc, window) in acc.iter_mut().zip(windows) {
                let a = [window[2 * k], window[2 * k + 1]].map(i32::from);
                for (acc, b) in acc.iter_mut().zip(b.chunks_exact(2)) {
                    let pair = (a[0] * i32::from(b[0])).wrapping_add(a[1] * i32::from(b[1]));
                    *acc = acc.wrapping_add(pair);
                }
            }
        }
    }
    sums.copy_from_slice(&acc);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kernel gives plain sums, of whole numbers that all of them hold exactly, at every edge of rows
    /// and panels.
    #[test]
    fn every_kernel_sums_whole_numbers_exactly() {
        for (outputs, runs, run, rows) in [(1, 1, 1, 1), (17, 3, 7, 13), (48, 2, 20, 29), (33, 1, 130, 5)] {
            let number = |i: usize| (i * 7_919 % 2003) as i16 - 1001;
            let weight = |o: usize, s: usize, k: usize| number(o * 31 + s * 7 + k) / 8;
            let starts: Vec<usize> = (0..rows).map(|r| r * 31).collect();
            let offsets: Vec<usize> = (0..runs).map(|s| s * 401).collect();
            let stride = outputs + 3;
            let mut wanted = vec![-1; rows * stride];
            for (r, start) in starts.iter().enumerate() {
                for o in 0..outputs {
                    let taps = (0..runs).flat_map(|s| (0..run).map(move |k| (s, k)));
                    let product = |(s, k): (usize, usize)| {
                        i32::from(number(start + offsets[s] + k)) * i32::from(weight(o, s, k))
                    };
                    wanted[r * stride + o] = taps.map(product).sum();
                }
            }
            let whole: Vec<i16> = (0..5000).map(number).collect();
            let real: Vec<f32> = whole.iter().map(|&v| v.into()).collect();
            for kernel in Kernel::available() {
                let runs = || Runs { starts: offsets.clone(), length: run };
                let packed = Packed::new(outputs, runs(), weight);
                let mut out = vec![-1; rows * stride];
                product(kernel, &whole, &starts, &packed, Rows { sums: &mut out, stride });
                assert_eq!(out, wanted, "{kernel:?}, {outputs} outputs");
                let packed = Packed::new(outputs, runs(), |o, s, k| f32::from(weight(o, s, k)));
                let mut out = vec![-1.0; rows * stride];
                product(kernel, &real, &starts, &packed, Rows { sums: &mut out, stride });
                let out: Vec<i32> = out.into_iter().map(|v| v as i32).collect();
                assert_eq!(out, wanted, "{kernel:?}, {outputs} outputs");
            }
        }
    }
}
