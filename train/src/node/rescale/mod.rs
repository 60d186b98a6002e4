//! Normalizes into the fixed-point residual stream.

mod function;

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::{FloatLayer, Layer, LayerProof, Range};
use tch::{Tensor, no_grad};

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Training};
use super::norm::Norm;
use super::normalize::Affine;
use super::proof::{ProofFailure, other_kind, same};
use super::signal::{Signal, Unit};
use super::stream::stream_unit;
use super::sums::fitting;
use crate::tensor::along_channels;
use function::RescaleFunction;

/// Describes a normalization into the residual stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescale {
    /// Number of channels, the same in and out.
    pub channels: usize,
    /// The normalization before the stream.
    pub norm: Norm,
    /// Bits of the stream.
    pub bits: u32,
}

impl Rescale {
    /// Returns normalized values in units of the stream as its levels, with the straight-through gradient.
    fn levels(&self, z: &Tensor) -> Tensor {
        let most = f64::from(1u32 << (self.bits - 1));
        let mut x = z.clamp(-most, most - 1.0);
        let _ = no_grad(|| x.round_());
        x
    }
}

impl Training for Rescale {
    fn size(&self, input: [usize; 2]) -> [usize; 2] {
        input
    }

    fn normalized(&self) -> Option<(usize, Norm)> {
        (self.norm != Norm::None).then_some((self.channels, self.norm))
    }

    fn forward(&self, at: &At, inputs: &[&Signal]) -> Signal {
        let input = inputs[0];
        let unit = stream_unit(self.bits);
        let normalized = self.norm.apply(at, input, 1.0 / unit);
        let x = self.levels(&normalized.z);
        Signal { x, unit: Unit::plain(unit).reaching(normalized.reach(&input.unit)) }
    }

    fn bounds(&self, at: &At, inputs: &[&Signal], ends: &[&Ends]) -> Ends {
        let unit = stream_unit(self.bits);
        let normalized = self.norm.bounds(at, inputs[0], ends[0], 1.0 / unit);
        let width = Some(normalized.mean_width() * unit);
        Ends { width, ..normalized.rising(|z| self.levels(z)) }
    }

    fn exact(&self, at: &Frozen) -> Box<dyn Exact> {
        let (affine, stretch) = self.norm.exact(at);
        let function = match affine {
            Affine::Batch { gain, bias, mean, var } => {
                RescaleFunction::new(&gain, &bias, [&mean, &var], self.bits)
            }
            Affine::Rescaled { factor, bias, mean } => {
                RescaleFunction::rescaled(factor, &bias, &mean, self.bits)
            }
            Affine::Plain { unit, offset } => {
                RescaleFunction::plain((self.channels, at.device), unit, offset, self.bits)
            }
        };
        Box::new(ExactRescale { function, stretch, is_real: !at.integer })
    }
}

/// Holds the exact twin.
#[derive(Debug)]
struct ExactRescale {
    function: RescaleFunction,
    /// Factor by which the real value moves further than that of the input, where weights are rescaled.
    stretch: f64,
    /// Whether the network is not integer: its residual streams are then real too.
    is_real: bool,
}

impl Exact for ExactRescale {
    fn name(&self) -> &'static str {
        "Rescale"
    }

    fn compute(&self, facts: &Facts, inputs: &[&Tensor]) -> Tensor {
        let (input, channels) = (inputs[0], along_channels(inputs[0]));
        if facts.range.is_none() {
            self.function.real(input, channels)
        } else {
            self.function.compute(input, channels)
        }
    }

    fn range(&self, name: &str, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        let inputs = inputs.filter(|_| !self.is_real);
        inputs.map(|inputs| fitting(name, self.function.range(inputs[0]))).transpose()
    }

    fn unit(&self, _: &[&Facts]) -> (f64, f64) {
        (self.function.unit(), 0.0)
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        inputs[0].reach * self.stretch
    }

    fn integer(&self, _: &Place) -> Layer {
        Layer::Rescale(self.function.layer())
    }

    fn float(&self, at: &Place) -> FloatLayer {
        let (gain, offset) = self.function.affine();
        let real = |values: Vec<f64>| values.into_iter().map(|v| v * at.facts.unit).collect::<Vec<f64>>();
        FloatLayer::Affine(float::Affine {
            scale: at.sources[0].gains_by_value(&real(gain)),
            bias: real(offset).into_iter().map(|v| v as f32).collect(),
        })
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::Rescale(rescale) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        same(at.name, "rescale", &self.function.layer(), rescale)?;
        Ok(None)
    }
}
