//! Runs logits: each class's bias is added.

use super::pass::{Kind, Pass, Site};
use crate::number::Number;
use dq_net::layer::Logits;
use tch::{Kind as Dtype, Tensor};

/// Holds the biases.
struct Biases {
    bias: Tensor,
    out: Dtype,
}

impl Kind for Logits {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let bias = || self.bias.iter().map(|&bias| i64::from(bias));
        let most = bias().map(i64::abs).max().expect("checked: not empty");
        Box::new(Biases { bias: site.channels(bias(), Number::holding(site.most() + most)), out: site.out() })
    }
}

impl Pass for Biases {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        (inputs[0].to_kind(self.bias.kind()) + &self.bias).to_kind(self.out)
    }

    fn backward(&self, slopes: &Tensor, _: &[&Tensor], _: usize) -> Tensor {
        slopes.shallow_clone()
    }
}
