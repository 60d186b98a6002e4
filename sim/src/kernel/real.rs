//! Computes the matrix product over windows of floats or 16-bit fixed point, beside [`super::int`]. Float
//! sums run over their taps in order, one fused multiply-add per tap: the result is the same bit for bit in
//! every kernel, batch and thread. Sums of fixed point are exact modulo 2³².
//!
//! Gradients sum in a fixed order of fused multiply-adds, so that attacks depend neither on the
//! processor nor on threads. This is why the crate has its own f32 kernel.

use super::shape::{LANES, RealTile, Rows, Runs};
use super::{Kernel, multiversion, panels};
use crate::buffers::Reused;

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
pub(crate) trait Element: Reused + Send + Sync {
    /// The type that products add up to.
    type Sum: Reused + Send + Sync;

    /// Taps that one step of a kernel takes: the taps read of a run are a multiple of this.
    const TAPS: usize;

    /// Returns how many panels of `bytes` bytes `kernel` takes at a time.
    fn panels(kernel: Kernel, bytes: usize) -> usize {
        kernel.panels(bytes)
    }

    /// Multiplies the rows of `tile` by its panels, so many as [`Element::panels`] says or fewer, by a power
    /// of two. [`product`] has checked every window and every row.
    fn micro(kernel: Kernel, tile: &RealTile<Self>, width: usize, out: Rows<Self::Sum>);
}

impl Element for f32 {
    type Sum = f32;
    const TAPS: usize = 1;

    fn micro(kernel: Kernel, tile: &RealTile<Self>, width: usize, out: Rows<f32>) {
        match (kernel, width) {
            // SAFETY: `product` checked every window and every row; the kernel is available on this machine.
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx512, 4) => unsafe { super::avx512::product_f32::<4>(tile, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx512, 2) => unsafe { super::avx512::product_f32::<2>(tile, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx512, _) => unsafe { super::avx512::product_f32::<1>(tile, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx2, _) => unsafe { super::avx2::product_f32(tile, out) },
            // These are plain loops, which a compiler for AArch64 turns into NEON instructions.
            (Kernel::Neon, _) => plain::<f32, 4>(tile, out, f32::mul_add),
            _ => plain::<f32, 1>(tile, out, f32::mul_add),
        }
    }
}

impl Element for f64 {
    type Sum = f64;
    const TAPS: usize = 1;

    fn panels(_: Kernel, _: usize) -> usize {
        1
    }

    fn micro(kernel: Kernel, tile: &RealTile<Self>, _: usize, out: Rows<f64>) {
        plain_f64(kernel, tile, out);
    }
}

multiversion! {
    fn plain_f64 = either_f64(tile: &RealTile<f64>, out: Rows<f64>)
}

#[inline(always)]
fn either_f64(tile: &RealTile<f64>, out: Rows<f64>) {
    plain::<f64, 2>(tile, out, f64::mul_add);
}

/// Sums are those modulo 2³².
impl Element for i16 {
    type Sum = i32;
    const TAPS: usize = 2;

    fn micro(kernel: Kernel, tile: &RealTile<Self>, width: usize, out: Rows<i32>) {
        match (kernel, width) {
            // SAFETY: `product` checked every window and every row; the kernel is available on this machine.
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx512, 4) => unsafe { super::avx512::product_i16::<4>(tile, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx512, 2) => unsafe { super::avx512::product_i16::<2>(tile, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx512, _) => unsafe { super::avx512::product_i16::<1>(tile, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx2, _) => unsafe { super::avx2::product_i16(tile, out) },
            (Kernel::Neon, _) => pairs::<4>(tile, out),
            _ => pairs::<1>(tile, out),
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
    let length = weights.panel_len();
    let widest = T::panels(kernel, length * size_of::<T>());
    panels::each(weights.outputs, widest, rows, out, |panel, width, rows, sums| {
        let panels = &weights.data[panel * length..(panel + width) * length];
        T::micro(kernel, &RealTile { input, rows, runs, groups: weights.groups, panels }, width, sums);
    });
}

/// Multiplies the rows by one panel in plain loops, `R` rows at a time, which the compiler vectorizes.
#[inline(always)]
fn plain<T: Element<Sum = T>, const R: usize>(
    tile: &RealTile<T>,
    mut out: Rows<T>,
    fused: impl Fn(T, T, T) -> T + Copy,
) {
    let whole = tile.rows.len() / R * R;
    for row in (0..whole).step_by(R) {
        plain_rows::<T, R>(tile, row, &mut out, fused);
    }
    for row in whole..tile.rows.len() {
        plain_rows::<T, 1>(tile, row, &mut out, fused);
    }
}

/// Multiplies `R` rows from row `first` on.
#[inline(always)]
fn plain_rows<T: Element<Sum = T>, const R: usize>(
    tile: &RealTile<T>,
    first: usize,
    out: &mut Rows<T>,
    fused: impl Fn(T, T, T) -> T + Copy,
) {
    let mut acc = [[T::default(); LANES]; R];
    for (start, panel) in tile.runs.iter().zip(tile.panels.chunks_exact(tile.groups * LANES)) {
        let windows: [&[T]; R] =
            std::array::from_fn(|r| &tile.input[tile.rows[first + r] + start..][..tile.groups]);
        for (k, b) in panel.chunks_exact(LANES).enumerate() {
            for (acc, window) in acc.iter_mut().zip(windows) {
                let a = window[k];
                for (acc, &b) in acc.iter_mut().zip(b) {
                    *acc = fused(a, b, *acc);
                }
            }
        }
    }
    for (r, acc) in acc.iter().enumerate() {
        out.sums[(first + r) * out.stride..][..LANES].copy_from_slice(acc);
    }
}

/// Multiplies the rows by one panel, `R` rows and two taps at a time.
fn pairs<const R: usize>(tile: &RealTile<i16>, mut out: Rows<i32>) {
    let whole = tile.rows.len() / R * R;
    for row in (0..whole).step_by(R) {
        pairs_rows::<R>(tile, row, &mut out);
    }
    for row in whole..tile.rows.len() {
        pairs_rows::<1>(tile, row, &mut out);
    }
}

/// Multiplies `R` rows from row `first` on.
fn pairs_rows<const R: usize>(tile: &RealTile<i16>, first: usize, out: &mut Rows<i32>) {
    let mut acc = [[0i32; LANES]; R];
    for (start, panel) in tile.runs.iter().zip(tile.panels.chunks_exact(tile.groups * LANES * 2)) {
        let windows: [&[i16]; R] =
            std::array::from_fn(|r| &tile.input[tile.rows[first + r] + start..][..tile.groups * 2]);
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
    for (r, acc) in acc.iter().enumerate() {
        out.sums[(first + r) * out.stride..][..LANES].copy_from_slice(acc);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kernel gives plain sums, of whole numbers that all of them hold exactly, at every edge of rows
    /// and panels.
    #[test]
    fn every_kernel_sums_whole_numbers_exactly() {
        for (outputs, runs, run, rows) in
            [(1, 1, 1, 1), (17, 3, 7, 13), (48, 2, 20, 29), (33, 1, 130, 5), (121, 2, 16, 16)]
        {
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
