//! Runs global sums.

use super::pass::{Kind, Pass, Site};
use crate::number::Number;
use dq_net::layer::GlobalSum;
use tch::{Kind as Dtype, Tensor};

/// Holds the floats in which sums are exact.
struct Sums {
    number: Number,
    out: Dtype,
}

impl Kind for GlobalSum {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let shape = site.inputs[0].shape;
        let number = Number::holding((shape.height * shape.width) as i64 * site.most());
        Box::new(Sums { number, out: site.out() })
    }
}

impl Pass for Sums {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        inputs[0].sum_dim_intlist([2i64, 3].as_slice(), true, self.number.kind()).to_kind(self.out)
    }

    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], _: usize) -> Tensor {
        slopes.expand(inputs[0].size(), false).contiguous()
    }
}
