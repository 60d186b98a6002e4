//! Computes the Logits: the scores, which are accumulators plus a bias per class.

use super::pass::{Backward, Bounds, Feed, Forward, Kind, Site, Through, Twin};
use super::relax::Relax;
use crate::linear::Precision;
use crate::tensor::Tensor;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use dq_net::layer::Logits;

/// Holds one bias per class.
struct Biases(Vec<i32>);

impl Kind for Logits {
    fn forward(&self, _: &Site) -> Box<dyn Forward> {
        Box::new(Biases(self.bias.clone()))
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(self.clone()))
    }

    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Through(1.0))
    }

    fn twin(&self, site: &Site) -> Twin {
        let bias = self.bias.iter().map(|&b| (f64::from(b) * self.scale) as f32).collect();
        let layer = Twin::times(self.scale, site.output.shape.channels);
        Twin::chain(vec![layer, FloatLayer::Logits(float::Logits { bias })])
    }
}

impl Forward for Biases {
    fn run(&self, _: &Site, inputs: &[Feed], count: usize) -> Tensor {
        let (classes, sums) = (self.0.len(), inputs[0].values());
        Tensor::Words((0..count * classes).map(|at| sums.get(at) + self.0[at % classes]).collect())
    }
}
