//! Mix, Rescale, BitDepth and Median over blocks of images.

use super::Tensor;
use crate::kernel::{Kernel, multiversion};
use dq_net::layer::{BitDepth, Median, Mix, Rescale};
use dq_net::{Range, Shape};

/// A Mix ready to run.
pub(super) struct FastMix {
    mix: Mix,
    /// No sum of its inputs' ranges leaves an `i32`.
    narrow: bool,
}

impl FastMix {
    /// For inputs within `x` and `y`.
    pub fn new(mix: &Mix, x: Range, y: Range) -> Self {
        let sum = |x: i64, y: i64| i64::from(mix.a) * x + i64::from(mix.b) * y + mix.half();
        Self { mix: mix.clone(), narrow: fits(sum(x.lo, y.lo)) && fits(sum(x.hi, y.hi)) }
    }

    /// Each pair of values, combined.
    pub fn run(&self, kernel: Kernel, x: &Tensor, y: &Tensor) -> Vec<i32> {
        let (x, y) = (x.words(), y.words());
        if !self.narrow {
            return x.iter().zip(y.iter()).map(|(&x, &y)| self.mix.value(x, y)).collect();
        }
        let mut out = vec![0; x.len()];
        run_mix(kernel, &self.mix, &x, &y, &mut out);
        out
    }
}

multiversion! {
    fn run_mix = mix_narrow(mix: &Mix, x: &[i32], y: &[i32], out: &mut [i32])
}

#[inline(always)]
fn mix_narrow(mix: &Mix, x: &[i32], y: &[i32], out: &mut [i32]) {
    let (a, b, half) = (mix.a, mix.b, mix.half() as i32);
    let (shift, top) = (u32::from(mix.shift), 1i32 << (mix.bits - 1));
    for ((to, &x), &y) in out.iter_mut().zip(x).zip(y) {
        // The sum as a whole fits, each product alone may not.
        let sum = a.wrapping_mul(x).wrapping_add(b.wrapping_mul(y)).wrapping_add(half);
        *to = (sum >> shift).max(-top).min(top - 1);
    }
}

/// A Rescale ready to run.
pub(super) struct FastRescale {
    rescale: Rescale,
    /// `add` where no sum of its input's range leaves an `i32`.
    narrow: Option<Vec<i32>>,
}

impl FastRescale {
    /// For values within `input`.
    pub fn new(rescale: &Rescale, input: Range) -> Self {
        let sums = (0..rescale.mul.len())
            .flat_map(|c| [rescale.sum(c, 0), rescale.sum(c, input.lo), rescale.sum(c, input.hi)]);
        let narrow = sums.into_iter().all(fits).then(|| rescale.add.iter().map(|&add| add as i32).collect());
        Self { rescale: rescale.clone(), narrow }
    }

    /// Each value of `acc` through its channel's affine.
    pub fn run(&self, kernel: Kernel, acc: &[i32], out: &mut [i32]) {
        match &self.narrow {
            Some(add) => run_rescale(kernel, &self.rescale, add, acc, out),
            None => {
                for (c, (to, &acc)) in (0..self.rescale.mul.len()).cycle().zip(out.iter_mut().zip(acc)) {
                    *to = self.rescale.value(c, acc);
                }
            }
        }
    }
}

multiversion! {
    fn run_rescale = rescale_narrow(rescale: &Rescale, add: &[i32], acc: &[i32], out: &mut [i32])
}

#[inline(always)]
fn rescale_narrow(rescale: &Rescale, add: &[i32], acc: &[i32], out: &mut [i32]) {
    let channels = rescale.mul.len();
    let (mul, add) = (&rescale.mul[..channels], &add[..channels]);
    let (shift, top) = (u32::from(rescale.shift), 1i32 << (rescale.bits - 1));
    for (acc, out) in acc.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
        for c in 0..channels {
            // As above: the sum fits, the product alone may not.
            let sum = acc[c].wrapping_mul(mul[c]).wrapping_add(add[c]);
            out[c] = (sum >> shift).max(-top).min(top - 1);
        }
    }
}

fn fits(sum: i64) -> bool {
    i32::try_from(sum).is_ok()
}

/// Each pixel through the table of its levels.
pub(super) fn bit_depth(depth: BitDepth, x: &Tensor, len: usize) -> Vec<u8> {
    let table: Vec<u8> = (0..256).map(|pixel| depth.level(pixel) as u8).collect();
    (0..len).map(|at| table[x.get(at) as usize]).collect()
}

/// The median of each element's neighbours.
pub(super) fn median<T: Copy + Ord>(x: &[T], shape: Shape) -> Vec<T> {
    let (row, channels) = (shape.width * shape.channels, shape.channels);
    let mut out = Vec::with_capacity(x.len());
    for image in x.chunks_exact(shape.len()) {
        for y in 0..shape.height {
            let [above, here] = [y.saturating_sub(1), y].map(|y| &image[y * row..][..row]);
            // In the first column the nearest pixel stands for the one outside.
            let first = (0..channels).map(|c| (above[c], above[c], here[c], here[c]));
            let rest =
                (channels..row).map(|at| (above[at - channels], above[at], here[at - channels], here[at]));
            out.extend(
                first.chain(rest).map(|(a, b, c, d)| a.min(b).max(c.min(d)).min(a.max(b).min(c.max(d)))),
            );
        }
    }
    out
}

/// Where the values lie that element `at` of a block of maps is the median of.
pub(crate) fn median_taps(at: usize, shape: Shape) -> [usize; 4] {
    let (image, c) = (at / shape.len(), at % shape.channels);
    let pixel = at % shape.len() / shape.channels;
    let taps = Median::taps(pixel / shape.width, pixel % shape.width);
    taps.map(|(y, x)| image * shape.len() + (y * shape.width + x) * shape.channels + c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::SplitMix64;

    /// `count` values of `range`, its ends among them.
    fn values(range: Range, count: usize) -> Vec<i32> {
        let span = (range.hi - range.lo + 1) as u64;
        let value = |i: usize| match i {
            0 => range.lo,
            1 => range.hi,
            _ => range.lo + ((i as u64).wrapping_mul(SplitMix64::GAMMA) % span) as i64,
        };
        (0..count).map(|i| value(i) as i32).collect()
    }

    #[test]
    fn mixes_are_exact_whether_their_sums_fit_a_word_or_not() {
        let full = Range::new(-(1 << 30), 1 << 30);
        let stream = Range::new(-(1 << 15), (1 << 15) - 1);
        for (x, y, narrow) in [(stream, stream, Some(true)), (full, full, Some(false)), (full, stream, None)]
        {
            for (a, bits) in [(0, 16), (1, 12), (20_000, 16), (32_767, 2), (32_768, 9)] {
                let mix = Mix { a, b: 32_768 - a, shift: 15, bits };
                let fast = FastMix::new(&mix, x, y);
                assert!(narrow.is_none_or(|narrow| fast.narrow == narrow), "{mix:?}");
                let (x, y) = (values(x, 301), values(y, 301));
                let wanted: Vec<i32> = x.iter().zip(&y).map(|(&x, &y)| mix.value(x, y)).collect();
                let (x, y) = (Tensor::Words(x), Tensor::Words(y));
                for kernel in Kernel::available() {
                    assert_eq!(fast.run(kernel, &x, &y), wanted, "{mix:?}, {kernel:?}");
                }
            }
        }
    }

    #[test]
    fn rescales_are_exact_whether_their_sums_fit_a_word_or_not() {
        let edge = (1 << 17) - 1;
        for (mul, add, bits, narrow) in [
            (vec![1000, -1500, 7], vec![1 << 20, 0, -99], 12, true),
            (vec![edge, -edge, 1], vec![(1 << 47) - 1, 5, -(1 << 47) + 1], 16, false),
            (vec![edge, -edge, 1], vec![0, 0, 0], 9, false),
            (vec![1, 1, 1], vec![0, i64::from(i32::MAX), 0], 9, false),
        ] {
            let rescale = Rescale { mul, add, shift: 11, bits, unit: 1.0 };
            let input = Range::new(-300_000, 400_000);
            let fast = FastRescale::new(&rescale, input);
            assert_eq!(fast.narrow.is_some(), narrow, "{rescale:?}");
            let acc = values(input, 300);
            let wanted: Vec<i32> = acc.iter().enumerate().map(|(i, &v)| rescale.value(i % 3, v)).collect();
            for kernel in Kernel::available() {
                let mut found = vec![0; acc.len()];
                fast.run(kernel, &acc, &mut found);
                assert_eq!(found, wanted, "{rescale:?}, {kernel:?}");
            }
        }
    }
}
