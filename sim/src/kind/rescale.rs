//! Computes a Rescale: an affine function per channel, into the residual stream.

use super::pass::{Backward, Bounds, Feed, Flow, Forward, Kind, Locality, Site, Twin};
use super::relax::lines::{Corners, Lines, clipped};
use super::relax::{Descend, Relax};
use crate::kernel::{Kernel, multiversion};
use crate::linear::Precision;
use crate::rows::Ends;
use crate::tensor::Tensor;
use dq_net::float::layer as float;
use dq_net::layer::Rescale;
use dq_net::{FloatLayer, Range};
use std::sync::Arc;

/// Holds a Rescale ready to run.
struct FastRescale {
    rescale: Rescale,
    /// The offsets (`add`) as `i32`, where no sum of its input's range leaves an `i32`.
    narrow: Option<Vec<i32>>,
}

/// Computes the backward pass: the slope times each channel's factor, where the value is not clipped.
struct Factors {
    rescale: Rescale,
    factor: Vec<f32>,
}

impl Kind for Rescale {
    fn forward(&self, site: &Site) -> Box<dyn Forward> {
        Box::new(FastRescale::new(self, site.input().range))
    }

    /// The output rises or falls by the sign of the channel's factor.
    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Monotone
    }

    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(self.clone()))
    }

    fn locality(&self, _: &Site) -> Locality {
        Locality::Pixels
    }

    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        let whole = f64::from(self.shift).exp2();
        let factor = self.mul.iter().map(|&mul| (f64::from(mul) / whole) as f32).collect();
        Box::new(Factors { rescale: self.clone(), factor })
    }

    fn twin(&self, _: &Site) -> Twin {
        let whole = f64::from(self.shift).exp2();
        Twin::one(FloatLayer::Affine(float::Affine {
            scale: self.mul.iter().map(|&mul| (f64::from(mul) / whole) as f32).collect(),
            // The shift rounds down, which takes half a unit away on average.
            bias: self.add.iter().map(|&add| (add as f64 / whole - 0.5) as f32).collect(),
        }))
    }
}

impl Corners for Rescale {
    fn write(&self, at: usize, ends: (i64, i64), points: &mut Vec<(i64, i64)>) {
        let channel = at % self.mul.len();
        let affine = (i64::from(self.mul[channel]), self.add[channel]);
        clipped(affine, (self.shift, self.bits), ends, points);
    }

    fn fraction(&self) -> i32 {
        self.shift.into()
    }

    /// The shift rounds down.
    fn drop(&self) -> i64 {
        (1 << self.shift) - 1
    }
}

impl Relax for Rescale {
    fn on<'a>(&'a self, _: &'a Site, inputs: &[&Arc<Ends>], _: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        Box::new(Lines::new(inputs[0].clone(), self))
    }
}

impl FastRescale {
    /// Prepares `rescale` for values within `input`.
    fn new(rescale: &Rescale, input: Range) -> Self {
        let mut sums = (0..rescale.mul.len())
            .flat_map(|c| [rescale.sum(c, 0), rescale.sum(c, input.lo), rescale.sum(c, input.hi)]);
        let fits = sums.all(|sum| i32::try_from(sum).is_ok());
        let narrow = fits.then(|| rescale.add.iter().map(|&add| add as i32).collect());
        Self { rescale: rescale.clone(), narrow }
    }

    /// Writes each value of `acc`, rescaled by its channel, to `out`.
    fn convert(&self, kernel: Kernel, acc: &[i32], out: &mut [i32]) {
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

impl Forward for FastRescale {
    fn run(&self, site: &Site, inputs: &[Feed], count: usize) -> Tensor {
        let mut stream = vec![0; count * site.output.shape.len()];
        inputs[0].tiles(site.kernel, count, |first, sums| {
            self.convert(site.kernel, sums, &mut stream[first..][..sums.len()]);
        });
        Tensor::narrow(stream, site.output.range)
    }

    fn reads_tiles(&self) -> bool {
        true
    }
}

impl Backward for Factors {
    fn run(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        let Self { rescale, factor } = self;
        let (lo, hi) = (-(1i64 << (rescale.bits - 1)), (1i64 << (rescale.bits - 1)) - 1);
        let values = flow.values();
        for (i, (to, &slope)) in into.iter_mut().zip(flow.slopes).enumerate() {
            let c = i % factor.len();
            if (lo..=hi).contains(&(rescale.sum(c, values.get(i).into()) >> rescale.shift)) {
                *to += slope * factor[c];
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
            // The sum as a whole fits; the product alone may not.
            let sum = acc[c].wrapping_mul(mul[c]).wrapping_add(add[c]);
            out[c] = (sum >> shift).max(-top).min(top - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::spread;

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
            let acc = spread(input, 300);
            let wanted: Vec<i32> = acc.iter().enumerate().map(|(i, &v)| rescale.value(i % 3, v)).collect();
            for kernel in Kernel::available() {
                let mut found = vec![0; acc.len()];
                fast.convert(kernel, &acc, &mut found);
                assert_eq!(found, wanted, "{rescale:?}, {kernel:?}");
            }
        }
    }
}
