//! Runs Mix: the convex combination of two streams, in fixed point.

use super::pass::{Kind, Pass, Site, where_open};
use crate::number::{Number, magnitude};
use dq_net::layer::Mix;
use tch::{Kind as Dtype, Tensor};

/// Holds the shares, and the floats in which sums are exact.
struct Shares {
    mix: Mix,
    number: Number,
    out: Dtype,
}

impl Kind for Mix {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let terms = [self.a, self.b].into_iter().zip(&site.inputs);
        let sum: i64 = terms.map(|(share, wire)| i64::from(share) * magnitude(wire.range)).sum();
        let number = Number::holding(sum + self.half());
        Box::new(Shares { mix: self.clone(), number, out: site.out() })
    }
}

impl Shares {
    /// Computes the rounded sums before they are clipped, and the ends to which they are.
    fn rounded(&self, inputs: &[&Tensor]) -> (Tensor, f64, f64) {
        let Mix { a, b, shift, bits } = self.mix;
        let [x, y] = [0, 1].map(|port| inputs[port].to_kind(self.number.kind()));
        let sums = x * f64::from(a) + y * f64::from(b) + self.mix.half() as f64;
        let half = f64::from(bits - 1).exp2();
        ((sums * (-f64::from(shift)).exp2()).floor(), -half, half - 1.0)
    }
}

impl Pass for Shares {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let (sums, lo, hi) = self.rounded(inputs);
        sums.clamp(lo, hi).to_kind(self.out)
    }

    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], port: usize) -> Tensor {
        let (sums, lo, hi) = self.rounded(inputs);
        let share = f64::from([self.mix.a, self.mix.b][port]) * (-f64::from(self.mix.shift)).exp2();
        where_open(slopes * share, &sums.ge(lo).logical_and(&sums.le(hi)))
    }
}
