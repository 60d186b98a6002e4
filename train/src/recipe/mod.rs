//! Recipes: what to train and how, in TOML. Every key has a default. What a recipe may say is in `check`, how it is read
//! in `read`. Never touches data or libtorch.

mod check;
mod read;

pub use read::RecipeError;

use serde::{Deserialize, Serialize};
use toml::Value;

/// A validated recipe. Field by field the TOML file; [`Recipe::default`] gives every default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// Name of the run and of the exported model.
    pub name: String,
    /// What it learns from.
    pub data: Data,
    /// Architecture.
    pub model: Model,
    /// Bit widths.
    pub bits: BitWidths,
    /// Defensive Quantization penalty (paper equation 8).
    pub dq: Dq,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// Length, batch, seed, precision.
    pub train: Train,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// A name of `dq_net::data::SETS`.
    pub set: String,
    /// Random changes of each training image.
    pub augment: Vec<Augment>,
    /// Images put aside (the last of a seeded permutation of the training split) to choose `best` by.
    pub holdout: usize,
}

/// One kind of augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augment {
    /// Mirrored left to right, every second time.
    Flip,
    /// Shifted by −4…4 pixels each way; black comes in.
    Crop,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Family of networks.
    pub architecture: Architecture,
    /// Output channels of each block's convolutions; a 2×2 max pool ends each block.
    pub blocks: Vec<Vec<usize>>,
    /// Widths of hidden dense layers between the global sum and the logits.
    pub dense: Vec<usize>,
    /// Kernel size of every convolution, odd.
    pub kernel: usize,
    /// Activation before the quantizer.
    pub activation: Activation,
}

/// Families of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// A chain of convolutions and pools.
    Vgg,
}

/// Activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// min(max(x, 0), 6).
    Relu6,
}

/// `[bits]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BitWidths {
    /// Bits of every weight.
    pub weights: Bits,
    /// Bits of every activation.
    pub activations: Bits,
}

/// 1 to 8 bits, or not quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Bits {
    /// Real numbers.
    Float,
    /// So many bits, 1 to 8.
    Int(u32),
}

impl TryFrom<Value> for Bits {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::Integer(n @ 1..=8) => Ok(Bits::Int(*n as u32)),
            Value::String(s) if s == "float" => Ok(Bits::Float),
            _ => Err(format!("expected 1 to 8 or \"float\", found {value}")),
        }
    }
}

impl From<Bits> for Value {
    fn from(bits: Bits) -> Value {
        match bits {
            Bits::Float => Value::String("float".to_owned()),
            Bits::Int(n) => Value::Integer(n.into()),
        }
    }
}

/// `[dq]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dq {
    /// β of paper equation 8; 0 is the vanilla network.
    pub beta: f64,
    /// Which weights the penalty sees.
    pub on: PenaltyOn,
}

/// Which weights the DQ penalty sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PenaltyOn {
    /// The latent fp32 weights, as the paper (which quantizes activations only).
    Latent,
    /// The quantized weights times their scale; the gradient passes straight through to the latent ones.
    Quantized,
}

/// `[optimizer]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optimizer {
    /// Kind of optimizer.
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Momentum, in [0, 1).
    pub momentum: f64,
    /// L2 decay of conv and dense weights; never of batch norm or bias.
    pub weight_decay: f64,
    /// Nesterov momentum.
    pub nesterov: bool,
}

/// Optimizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// `[schedule]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// Shape after the warm-up.
    pub kind: ScheduleKind,
    /// Epochs at which `step` multiplies the rate by `factor`.
    pub milestones: Vec<usize>,
    /// See `milestones`.
    pub factor: f64,
    /// Epochs of linear warm-up, fractions allowed.
    pub warmup: f64,
}

/// Shapes of the learning rate over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Constant between milestones.
    Step,
    /// Half a cosine from the peak to 0 at the last step.
    Cosine,
}

/// `[train]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Train {
    /// Passes over the training images. May be raised on resume: the schedule is then computed for the new length from
    /// the epoch it resumes at; epochs already trained stay as they were.
    pub epochs: usize,
    /// Images a step; the last, shorter batch of an epoch is dropped.
    pub batch: usize,
    /// Seed of initial weights, holdout, order and augmentation.
    pub seed: u64,
    /// Number format of convolutions.
    pub precision: Precision,
}

/// Number format of convolutions in training; weights, batch norm, momentum and logits are fp32 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 where the processor multiplies it natively, else fp32.
    Auto,
    /// bfloat16.
    Bf16,
    /// float32.
    Fp32,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            name: "unnamed".to_owned(),
            data: Data::default(),
            model: Model::default(),
            bits: BitWidths::default(),
            dq: Dq::default(),
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
            train: Train::default(),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Data { set: "signs".to_owned(), augment: Vec::new(), holdout: 1000 }
    }
}

impl Default for Model {
    fn default() -> Self {
        Model {
            architecture: Architecture::Vgg,
            blocks: vec![vec![32, 32], vec![64, 64], vec![128, 128]],
            dense: Vec::new(),
            kernel: 3,
            activation: Activation::Relu6,
        }
    }
}

impl Default for BitWidths {
    fn default() -> Self {
        BitWidths { weights: Bits::Int(4), activations: Bits::Int(4) }
    }
}

impl Default for Dq {
    fn default() -> Self {
        Dq { beta: 2e-3, on: PenaltyOn::Latent }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer { kind: OptimizerKind::Sgd, lr: 0.1, momentum: 0.9, weight_decay: 5e-4, nesterov: true }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule { kind: ScheduleKind::Cosine, milestones: Vec::new(), factor: 0.2, warmup: 1.0 }
    }
}

impl Default for Train {
    fn default() -> Self {
        Train { epochs: 30, batch: 128, seed: 1, precision: Precision::Auto }
    }
}
