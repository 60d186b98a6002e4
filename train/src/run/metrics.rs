//! Records what a training tells: a line of `metrics.jsonl` per epoch, and events while it runs.

use serde::{Deserialize, Serialize};

/// Holds a line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Total loss: `ce` + (β/2)·Σ `penalty`.
    pub loss: f64,
    /// Mean loss over the epoch's batches without the penalty: cross entropy (with TRADES, its divergence
    /// too; with bounds, that of the worst case and the penalty on their width).
    pub ce: f64,
    /// ‖WᵀW − I‖²_F (0 = orthonormal) of each layer at the end of the epoch, in graph order.
    pub penalty: Vec<(String, f64)>,
    /// Exact spectral norm of each layer at the end of the epoch, of the weights as they are computed with.
    #[serde(default)]
    pub norm: Vec<(String, f64)>,
    /// Share of the (augmented, maybe adversarial) training images labelled right while they were learned
    /// from, 0…1.
    pub train_accuracy: f64,
    /// Share of the held-out images labelled right at the end of the epoch, 0…1.
    pub holdout_accuracy: f64,
    /// Share of the held-out images labelled right under the recipe's attack, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout_attacked: Option<f64>,
    /// Share of the held-out images that bounds certify at the recipe's radius, where it trains for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout_certified: Option<f64>,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Training images per second, holdout and checkpoint left out.
    pub images_per_second: f64,
    /// Wall time of the whole epoch, as far as this process ran it.
    pub seconds: f64,
}

/// Says what happened in the loop while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step was made.
    Step {
        /// Number of the epoch, from 1.
        epoch: usize,
        /// Number of epochs in the recipe.
        epochs: usize,
        /// Number of the step, from 1.
        step: usize,
        /// Number of steps per epoch.
        steps: usize,
        /// Loss of this batch without the penalty.
        ce: f64,
    },
    /// The run goes on with other settings than it was trained with so far; the note says which.
    Changed(&'a str),
    /// An epoch is complete and saved.
    Epoch(&'a EpochMetrics),
}
