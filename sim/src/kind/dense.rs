//! Computes a Dense: every input times its weights, by the integer kernels.

use super::pass::{Backward, Bounds, Forward, Kind, Site, Twin};
use super::relax::Relax;
use super::relax::weights::Weights;
use super::weighted::{SIGNS, centred};
use crate::linear::{FixedLinear, Linear, Precision, RealLinear};
use crate::tensor::Tensor;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use dq_net::layer::Dense;

impl Kind for Dense {
    fn forward(&self, site: &Site) -> Box<dyn Forward> {
        Box::new(Linear::dense(site.kernel, self, site.input()))
    }

    fn bounds(&self, site: &Site) -> Bounds {
        if let Some([twice, apart]) = centred(site, self.weights.iter()) {
            let sizes = Dense { weights: self.weights.mapv(i8::abs), ..self.clone() };
            return Bounds::Centred(Box::new(
                [(self, twice), (&sizes, apart)]
                    .map(|(layer, input)| Linear::dense(site.kernel, layer, input)),
            ));
        }
        let half = |sign: fn(i8) -> i8| {
            let half = Dense { weights: self.weights.mapv(sign), ..self.clone() };
            Linear::dense(site.kernel, &half, site.input())
        };
        Bounds::Signed(Box::new(SIGNS.map(half)))
    }

    fn relaxation(&self, site: &Site) -> Option<Box<dyn Relax>> {
        let transposed = FixedLinear::dense(site.kernel, self);
        Some(Box::new(Weights { transposed, padding: None }))
    }

    fn backward(&self, site: &Site, precision: Precision) -> Box<dyn Backward> {
        match precision {
            Precision::Int16 => Box::new(FixedLinear::dense(site.kernel, self)),
            Precision::Float => Box::new(RealLinear::dense(self.weights.mapv(f32::from).t())),
        }
    }

    fn twin(&self, _: &Site) -> Twin {
        Twin::one(FloatLayer::Dense(float::Dense { weights: self.weights.mapv(f32::from) }))
    }

    fn weight_slopes(&self, _: &Site, input: &Tensor, slopes: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = self.weights.dim();
        let levels: Vec<f32> = input.words().iter().map(|&v| v as f32).collect();
        let mut found = vec![0.0; outputs * inputs];
        for (slopes, levels) in slopes.chunks_exact(outputs).zip(levels.chunks_exact(inputs)) {
            for (into, &slope) in found.chunks_exact_mut(inputs).zip(slopes) {
                into.iter_mut().zip(levels).for_each(|(to, &level)| *to += slope * level);
            }
        }
        found
    }
}
