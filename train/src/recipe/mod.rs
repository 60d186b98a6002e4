//! Defines recipes: what to train and how, in TOML. Every key has a default. `check` says which values a
//! recipe may have, and `read` reads it. Never touches data or libtorch.

mod certified;
mod check;
mod defence;
mod model;
mod quantizer;
mod read;
mod training;

pub use certified::Certified;
pub use defence::{Adversarial, Attack, Attacked, Choose, Dq, Draw, PenaltyOn, Start};
pub use model::{Activation, Architecture, Model, Normalization, Residual, Squeeze};
pub use quantizer::{BitWidths, Bits, StepSize};
pub use read::RecipeError;
pub use training::{
    Augment, Data, Decay, Optimizer, OptimizerKind, Precision, Schedule, ScheduleKind, Train,
};

use serde::{Deserialize, Serialize};

/// Holds a validated recipe, field by field as in the TOML file; [`Recipe::default`] gives every default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// Name of the run and of the exported model.
    pub name: String,
    /// Data that the network learns from.
    pub data: Data,
    /// Architecture.
    pub model: Model,
    /// Feature squeezing in front of the network.
    pub squeeze: Squeeze,
    /// Bit widths and how quantizers find their steps.
    pub bits: BitWidths,
    /// Lipschitz control: the Defensive Quantization penalty (paper equation 8), Parseval's retraction.
    pub dq: Dq,
    /// Adversarial training.
    pub adversarial: Adversarial,
    /// Training for certificates.
    pub certified: Certified,
    /// The attack under which held-out accuracy is measured in each epoch.
    pub attacked: Attacked,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// Length, batch, seed, precision.
    pub train: Train,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            name: "unnamed".to_owned(),
            data: Data::default(),
            model: Model::default(),
            squeeze: Squeeze::default(),
            bits: BitWidths::default(),
            dq: Dq::default(),
            adversarial: Adversarial::default(),
            certified: Certified::default(),
            attacked: Attacked::default(),
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
            train: Train::default(),
        }
    }
}
