//! Defines what a kind of node is asked for: by training, and by the exact evaluation, its export and its
//! proof. Each kind answers in a file of its own; none knows an architecture, and none knows another kind.

use std::fmt::Debug;

use anyhow::Result;
use dq_net::{FloatLayer, Layer, LayerProof, Range};
use tch::{Device, Kind, Tensor};

use super::ends::Ends;
use super::norm::Norm;
use super::proof::ProofFailure;
use super::signal::Signal;
use super::values::Values;
use super::weights::Weights;
use crate::recipe::{BitWidths, Bits};
use crate::tensor::Tensors;

/// Answers for a kind of node in a training graph.
pub trait Training {
    /// Returns rows and columns of the output, from those of the first input.
    fn size(&self, input: [usize; 2]) -> [usize; 2];

    /// Describes the weights, if this kind has some.
    fn weights(&self) -> Option<Weights> {
        None
    }

    /// Returns the spectral norm of `weight` (as it is computed with) as a linear map on maps of `input` rows
    /// and columns.
    fn spectral_norm(&self, weight: &Tensor, input: [usize; 2]) -> Option<f64> {
        let _ = (weight, input);
        None
    }

    /// Returns the bits of weights or levels, where a recipe sets them.
    fn bits_mut(&mut self) -> Option<&mut Bits> {
        None
    }

    /// Returns the same bits, to read.
    fn bits(&self) -> Option<Bits> {
        None
    }

    /// Says how many channels are normalized by what is measured of them, and how, if this kind does that.
    fn normalized(&self) -> Option<(usize, Norm)> {
        None
    }

    /// Returns the parameters that it has besides weights and those of its normalization, as they start.
    fn parameters(&self, bits: &BitWidths) -> Vec<(&'static str, Tensor)> {
        let _ = bits;
        Vec::new()
    }

    /// Computes the output, with straight-through gradients.
    fn forward(&self, at: &At, inputs: &[&Signal]) -> Signal;

    /// Bounds the output over boxes of images, of which `ends` bound the inputs, in the numbers that
    /// [`forward`](Self::forward) computes. `inputs` are those of the batch of images inside the boxes: in
    /// training, batch norm goes by them.
    fn bounds(&self, at: &At, inputs: &[&Signal], ends: &[&Ends]) -> Ends;

    /// Returns by how much the score of each image's label leads that of each class at least (batch ×
    /// classes; 0 for the label itself), where this is the node of the logits. `input` and `ends` are those
    /// of [`bounds`](Self::bounds).
    fn least_leads(&self, at: &At, input: &Signal, ends: &Ends, labels: &Tensor) -> Option<Tensor> {
        let _ = (at, input, ends, labels);
        None
    }

    /// Returns the bound that the logits keep, where this is the node of the logits and it has one.
    fn bound(&self) -> Option<f64> {
        None
    }

    /// Returns the exact twin.
    fn exact(&self, at: &Frozen) -> Box<dyn Exact>;

    /// Returns a node that the exact graph has before the twin, with its name.
    fn exact_before(&self, at: &Frozen) -> Option<(&'static str, Box<dyn Exact>)> {
        let _ = at;
        None
    }
}

/// Says where a node stands in a forward pass of training.
pub struct At<'a> {
    /// Name of the node.
    pub name: &'a str,
    /// All tensors of the network.
    pub values: &'a Values,
    /// What the pass is for.
    pub mode: Mode,
    /// The node that the first input comes from and its weights, where it has some.
    pub source: Option<(&'a str, Weights)>,
}

/// Says what a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Evaluation: batch norm goes by running statistics.
    Evaluate,
    /// Training: batch norm goes by the batch, which also enters the running statistics.
    Train,
    /// Training in which each learned ceiling is set from the values that reach it; otherwise like `Train`.
    Fit,
}

/// Says where a node stands when its exact twin is made.
pub struct Frozen<'a> {
    /// Name of the node.
    pub name: &'a str,
    /// The trained tensors.
    pub values: &'a Values,
    /// Mean and variance of every normalized channel, as f64.
    pub statistics: &'a Tensors,
    /// The exact node that the first input comes from; `None` for the image.
    pub source: Option<Source<'a>>,
    /// Whether all weights and activations of the network are quantized.
    pub integer: bool,
    /// Height, width and channels of an image.
    pub image: [usize; 3],
    /// The device that computes the exact graph.
    pub device: Device,
}

/// Answers for a kind of node in the exact evaluation graph, with its constants in f64.
pub trait Exact: Debug {
    /// Returns its name in a proof's failure.
    fn name(&self) -> &'static str;

    /// Computes the output for its inputs (batch first, then channels, f64).
    fn compute(&self, facts: &Facts, inputs: &[&Tensor]) -> Tensor;

    /// Returns every value that it can put out, from the ranges of its inputs (`None` where those are not
    /// whole numbers); `None` where its values are not whole numbers.
    fn range(&self, name: &str, inputs: Option<&[Range]>) -> Result<Option<Range>>;

    /// Returns the real values of one unit and of 0, from what is known of its inputs.
    fn unit(&self, inputs: &[&Facts]) -> (f64, f64);

    /// Returns how many times further than the image its real value moves at most, in the Euclidean norm and
    /// quantizers aside, from that of its inputs.
    fn reach(&self, inputs: &[&Facts]) -> f64;

    /// Returns whether its output is batch × channels, from whether its first input is.
    fn is_flat(&self, input: bool) -> bool {
        input
    }

    /// Returns the number format in which its sums of products are exact, where its input is of a known
    /// range.
    fn number_format(&self, input: Option<Range>) -> Kind {
        let _ = input;
        Kind::Float
    }

    /// Describes its sums of products, if it has some.
    fn sums(&self) -> Option<Sums<'_>> {
        None
    }

    /// Returns the real logit of one unit of a score, where this is the node of the logits.
    fn scale(&self) -> Option<f64> {
        None
    }

    /// Returns the layer of an integer network.
    fn integer(&self, at: &Place) -> Layer;

    /// Returns the layer of a float network, in real values: a pixel is uint8 / 255, scales are multiplied
    /// in.
    fn float(&self, at: &Place) -> FloatLayer;

    /// Compares its constants with those of `layer`, and returns the proof of a step.
    ///
    /// # Errors
    /// The first difference.
    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure>;
}

/// Holds what is known of an exact node's output.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Range of its values; `None` where values are not whole numbers.
    pub range: Option<Range>,
    /// Real value of one unit. For accumulators it is that of the input's unit.
    pub unit: f64,
    /// Real value of the number 0.
    pub offset: f64,
    /// Lipschitz bound from the image to this output: how many times further than the image it moves at most,
    /// where all weights before it are rescaled.
    pub reach: f64,
    /// Whether its shape is batch × channels, without positions.
    pub flat: bool,
    /// The number format of its convolution, which is exact where values are whole numbers.
    pub format: Kind,
}

/// Holds the sums of products of an exact convolution or dense layer.
#[derive(Debug, Clone, Copy)]
pub struct Sums<'a> {
    /// Weights, out × in (× k × k): whole numbers, or real ones where `bits` is float.
    pub weights: &'a Tensor,
    /// Real value of one unit of a weight: one per output channel, or one for all.
    pub scale: &'a [f64],
    /// Distance between two windows along rows and columns.
    pub stride: usize,
    /// Bits of a weight.
    pub bits: Bits,
}

/// Describes an exact node that another one reads.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The known facts about its output.
    pub facts: &'a Facts,
    /// Its sums of products, if it has some.
    pub sums: Option<Sums<'a>>,
}

impl Source<'_> {
    /// Returns the real value of one unit of channel `c`. In an accumulator's the scale of the weights is
    /// included.
    pub fn real_unit(&self, c: usize) -> f64 {
        match self.sums {
            Some(Sums { scale, .. }) => scale[if scale.len() == 1 { 0 } else { c }] * self.facts.unit,
            None => self.facts.unit,
        }
    }

    /// Returns gains per unit, one per channel, as gains per real value.
    pub fn gains_by_value(&self, gains: &[f64]) -> Vec<f32> {
        gains.iter().enumerate().map(|(c, gain)| (gain / self.real_unit(c)) as f32).collect()
    }
}

/// Says where an exact node stands when it is exported or proved.
pub struct Place<'a> {
    /// Name of the node.
    pub name: &'a str,
    /// The known facts about its output.
    pub facts: &'a Facts,
    /// The nodes that it reads.
    pub sources: Vec<Source<'a>>,
}

impl Place<'_> {
    /// Returns the range of the first input.
    ///
    /// # Panics
    /// Where that is not of whole numbers.
    pub fn input_range(&self) -> Range {
        self.sources[0].facts.range.expect("quantized weights on levels give whole numbers")
    }
}
