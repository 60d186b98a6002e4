//! Runs Sum: two streams are added, each times a whole number.

use super::pass::{Kind, Pass, Site};
use crate::number::{Number, magnitude};
use dq_net::layer::Sum;
use tch::{Kind as Dtype, Tensor};

/// Holds the factor of each stream, and the floats in which sums are exact.
struct Factors {
    factors: [f64; 2],
    number: Number,
    out: Dtype,
}

impl Kind for Sum {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let terms = self.factors.iter().zip(&site.inputs);
        // A factor alone is a number too: that of a stream of zeros may be large.
        let most = terms.map(|(&factor, wire)| i64::from(factor).abs() * magnitude(wire.range).max(1));
        let number = Number::holding(most.sum());
        Box::new(Factors { factors: self.factors.map(f64::from), number, out: site.out() })
    }
}

impl Pass for Factors {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let [x, y] = [0, 1].map(|port| inputs[port].to_kind(self.number.kind()) * self.factors[port]);
        (x + y).to_kind(self.out)
    }

    fn backward(&self, slopes: &Tensor, _: &[&Tensor], port: usize) -> Tensor {
        slopes * self.factors[port]
    }
}
