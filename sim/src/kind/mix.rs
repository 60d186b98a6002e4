//! Computes a Mix: two streams become one, each with its share.

use super::pass::{Backward, Bounds, Feed, Flow, Forward, Kind, Locality, Site, Twin};
use super::relax::Relax;
use crate::kernel::{Kernel, multiversion};
use crate::linear::Precision;
use crate::tensor::Tensor;
use dq_net::float::layer as float;
use dq_net::layer::Mix;
use dq_net::{FloatLayer, Range};

/// Holds a Mix ready to run.
struct FastMix {
    mix: Mix,
    /// Whether no sum of its inputs' ranges leaves an `i32`.
    is_narrow: bool,
}

/// Computes the backward pass: each input gets its share of the slope, where the sum is not clipped.
struct Shares(Mix);

impl Kind for Mix {
    fn forward(&self, site: &Site) -> Box<dyn Forward> {
        Box::new(FastMix::new(self, site.inputs[0].range, site.inputs[1].range))
    }

    /// Both shares are at least zero ([`dq_net`] checks them), and clipping keeps the order.
    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(self.clone()))
    }

    fn locality(&self, _: &Site) -> Locality {
        Locality::Pixels
    }

    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Shares(self.clone()))
    }

    fn twin(&self, _: &Site) -> Twin {
        let share = |n: i32| n as f32 / (1u32 << self.shift) as f32;
        Twin::one(FloatLayer::Mix(float::Mix { a: share(self.a), b: share(self.b) }))
    }
}

impl FastMix {
    /// Prepares `mix` for inputs within `x` and `y`.
    fn new(mix: &Mix, x: Range, y: Range) -> Self {
        let sum = |x: i64, y: i64| i64::from(mix.a) * x + i64::from(mix.b) * y + mix.half();
        let fits = |sum: i64| i32::try_from(sum).is_ok();
        Self { mix: mix.clone(), is_narrow: fits(sum(x.lo, y.lo)) && fits(sum(x.hi, y.hi)) }
    }

    /// Combines each pair of values.
    fn combine(&self, kernel: Kernel, x: &Tensor, y: &Tensor) -> Vec<i32> {
        let (x, y) = (x.words(), y.words());
        if !self.is_narrow {
            return x.iter().zip(y.iter()).map(|(&x, &y)| self.mix.value(x, y)).collect();
        }
        let mut out = vec![0; x.len()];
        run_mix(kernel, &self.mix, &x, &y, &mut out);
        out
    }
}

impl Forward for FastMix {
    fn run(&self, site: &Site, inputs: &[Feed], _: usize) -> Tensor {
        let mixed = self.combine(site.kernel, inputs[0].values(), inputs[1].values());
        Tensor::narrow(mixed, site.output.range)
    }
}

impl Backward for Shares {
    fn run(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        let mix = &self.0;
        let share = [mix.a, mix.b][flow.port] as f32 / (1u32 << mix.shift) as f32;
        let (lo, hi) = (-(1i64 << (mix.bits - 1)), (1i64 << (mix.bits - 1)) - 1);
        for (i, (to, &slope)) in into.iter_mut().zip(flow.slopes).enumerate() {
            let sum = mix.sum(flow.inputs[0].get(i), flow.inputs[1].get(i)) >> mix.shift;
            if (lo..=hi).contains(&sum) {
                *to += slope * share;
            }
        }
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
        // The sum as a whole fits; each product alone may not.
        let sum = a.wrapping_mul(x).wrapping_add(b.wrapping_mul(y)).wrapping_add(half);
        *to = (sum >> shift).max(-top).min(top - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::spread;

    #[test]
    fn mixes_are_exact_whether_their_sums_fit_a_word_or_not() {
        let full = Range::new(-(1 << 30), 1 << 30);
        let stream = Range::new(-(1 << 15), (1 << 15) - 1);
        for (x, y, narrow) in [(stream, stream, Some(true)), (full, full, Some(false)), (full, stream, None)]
        {
            for (a, bits) in [(0, 16), (1, 12), (20_000, 16), (32_767, 2), (32_768, 9)] {
                let mix = Mix { a, b: 32_768 - a, shift: 15, bits };
                let fast = FastMix::new(&mix, x, y);
                assert!(narrow.is_none_or(|narrow| fast.is_narrow == narrow), "{mix:?}");
                let (x, y) = (spread(x, 301), spread(y, 301));
                let wanted: Vec<i32> = x.iter().zip(&y).map(|(&x, &y)| mix.value(x, y)).collect();
                let (x, y) = (Tensor::Words(x), Tensor::Words(y));
                for kernel in Kernel::available() {
                    assert_eq!(fast.combine(kernel, &x, &y), wanted, "{mix:?}, {kernel:?}");
                }
            }
        }
    }
}
