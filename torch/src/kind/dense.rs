//! Runs dense layers: a matrix product of feature maps and weights.

use super::pass::{Kind, Pass, Site};
use crate::number::Number;
use dq_net::layer::Dense;
use tch::{Kind as Dtype, Tensor};

/// Holds the weights of a dense layer.
struct Product {
    /// Weights: (channel, row, column) × output.
    weights: Tensor,
    /// The same in f32, output × (channel, row, column), for slopes.
    transposed: Tensor,
    out: Dtype,
}

impl Kind for Dense {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let number = Number::of_weights(&self.weights, site.most());
        let weights: Vec<f32> = self.weights.iter().map(|&w| w.into()).collect();
        let (height, width, channels) = site.inputs[0].shape.dim();
        let shape = [self.weights.dim().0, height, width, channels].map(|size| size as i64);
        let weights = Tensor::from_slice(&weights).reshape(shape).permute([0, 3, 1, 2]).flatten(1, -1);
        let transposed = weights.contiguous().to_device(site.device);
        let weights = transposed.transpose(0, 1).contiguous().to_kind(number.kind());
        Box::new(Product { weights, transposed, out: site.out() })
    }
}

impl Pass for Product {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let levels = inputs[0].flatten(1, -1).to_kind(self.weights.kind());
        levels.mm(&self.weights).to_kind(self.out).unsqueeze(-1).unsqueeze(-1)
    }

    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], _: usize) -> Tensor {
        slopes.flatten(1, -1).mm(&self.transposed).reshape(inputs[0].size())
    }
}
