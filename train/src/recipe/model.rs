//! Defines `[model]` and `[squeeze]`: what the network is.

use serde::{Deserialize, Serialize};

/// Holds `[model]`: the architecture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// The family of networks.
    pub architecture: Architecture,
    /// `vgg`, `strided`: output channels of each block's convolutions. A 2×2 max pool ends each block of `vgg`,
    /// and the last convolution of each block of `strided` has stride 2.
    pub blocks: Vec<Vec<usize>>,
    /// `vgg`, `strided`, `cnv`, `mlp`: widths of hidden dense layers before the logits.
    pub dense: Vec<usize>,
    /// `vgg`, `strided`: kernel size of every convolution, odd.
    pub kernel: usize,
    /// `wrn`: depth 6n + 4. `resnet`: depth 18 (four groups of 64 to 512 channels) or 6n + 2 (three of 16 to
    /// 64).
    pub depth: usize,
    /// `wrn`, `resnet`, `cnv`: factor that multiplies the family's channels; fractions are allowed.
    pub width: f64,
    /// `wrn`, `resnet`: how a block's two streams meet.
    pub residual: Residual,
    /// `wrn`, `resnet`: bits of the fixed-point residual stream.
    pub stream_bits: u32,
    /// Activation before the quantizer.
    pub activation: Activation,
    /// The normalization between accumulators and activation.
    pub normalization: Normalization,
    /// `aol`: Lipschitz bound of the logits, that is how many times further than the image (pixels 0…1) they
    /// move at most, in the Euclidean norm.
    pub lipschitz: f64,
}

/// Names the families of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// A chain of padded convolutions and pools, a global sum, dense layers (Simonyan, Zisserman 2015).
    Vgg,
    /// A chain of padded convolutions, the last of each block with stride 2, and dense layers over the map
    /// (Gowal 2018).
    Strided,
    /// WideResNet, pre-activation (Zagoruyko, Komodakis 2016).
    Wrn,
    /// ResNet, post-activation (He 2015).
    Resnet,
    /// FINN's CNV: six unpadded convolutions, two pools, dense layers (Umuroglu 2017).
    Cnv,
    /// Dense layers alone.
    Mlp,
}

/// Says how the two streams of a residual block meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Residual {
    /// α₁·skip + α₂·branch, α learned on the simplex (Parseval networks, Cissé 2017; Defensive Quantization).
    Convex,
    /// skip + branch. The sum is stored as the mean: what reads it knows the factor.
    Add,
}

/// Names the activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// min(max(x, 0), 6).
    Relu6,
    /// min(max(x, 0), 1).
    Relu1,
    /// tanh x, then levels evenly over −1…1 (Rakin 2018).
    Tanh,
    /// −1 or +1.
    Sign,
}

/// Names the normalization between accumulators and activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// Batch normalization (Ioffe, Szegedy 2015).
    Batch,
    /// Almost-orthogonal rescaling (Prach, Lampert 2022) of each output channel, by the very weights that are
    /// computed with: the Lipschitz constant of the logits is [`Model::lipschitz`] at most, by construction,
    /// quantizers aside.
    Aol,
}

/// Holds `[squeeze]`: feature squeezing (Xu, Evans, Qi 2018) as the network's first stages, in training and
/// on the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Squeeze {
    /// Bits of a colour; 8 leaves colours as they are.
    pub bits: u32,
    /// Whether a 2×2 median follows.
    pub median: bool,
}

impl Default for Model {
    fn default() -> Self {
        Model {
            architecture: Architecture::Vgg,
            blocks: vec![vec![32, 32], vec![64, 64], vec![128, 128]],
            dense: Vec::new(),
            kernel: 3,
            depth: 16,
            width: 1.0,
            residual: Residual::Convex,
            stream_bits: 12,
            activation: Activation::Relu6,
            normalization: Normalization::Batch,
            lipschitz: 20.0,
        }
    }
}

impl Default for Squeeze {
    fn default() -> Self {
        Squeeze { bits: 8, median: false }
    }
}
