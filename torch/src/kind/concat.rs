//! Runs Concat: the channels of two streams stand beside each other.

use super::pass::{Kind, Pass, Site};
use dq_net::layer::Concat;
use tch::{Kind as Dtype, Tensor};

/// Holds the floats of the output.
struct Beside(Dtype);

impl Kind for Concat {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        Box::new(Beside(site.out()))
    }
}

impl Pass for Beside {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let both = [inputs[0].to_kind(self.0), inputs[1].to_kind(self.0)];
        Tensor::cat(&both, 1)
    }

    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], port: usize) -> Tensor {
        let first = if port == 0 { 0 } else { inputs[0].size()[1] };
        slopes.narrow(1, first, inputs[port].size()[1]).contiguous()
    }
}
