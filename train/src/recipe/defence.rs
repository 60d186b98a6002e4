//! Defines `[dq]`, `[adversarial]` and `[attacked]`: what makes a network robust, and how that is watched.

use serde::{Deserialize, Serialize};

/// Holds `[dq]`: Lipschitz control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dq {
    /// β of paper equation 8; 0 is the vanilla network.
    pub beta: f64,
    /// Which weights the penalty sees.
    pub on: PenaltyOn,
    /// Rate b of Parseval's retraction W ← (1 + b)·W − b·W·Wᵀ·W after each step (Cissé 2017); 0 is none.
    pub retraction: f64,
}

/// Says which weights the DQ penalty sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PenaltyOn {
    /// The latent fp32 weights, as in the paper (which quantizes activations only).
    Latent,
    /// The quantized weights times their scale; the gradient passes straight through to the latent ones.
    Quantized,
}

/// Holds `[adversarial]`: images of each batch are replaced by adversaries of the network in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adversarial {
    /// The attack that makes the adversaries.
    pub attack: Attack,
    /// Radius in pixel values (0…255); it is δ where `draw` is `normal`.
    pub eps: f64,
    /// How radii are drawn: one per image (`fgsm`, `r+fgsm`), or one per batch (`pgd`).
    pub draw: Draw,
    /// Step of PGD, in pixel values.
    pub step: f64,
    /// Iterations of PGD; 0 stands for the paper's ⌊min(ε + 4, 1.25·ε)⌋.
    pub iterations: usize,
    /// Where PGD starts.
    pub start: Start,
    /// Part of each batch that is replaced, 0…1: 1 is Madry's, ½ Kurakin's mix of clean and adversarial
    /// images.
    pub share: f64,
    /// Weight of a replaced image's loss beside that of one that is not (Kurakin 2016's λ is 0.3).
    pub weight: f64,
    /// TRADES' weight (Zhang 2019) of KL(clean ‖ adversarial), which is then both attacked and learned; with
    /// 0 cross entropy is.
    pub trades: f64,
}

/// Names the attacks of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attack {
    /// No attack.
    None,
    /// One step of ε along the sign of the gradient (Goodfellow 2015).
    Fgsm,
    /// ε/2 along a random sign, then ε/2 along that of the gradient (Tramèr 2017).
    #[serde(rename = "r+fgsm")]
    RFgsm,
    /// Steps along the sign of the gradient from a random start (Madry 2018).
    Pgd,
}

/// Says how a radius is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Draw {
    /// Always `eps`.
    Fixed,
    /// |N(0, δ)|, drawn anew above 2δ (Kurakin 2016).
    Normal,
}

/// Says where PGD starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// ε/2 along a random sign, the paper's "as in R+FGSM".
    Sign,
    /// Uniform in ±ε (Madry 2018).
    Uniform,
}

/// Holds `[attacked]`: held-out accuracy under attack, in each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attacked {
    /// The attack, on the network in training; `none` measures nothing.
    pub attack: Attack,
    /// Radius in pixel values.
    pub eps: f64,
    /// Number of held-out images that are attacked.
    pub images: usize,
    /// The figure by which `best` is chosen.
    pub choose: Choose,
}

/// Says by what the best epoch is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choose {
    /// Held-out accuracy.
    Clean,
    /// Held-out accuracy under attack; the clean one breaks ties.
    Attacked,
    /// Share of the held-out images that bounds certify, at the radius of `certified.eps`.
    Certified,
}

impl Choose {
    /// Returns the name in `metrics.jsonl` of what the best epoch is chosen by.
    pub fn measure(self) -> &'static str {
        match self {
            Choose::Clean => "holdout_accuracy",
            Choose::Attacked => "holdout_attacked",
            Choose::Certified => "holdout_certified",
        }
    }
}

impl Adversarial {
    /// Returns PGD's iterations at radius `eps`.
    pub fn iterations_at(&self, eps: f64) -> usize {
        if self.iterations > 0 { self.iterations } else { (eps + 4.0).min(1.25 * eps) as usize }
    }
}

impl Default for Dq {
    fn default() -> Self {
        Dq { beta: 2e-3, on: PenaltyOn::Latent, retraction: 0.0 }
    }
}

impl Default for Adversarial {
    fn default() -> Self {
        Adversarial {
            attack: Attack::None,
            eps: 8.0,
            draw: Draw::Normal,
            step: 1.0,
            iterations: 0,
            start: Start::Sign,
            share: 1.0,
            weight: 1.0,
            trades: 0.0,
        }
    }
}

impl Default for Attacked {
    fn default() -> Self {
        Attacked { attack: Attack::None, eps: 2.0, images: 256, choose: Choose::Clean }
    }
}
