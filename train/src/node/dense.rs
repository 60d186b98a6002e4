//! Sums the feature map in stream order (channels fastest) with weights: fully connected, no bias.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::{Kind, Tensor};

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Sums, Training};
use super::proof::{ProofFailure, other_kind, same, same_elements};
use super::signal::Signal;
use super::spectral::matrix_norm;
use super::sums::{dot_range, matrix, rounded, scaled, whole};
use super::weights::{Scale, Weights, magnitudes};
use crate::recipe::Bits;
use crate::tensor::{flat, vector};

/// Describes a dense layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dense {
    /// Number of input elements.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Bits of a weight.
    pub bits: Bits,
}

impl Dense {
    fn weights_here(&self) -> Weights {
        Weights {
            shape: [self.outputs, self.inputs].map(|n| n as i64).to_vec(),
            bits: self.bits,
            per: Scale::Channel,
            stride: 1,
            spread: 2.0,
        }
    }
}

impl Training for Dense {
    fn size(&self, _: [usize; 2]) -> [usize; 2] {
        [1, 1]
    }

    fn weights(&self) -> Option<Weights> {
        Some(self.weights_here())
    }

    fn spectral_norm(&self, weight: &Tensor, _: [usize; 2]) -> Option<f64> {
        Some(matrix_norm(weight))
    }

    fn bits(&self) -> Option<Bits> {
        Some(self.bits)
    }

    fn bits_mut(&mut self) -> Option<&mut Bits> {
        Some(&mut self.bits)
    }

    fn forward(&self, at: &At, inputs: &[&Signal]) -> Signal {
        let input = inputs[0];
        let levels = at.values.weights(at.name, &self.weights_here()).levels;
        let x = flat(&input.x).matmul(&levels.tr().to_kind(input.x.kind()));
        Signal { x, unit: input.unit.same() }
    }

    fn bounds(&self, at: &At, _: &[&Signal], ends: &[&Ends]) -> Ends {
        let levels = at.values.weights(at.name, &self.weights_here()).levels;
        let magnitudes = magnitudes(&levels, at.values.parameter(at.name, "weight"));
        ends[0].sums((&levels, &magnitudes), |x, weights| flat(x).matmul(&weights.tr()))
    }

    fn exact(&self, at: &Frozen) -> Box<dyn Exact> {
        let weights = at.values.weights(at.name, &self.weights_here());
        let levels = weights.levels.detach().to_device(at.device).to_kind(Kind::Double);
        Box::new(ExactDense { weights: levels, scale: vector(&weights.scale.detach()), bits: self.bits })
    }
}

/// Holds the exact twin.
#[derive(Debug)]
pub struct ExactDense {
    /// Weights, out × in: whole numbers, or real ones where `bits` is float.
    pub weights: Tensor,
    /// Scale of the weights: one per output, or one for all.
    pub scale: Vec<f64>,
    /// Bits of a weight.
    pub bits: Bits,
}

impl Exact for ExactDense {
    fn name(&self) -> &'static str {
        "Dense"
    }

    fn compute(&self, facts: &Facts, inputs: &[&Tensor]) -> Tensor {
        rounded(flat(inputs[0]).matmul(&self.weights.tr()), facts)
    }

    fn range(&self, name: &str, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        dot_range(name, &self.weights, self.bits, inputs)
    }

    fn unit(&self, inputs: &[&Facts]) -> (f64, f64) {
        (inputs[0].unit, inputs[0].offset)
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        inputs[0].reach
    }

    fn is_flat(&self, _: bool) -> bool {
        true
    }

    fn sums(&self) -> Option<Sums<'_>> {
        let ExactDense { weights, scale, bits } = self;
        Some(Sums { weights, scale, stride: 1, bits: *bits })
    }

    fn integer(&self, _: &Place) -> Layer {
        let weights = matrix(&self.weights, |v| v as i8);
        Layer::Dense(layer::Dense { weights, weight_bits: whole(self.bits) })
    }

    fn float(&self, _: &Place) -> FloatLayer {
        FloatLayer::Dense(float::Dense { weights: matrix(&scaled(&self.weights, &self.scale), |v| v as f32) })
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::Dense(dense) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        same(at.name, "weight bits", &self.bits, &Bits::Int(dense.weight_bits.into()))?;
        let float = matrix(&self.weights, |v| v as i64).into_dyn();
        same_elements(at.name, "weights", &float, &dense.weights.mapv(i64::from).into_dyn())?;
        Ok(None)
    }
}
