//! Runs rescales: an affine function per channel, into fixed point.

use super::pass::{Kind, Pass, Site, where_open};
use crate::number::Number;
use dq_net::layer::Rescale;
use tch::{Kind as Dtype, Tensor};

/// Holds a rescale's numbers, per channel.
struct Affine {
    mul: Tensor,
    add: Tensor,
    /// What one unit before the shift is after it.
    unit: f64,
    /// Least and largest result.
    ends: [f64; 2],
    /// What the gradient is multiplied by.
    factor: Tensor,
    out: Dtype,
}

impl Kind for Rescale {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let most = site.most().max(1);
        let sums = self.mul.iter().zip(&self.add).map(|(&mul, add)| i64::from(mul).abs() * most + add.abs());
        let number = Number::holding(sums.max().expect("checked: a map has channels"));
        let (unit, half) = ((-f64::from(self.shift)).exp2(), f64::from(self.bits - 1).exp2());
        Box::new(Affine {
            mul: site.channels(self.mul.iter().map(|&mul| mul.into()), number),
            add: site.channels(self.add.iter().copied(), number),
            unit,
            ends: [-half, half - 1.0],
            factor: site.factors(self.mul.iter().map(|&mul| f64::from(mul) * unit)),
            out: site.out(),
        })
    }
}

impl Affine {
    /// Computes the results before they are clipped.
    fn shifted(&self, inputs: &[&Tensor]) -> Tensor {
        let sums = inputs[0].to_kind(self.mul.kind()) * &self.mul + &self.add;
        (sums * self.unit).floor()
    }
}

impl Pass for Affine {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let [lo, hi] = self.ends;
        self.shifted(inputs).clamp(lo, hi).to_kind(self.out)
    }

    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], _: usize) -> Tensor {
        let (shifted, [lo, hi]) = (self.shifted(inputs), self.ends);
        where_open(slopes * &self.factor, &shifted.ge(lo).logical_and(&shifted.le(hi)))
    }
}
