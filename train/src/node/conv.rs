//! Convolves with a square kernel, zero padding on every side, and no bias.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::layer::window::Axis;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::{Kind, Tensor};

use super::convolve::convolve;
use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Sums, Training};
use super::proof::{ProofFailure, other_kind, same, same_elements};
use super::signal::Signal;
use super::spectral::conv_norm;
use super::sums::{dot_range, exact_format, kernel_last, rounded, scaled, whole};
use super::weights::{Scale, Weights, magnitudes};
use crate::recipe::Bits;
use crate::tensor::vector;

/// Describes a convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// Size of the kernel along rows and columns.
    pub kernel: usize,
    /// Distance between two windows along rows and columns.
    pub stride: usize,
    /// Padding on each side.
    pub pad: usize,
    /// Bits of a weight.
    pub bits: Bits,
}

impl Conv {
    /// Returns rows and columns of the output, or `None` where the kernel does not fit a map of `input`.
    pub fn output(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        let axis = Axis { kernel: self.kernel, stride: self.stride, before: self.pad, after: self.pad };
        let [height, width] = input.map(|n| axis.output(n, "map").ok());
        Some([height?, width?])
    }

    fn weights_here(&self) -> Weights {
        Weights {
            shape: [self.outputs, self.inputs, self.kernel, self.kernel].map(|n| n as i64).to_vec(),
            bits: self.bits,
            per: Scale::Channel,
            stride: self.stride,
            spread: 2.0,
        }
    }
}

impl Training for Conv {
    fn size(&self, input: [usize; 2]) -> [usize; 2] {
        self.output(input).expect("checked when it was built")
    }

    fn weights(&self) -> Option<Weights> {
        Some(self.weights_here())
    }

    fn spectral_norm(&self, weight: &Tensor, [height, width]: [usize; 2]) -> Option<f64> {
        Some(conv_norm(weight, [self.inputs, height, width], self.stride, self.pad))
    }

    fn bits(&self) -> Option<Bits> {
        Some(self.bits)
    }

    fn bits_mut(&mut self) -> Option<&mut Bits> {
        Some(&mut self.bits)
    }

    fn forward(&self, at: &At, inputs: &[&Signal]) -> Signal {
        let input = inputs[0];
        let levels = at.values.weights(at.name, &self.weights_here()).levels.to_kind(input.x.kind());
        Signal { x: convolve(&input.x, &levels, self.stride, self.pad), unit: input.unit.same() }
    }

    fn bounds(&self, at: &At, _: &[&Signal], ends: &[&Ends]) -> Ends {
        let levels = at.values.weights(at.name, &self.weights_here()).levels;
        let magnitudes = magnitudes(&levels, at.values.parameter(at.name, "weight"));
        ends[0].sums((&levels, &magnitudes), |x, weights| convolve(x, weights, self.stride, self.pad))
    }

    fn exact(&self, at: &Frozen) -> Box<dyn Exact> {
        let weights = at.values.weights(at.name, &self.weights_here());
        Box::new(ExactConv {
            weights: weights.levels.detach().to_device(at.device).to_kind(Kind::Double),
            scale: vector(&weights.scale.detach()),
            stride: self.stride,
            pad: self.pad,
            bits: self.bits,
        })
    }
}

/// Holds the exact twin.
#[derive(Debug)]
struct ExactConv {
    /// Weights, out × in × k × k: whole numbers, or real ones where `bits` is float.
    weights: Tensor,
    /// Scale of the weights, one per output channel.
    scale: Vec<f64>,
    stride: usize,
    pad: usize,
    bits: Bits,
}

impl Exact for ExactConv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn compute(&self, facts: &Facts, inputs: &[&Tensor]) -> Tensor {
        let (input, weights) = (inputs[0].to_kind(facts.format), self.weights.to_kind(facts.format));
        let sums = convolve(&input.contiguous(), &weights, self.stride, self.pad);
        rounded(sums.to_kind(Kind::Double), facts)
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

    fn number_format(&self, input: Option<Range>) -> Kind {
        exact_format(&self.weights, self.bits, input)
    }

    fn sums(&self) -> Option<Sums<'_>> {
        let ExactConv { weights, scale, stride, bits, .. } = self;
        Some(Sums { weights, scale, stride: *stride, bits: *bits })
    }

    fn integer(&self, _: &Place) -> Layer {
        Layer::Conv(layer::Conv {
            weights: kernel_last(&self.weights, |v| v as i8),
            weight_bits: whole(self.bits),
            stride: [self.stride; 2],
            pad: [self.pad; 4],
            pad_level: 0,
            groups: 1,
        })
    }

    fn float(&self, _: &Place) -> FloatLayer {
        FloatLayer::Conv(float::Conv {
            weights: kernel_last(&scaled(&self.weights, &self.scale), |v| v as f32),
            stride: [self.stride; 2],
            pad: [self.pad; 4],
            groups: 1,
        })
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::Conv(conv) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        same(at.name, "weight bits", &self.bits, &Bits::Int(conv.weight_bits.into()))?;
        let float = kernel_last(&self.weights, |v| v as i64).into_dyn();
        same_elements(at.name, "weights", &float, &conv.weights.mapv(i64::from).into_dyn())?;
        let window = (&[self.pad; 4], &[self.stride; 2], &1);
        same(at.name, "pad, stride and groups", &window, &(&conv.pad, &conv.stride, &conv.groups))?;
        same(at.name, "pad_level", &0, &conv.pad_level)?;
        Ok(None)
    }
}
