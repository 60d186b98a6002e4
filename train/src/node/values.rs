//! Holds the tensors of a network in training, by name.

use tch::Tensor;

use super::quantizer::{Quantizer, learned};
use super::weights::{QuantizedWeight, Weights, quantize_weight, quantize_weight_by};
use crate::recipe::{Activation, Bits};
use crate::tensor::{Tensors, finite};

/// Holds parameters and statistics, each named `NODE.what`.
#[derive(Debug)]
pub struct Values {
    /// Parameters, fp32, with gradient: `NODE.weight` (latent), `NODE.gain` and `NODE.bias` of batch norm,
    /// `logits.bias`; where they are learned, `NODE.scale` of weights, `NODE.ceiling` of an activation,
    /// `NODE.shares` of a residual.
    pub parameters: Tensors,
    /// Statistics, fp32, without gradient: `NODE.mean` and `NODE.var` of batch norm, in accumulator units.
    pub statistics: Tensors,
}

impl Values {
    /// Returns the parameter `what` of node `name`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn parameter(&self, name: &str, what: &str) -> &Tensor {
        &self.parameters[&format!("{name}.{what}")]
    }

    /// Returns the learned ceiling of node `name`, if it has one.
    pub fn ceiling(&self, name: &str) -> Option<&Tensor> {
        self.parameters.get(&format!("{name}.ceiling"))
    }

    /// Returns the running statistic `what` of node `name`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn statistic(&self, name: &str, what: &str) -> &Tensor {
        &self.statistics[&format!("{name}.{what}")]
    }

    /// Returns the quantized weights of node `name`.
    pub fn weights(&self, name: &str, weights: &Weights) -> QuantizedWeight {
        let latent = self.parameter(name, "weight");
        match (self.parameters.get(&format!("{name}.scale")), weights.bits) {
            (Some(scale), Bits::Int(bits)) => quantize_weight_by(latent, bits, scale),
            _ => quantize_weight(latent, weights.bits, weights.per),
        }
    }

    /// Returns the quantizer of step `name`, with its learned ceiling.
    pub fn quantizer(&self, name: &str, activation: Activation, bits: Bits) -> Quantizer {
        let own = Quantizer::new(activation, bits);
        match self.ceiling(name) {
            Some(ceiling) => Quantizer { ceiling: learned(&ceiling.detach()).double_value(&[0]), ..own },
            None => own,
        }
    }

    /// Returns whether every number of node `name` is finite.
    pub fn is_finite(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        let mut own = self.iter().filter(|(key, _)| key.starts_with(&prefix));
        own.all(|(_, t)| finite(t))
    }

    /// Goes through all tensors with their names, parameters first.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.parameters.iter().chain(&self.statistics)
    }

    /// Returns the same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut Tensor)> {
        self.parameters.iter_mut().chain(&mut self.statistics)
    }

    /// Returns equal tensors that share no memory with these.
    pub fn copy(&self) -> Values {
        let copied = |tensors: &Tensors| {
            let own = |t: &Tensor| t.detach().copy().set_requires_grad(t.requires_grad());
            tensors.iter().map(|(name, t)| (name.clone(), own(t))).collect()
        };
        Values { parameters: copied(&self.parameters), statistics: copied(&self.statistics) }
    }
}
