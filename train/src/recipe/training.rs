//! Defines `[data]`, `[optimizer]`, `[schedule]` and `[train]`: how the network learns.

use serde::{Deserialize, Serialize};

/// Holds `[data]`: what the network learns from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Name of the data set, one of `dq_data::SETS`.
    pub set: String,
    /// Random changes of each training image.
    pub augment: Vec<Augment>,
    /// Side of `cutout`'s square, in pixels.
    pub cutout: usize,
    /// Number of images put aside to choose `best` by: the last of a seeded permutation of the training
    /// split.
    pub holdout: usize,
}

/// Names one kind of augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augment {
    /// The image is mirrored left to right, with probability ½.
    Flip,
    /// The image is shifted by −4…4 pixels each way; black comes in.
    Crop,
    /// A black square covers a random place (DeVries, Taylor 2017).
    Cutout,
}

/// Holds `[optimizer]`: how weights follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optimizer {
    /// Kind of optimizer.
    pub kind: OptimizerKind,
    /// Peak learning rate.
    pub lr: f64,
    /// Peak learning rate.
    pub momentum: f64,
    /// Largest Euclidean norm of the loss's gradient by all parameters, which is scaled down to it; 0 leaves it
    /// as it is. The penalty and the decay come on top.
    pub clip: f64,
    /// Weight λ of the damping of oscillations (Nagel 2022), Σ (w − ŵ)² of latent and quantized weights. It rises
    /// from 0 to λ by a cosine.
    pub damping: f64,
    /// Share of the training after which damping rises: weights that are damped from the start settle before they
    /// find good levels.
    pub damping_from: f64,
    /// L2 decay.
    pub weight_decay: f64,
    /// The tensors that decay.
    pub decay: Decay,
    /// Whether momentum is Nesterov's.
    pub nesterov: bool,
}

/// Names the optimizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// Says what weight decay acts on. It never acts on quantizers' steps or shares of a residual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Weights of convolutions and dense layers.
    Weights,
    /// Weights, batch norm's gain and every bias.
    All,
}

/// Holds `[schedule]`: the learning rate over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// Shape after the warm-up.
    pub kind: ScheduleKind,
    /// Epochs at which `step` multiplies the rate by `factor`.
    pub milestones: Vec<usize>,
    /// Factor by which `step` multiplies the rate at each of `milestones`.
    pub factor: f64,
    /// Number of epochs of linear warm-up; fractions are allowed.
    pub warmup: f64,
}

/// Names the shapes of the learning rate over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// The rate is constant between milestones.
    Step,
    /// The rate follows half a cosine from the peak to 0 at the last step.
    Cosine,
}

/// Holds `[train]`: length, batches and number formats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Train {
    /// Passes over the training images. They may be raised on resume: the schedule is then computed for the
    /// new length from the epoch at which training resumes; epochs already trained stay as they were,
    /// which the run's recipe then says.
    pub epochs: usize,
    /// Images per step; the last, shorter batch of an epoch is dropped.
    pub batch: usize,
    /// Seed of initial weights, holdout, order, augmentation and adversaries.
    pub seed: u64,
    /// Number format of convolutions.
    pub precision: Precision,
    /// Part of each target that is spread over all classes, in [0, 1) (Szegedy 2016).
    pub label_smoothing: f64,
    /// Decay of the moving average of weights that is evaluated and exported, in [0, 1); with 0 the weights
    /// themselves are.
    pub ema: f64,
    /// Whether a GPU gives the same bits in every run, with slower kernels. (A CPU with one thread always
    /// does.)
    pub deterministic: bool,
}

/// Names the number format of convolutions in training; weights, batch norm, momentum and logits are always
/// fp32.
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
            clip: 0.0,
            damping: 0.0,
            damping_from: 0.5,
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
