//! `[data]`, `[optimizer]`, `[schedule]` and `[train]`: how it learns.

use serde::{Deserialize, Serialize};

/// `[data]`: what it learns from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// A name of `dq_data::SETS`.
    pub set: String,
    /// Random changes of each training image.
    pub augment: Vec<Augment>,
    /// Side of `cutout`'s square, pixels.
    pub cutout: usize,
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
    /// A black square around a random pixel (DeVries, Taylor 2017).
    Cutout,
}

/// `[optimizer]`: how weights follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optimizer {
    /// Kind of optimizer.
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Momentum, in [0, 1).
    pub momentum: f64,
    /// L2 decay.
    pub weight_decay: f64,
    /// What decays.
    pub decay: Decay,
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

/// What weight decay acts on. Never on quantizers' steps or shares of a residual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Weights of convolutions and dense layers.
    Weights,
    /// Weights, batch norm's gain and every bias.
    All,
}

/// `[schedule]`: the learning rate over time.
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

/// `[train]`: length, batches and number formats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Train {
    /// Passes over the training images. May be raised on resume: the schedule is then computed for the new
    /// length from the epoch it resumes at; epochs already trained stay as they were.
    pub epochs: usize,
    /// Images per step; the last, shorter batch of an epoch is dropped.
    pub batch: usize,
    /// Seed of initial weights, holdout, order, augmentation and adversaries.
    pub seed: u64,
    /// Number format of convolutions.
    pub precision: Precision,
    /// Part of each target that is spread over all classes, in [0, 1) (Szegedy 2016).
    pub label_smoothing: f64,
    /// Decay of the moving average of weights that is evaluated and exported, in [0, 1); 0 is the weights
    /// themselves.
    pub ema: f64,
    /// On a GPU, the same bits in every run: slower kernels. (A CPU gives them on one thread always.)
    pub deterministic: bool,
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

impl Default for Data {
    fn default() -> Self {
        Data { set: "signs".to_owned(), augment: Vec::new(), cutout: 8, holdout: 1000 }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer {
            kind: OptimizerKind::Sgd,
            lr: 0.1,
            momentum: 0.9,
            weight_decay: 5e-4,
            decay: Decay::Weights,
            nesterov: true,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule { kind: ScheduleKind::Cosine, milestones: Vec::new(), factor: 0.2, warmup: 1.0 }
    }
}

impl Default for Train {
    fn default() -> Self {
        Train {
            epochs: 30,
            batch: 128,
            seed: 1,
            precision: Precision::Auto,
            label_smoothing: 0.0,
            ema: 0.0,
            deterministic: false,
        }
    }
}
