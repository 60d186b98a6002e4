//! Combines normalization, activation and quantizer.
//!
//! Streams of levels count from 0 in training too, also where level 0 stands for −1 (tanh, sign): batch
//! norm and the logits' bias take the constant away, as they do in the integer network.

mod function;
mod proof;

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::layer::Surrogate;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::{Kind, Tensor};

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Mode, Place, Training};
use super::norm::Norm;
use super::normalize::Affine;
use super::proof::{ProofFailure, other_kind};
use super::quantizer::{Quantizer, top_level};
use super::signal::{Signal, Unit};
use super::sums::whole;
use crate::recipe::{Activation, BitWidths, Bits, StepSize};
use crate::tensor::along_channels;
use function::StepFunction;

/// Describes a normalization with an activation and its quantizer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Number of channels, the same in and out.
    pub channels: usize,
    /// The normalization before the activation.
    pub norm: Norm,
    /// The activation that is quantized.
    pub activation: Activation,
    /// Bits of a level.
    pub bits: Bits,
}

impl Step {
    /// Sets a learned ceiling from what reaches it: 2·√top times the mean of what is above 0 (LSQ).
    fn fit(&self, ceiling: &Tensor, z: &Tensor) {
        let top = if let Bits::Int(bits) = self.bits { top_level(bits) as f64 } else { 1.0 };
        let above = z.to_kind(Kind::Float).clamp_min(0.0);
        let mean = above.sum(Kind::Float) / above.gt(0.0).sum(Kind::Float).clamp_min(1.0);
        ceiling.shallow_clone().copy_(&(mean * (2.0 * top.sqrt())).clamp_min(1e-3).reshape([1]));
    }

    fn unit(&self, ceiling: Option<&Tensor>) -> Unit {
        let own = Quantizer::new(self.activation, self.bits);
        match (ceiling, self.bits) {
            (Some(ceiling), Bits::Int(_)) => Unit::learned(own.unit() / own.ceiling, ceiling),
            _ => Unit::plain(own.unit()).from(own.offset()),
        }
    }
}

impl Training for Step {
    fn size(&self, input: [usize; 2]) -> [usize; 2] {
        input
    }

    fn bits(&self) -> Option<Bits> {
        Some(self.bits)
    }

    fn bits_mut(&mut self) -> Option<&mut Bits> {
        Some(&mut self.bits)
    }

    fn normalized(&self) -> Option<(usize, Norm)> {
        (self.norm != Norm::None).then_some((self.channels, self.norm))
    }

    fn parameters(&self, bits: &BitWidths) -> Vec<(&'static str, Tensor)> {
        if bits.activation_step == StepSize::Fixed {
            return Vec::new();
        }
        let ceiling = Quantizer::new(self.activation, self.bits).ceiling;
        vec![("ceiling", Tensor::full([1], ceiling, (Kind::Float, tch::Device::Cpu)))]
    }

    fn forward(&self, at: &At, inputs: &[&Signal]) -> Signal {
        let input = inputs[0];
        let normalized = self.norm.apply(at, input, 1.0);
        let ceiling = at.values.ceiling(at.name);
        if let (Mode::Fit, Some(ceiling)) = (at.mode, ceiling) {
            self.fit(ceiling, &normalized.z);
        }
        let x = Quantizer::new(self.activation, self.bits).train(&normalized.z, ceiling);
        Signal { x, unit: self.unit(ceiling).reaching(normalized.reach(&input.unit)) }
    }

    fn bounds(&self, at: &At, inputs: &[&Signal], ends: &[&Ends]) -> Ends {
        let normalized = self.norm.bounds(at, inputs[0], ends[0], 1.0);
        let ceiling = at.values.ceiling(at.name);
        let quantizer = Quantizer::new(self.activation, self.bits);
        Ends { width: Some(normalized.mean_width()), ..normalized.rising(|z| quantizer.train(z, ceiling)) }
    }

    fn exact(&self, at: &Frozen) -> Box<dyn Exact> {
        let quantizer = at.values.quantizer(at.name, self.activation, self.bits);
        let (affine, stretch) = self.norm.exact(at);
        let function = match affine {
            Affine::Batch { gain, bias, mean, var } => {
                StepFunction::new(&gain, &bias, [&mean, &var], quantizer)
            }
            Affine::Rescaled { factor, bias, mean } => {
                StepFunction::rescaled(factor, &bias, &mean, quantizer)
            }
            Affine::Plain { unit, offset } => {
                StepFunction::plain((self.channels, at.device), unit, offset, quantizer)
            }
        };
        Box::new(ExactStep { function, stretch })
    }
}

/// Holds the exact twin.
#[derive(Debug)]
struct ExactStep {
    function: StepFunction,
    /// Factor by which the real value moves further than that of the input, where weights are rescaled.
    stretch: f64,
}

impl ExactStep {
    /// Returns the integer step, over the whole range of its accumulator.
    fn layer(&self, at: &Place) -> layer::Step {
        let range = at.input_range();
        let found = self.function.boundaries(range.lo, range.hi);
        let narrow = |v: &[i64]| v.iter().map(|&v| v as i32).collect();
        layer::Step {
            bits: whole(self.function.quantizer().bits),
            thresholds: layer::Step::clip_thresholds(&found.thresholds, &found.dir, range),
            surrogate: Surrogate {
                gain: found.gain,
                open_lo: narrow(&found.open_lo),
                open_hi: narrow(&found.open_hi),
                unit: at.facts.unit,
            },
            dir: found.dir,
        }
    }
}

impl Exact for ExactStep {
    fn name(&self) -> &'static str {
        "Step"
    }

    fn compute(&self, _: &Facts, inputs: &[&Tensor]) -> Tensor {
        self.function.levels(inputs[0], along_channels(inputs[0]))
    }

    fn range(&self, _: &str, _: Option<&[Range]>) -> Result<Option<Range>> {
        Ok(match self.function.quantizer().bits {
            Bits::Float => None,
            Bits::Int(bits) => Some(Range::levels(bits as u8)),
        })
    }

    fn unit(&self, _: &[&Facts]) -> (f64, f64) {
        let quantizer = self.function.quantizer();
        (quantizer.unit(), quantizer.offset())
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        inputs[0].reach * self.stretch
    }

    fn integer(&self, at: &Place) -> Layer {
        Layer::Step(self.layer(at))
    }

    fn float(&self, at: &Place) -> FloatLayer {
        let narrow = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
        let (gain, offset) = self.function.affine();
        let scale = at.sources[0].gains_by_value(&gain);
        let bias = narrow(offset);
        let quantizer = self.function.quantizer();
        if quantizer.is_bipolar() {
            let points = narrow(quantizer.points());
            return FloatLayer::Levels(float::Levels { scale, bias, points, unit: at.facts.unit as f32 });
        }
        let bits = match quantizer.bits {
            Bits::Float => None,
            Bits::Int(bits) => Some(bits as u8),
        };
        FloatLayer::Activation(float::Activation { scale, bias, ceiling: quantizer.ceiling as f32, bits })
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::Step(step) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        proof::prove(at, &self.function, step).map(Some)
    }
}
