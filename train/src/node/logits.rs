//! Computes the scores: fully connected, with bias. The exact graph splits this into a dense node and the
//! addition of the biases.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::{Kind, Tensor};

use super::aol;
use super::dense::ExactDense;
use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Training};
use super::proof::{ProofFailure, other_kind, same};
use super::rounding::round_through;
use super::signal::{Signal, Unit};
use super::spectral::matrix_norm;
use super::sums::{biased, fitting};
use super::weights::{Scale, Weights, magnitudes};
use crate::recipe::{BitWidths, Bits};
use crate::tensor::{flat, integers, vector};

/// Name of the dense node that stands before the logits in the exact graph.
const CLASSIFIER: &str = "classifier";

/// Describes the scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logits {
    /// Number of input elements.
    pub inputs: usize,
    /// Number of classes.
    pub classes: usize,
    /// Bits of a weight.
    pub bits: Bits,
    /// Largest Lipschitz constant of the scores: how many times further than the image they move at most,
    /// where all weights are rescaled.
    pub bound: Option<f64>,
}

/// Holds what scores are made of in training: (levels·x + bias)·scale.
struct Scores {
    /// Weights, classes × in.
    levels: Tensor,
    /// Biases in units of a score.
    bias: Tensor,
    /// Real logit of one unit of a score: one element.
    scale: Tensor,
}

impl Logits {
    fn weights_here(&self) -> Weights {
        Weights {
            shape: [self.classes, self.inputs].map(|n| n as i64).to_vec(),
            bits: self.bits,
            per: Scale::Tensor,
            stride: 1,
            spread: 1.0,
        }
    }

    /// Returns what scores are made of in training, for an input of `unit`.
    fn scores(&self, at: &At, unit: &Unit) -> Scores {
        let weight = at.values.weights(at.name, &self.weights_here());
        let one = unit.tensor(weight.levels.device());
        // These are the values of one unit of a score, before the bound and with it.
        let (score, scale) = match (self.bound, &unit.reach) {
            (Some(bound), Some(reach)) => {
                let score = aol::least_gain(&weight.levels) * one;
                (score.shallow_clone(), score / reach * bound)
            }
            _ => {
                let scale = weight.scale.reshape([1]) * one;
                (scale.shallow_clone(), scale)
            }
        };
        let bias = at.values.parameter(at.name, "bias") / score;
        let bias = if self.bits == Bits::Float { bias } else { round_through(&bias) };
        Scores { levels: weight.levels, bias, scale }
    }

    /// Returns the exact weights, what a unit of a score is worth before the bound, and what it is worth with
    /// it.
    fn exact_scores(&self, at: &Frozen) -> (Tensor, f64, f64) {
        let quantized = at.values.weights(at.name, &self.weights_here());
        let weights = quantized.levels.detach().to_device(at.device).to_kind(Kind::Double);
        let source = at.source.expect("logits read a node").facts;
        let Some(bound) = self.bound else {
            let score = vector(&quantized.scale.detach())[0] * source.unit;
            return (weights, score, score);
        };
        let gains = aol::exact_gains(&weights, 1, self.bits != Bits::Float);
        let score = gains.into_iter().fold(f64::INFINITY, f64::min) * source.unit;
        (weights, score, score / source.reach * bound)
    }
}

impl Training for Logits {
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

    fn parameters(&self, _: &BitWidths) -> Vec<(&'static str, Tensor)> {
        vec![("bias", Tensor::zeros([self.classes as i64], (Kind::Float, tch::Device::Cpu)))]
    }

    fn forward(&self, at: &At, inputs: &[&Signal]) -> Signal {
        let Scores { levels, bias, scale } = self.scores(at, &inputs[0].unit);
        let scores = (flat(&inputs[0].x).to_kind(Kind::Float).matmul(&levels.tr()) + bias) * scale;
        Signal { x: scores, unit: Unit::plain(1.0) }
    }

    fn bounds(&self, at: &At, inputs: &[&Signal], ends: &[&Ends]) -> Ends {
        let Scores { levels, bias, scale } = self.scores(at, &inputs[0].unit);
        let magnitudes = magnitudes(&levels, at.values.parameter(at.name, "weight"));
        let sums = ends[0].sums((&levels, &magnitudes), |x, weights| flat(x).matmul(&weights.tr()));
        sums.rising(|x| (x + &bias) * &scale)
    }

    /// The weights of two classes are subtracted before they meet the bounds: what both read alike does not
    /// widen their difference.
    fn least_leads(&self, at: &At, input: &Signal, ends: &Ends, labels: &Tensor) -> Option<Tensor> {
        let Scores { levels, bias, scale } = self.scores(at, &input.unit);
        let (middle, half) = ends.middle();
        let classes = self.classes as i64;
        let at_middle = flat(&middle).matmul(&levels.tr()) + bias;
        let ahead = at_middle.gather(1, &labels.unsqueeze(1), false) - at_middle;
        let apart = |weights: &Tensor| weights.unsqueeze(1) - weights.unsqueeze(0);
        // One scale serves all classes: levels differ in the direction in which latent weights do, or not at all.
        let apart = magnitudes(&apart(&levels), &apart(at.values.parameter(at.name, "weight")));
        let apart = apart.reshape([classes * classes, -1]);
        let pairs = flat(&half).matmul(&apart.tr()).reshape([-1, classes, classes]);
        let own = labels.reshape([-1, 1, 1]).expand([-1, 1, classes], false);
        Some((ahead - pairs.gather(1, &own, false).squeeze_dim(1)) * scale)
    }

    fn bound(&self) -> Option<f64> {
        self.bound
    }

    fn exact_before(&self, at: &Frozen) -> Option<(&'static str, Box<dyn Exact>)> {
        let (weights, _, scale) = self.exact_scores(at);
        let unit = at.source.expect("logits read a node").facts.unit;
        let scale = match self.bound {
            Some(_) => vec![scale / unit],
            None => vector(&at.values.weights(at.name, &self.weights_here()).scale.detach()),
        };
        Some((CLASSIFIER, Box::new(ExactDense { weights, scale, bits: self.bits })))
    }

    fn exact(&self, at: &Frozen) -> Box<dyn Exact> {
        let (_, score, scale) = self.exact_scores(at);
        // The division happens on the CPU: a GPU divides by a number by multiplying with its inverse.
        let real = vector(at.values.parameter(at.name, "bias")).into_iter().map(|b| b / score);
        let whole = |b: f64| if self.bits == Bits::Float { b } else { b.round_ties_even() };
        let bias: Vec<f64> = real.map(whole).collect();
        Box::new(ExactLogits { bias: Tensor::from_slice(&bias).to_device(at.device), scale })
    }
}

/// Adds the biases.
#[derive(Debug)]
struct ExactLogits {
    /// Biases in whole accumulator units, or real ones where weights are float.
    bias: Tensor,
    /// Real logit of one unit of a score.
    scale: f64,
}

impl Exact for ExactLogits {
    fn name(&self) -> &'static str {
        "Logits"
    }

    fn compute(&self, _: &Facts, inputs: &[&Tensor]) -> Tensor {
        inputs[0] + &self.bias
    }

    fn range(&self, name: &str, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        inputs.map(|inputs| fitting(name, biased(inputs[0], &self.bias))).transpose()
    }

    fn unit(&self, inputs: &[&Facts]) -> (f64, f64) {
        (inputs[0].unit, inputs[0].offset)
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        inputs[0].reach
    }

    fn scale(&self) -> Option<f64> {
        Some(self.scale)
    }

    fn integer(&self, _: &Place) -> Layer {
        let bias = integers(&self.bias).into_iter().map(|b| b as i32).collect();
        Layer::Logits(layer::Logits { bias, scale: self.scale })
    }

    fn float(&self, _: &Place) -> FloatLayer {
        let bias = vector(&self.bias).into_iter().map(|b| (b * self.scale) as f32).collect();
        FloatLayer::Logits(float::Logits { bias })
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::Logits(logits) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        let integer: Vec<i64> = logits.bias.iter().map(|&b| b.into()).collect();
        same(at.name, "bias", &integers(&self.bias), &integer)?;
        same(at.name, "scale", &self.scale, &logits.scale)?;
        Ok(None)
    }
}
