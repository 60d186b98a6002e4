//! Defines `[certified]`: training for certificates, by interval bounds through the quantized network.

use serde::{Deserialize, Serialize};

/// Holds `[certified]`: each step bounds the scores over the ball of each image, and the worst that the
/// bounds allow is learned beside the images themselves (interval bound propagation, Gowal 2018).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Certified {
    /// Radius in pixel values (0…255) after the ramp; 0 trains without bounds.
    pub eps: f64,
    /// Number of epochs before the ramp, at radius 0; fractions are allowed.
    pub warmup: f64,
    /// Number of epochs in which radius and share of the worst case rise from 0; fractions are allowed.
    pub ramp: f64,
    /// Share of the cross entropy of the images themselves after the ramp; the rest is that of the worst
    /// case.
    pub clean: f64,
    /// Radius of the box that is bounded, as a share of the ball's: 1 bounds the whole ball; below, the box
    /// lies around an adversary inside the ball (SABR, Müller 2023).
    #[serde(rename = "box")]
    pub share: f64,
    /// Weight of the penalty on bounds that grow from layer to layer (Shi 2021); it falls to 0 along the
    /// ramp.
    pub tightness: f64,
}

impl Certified {
    /// Returns how far the ramp has come at `time`, in epochs: 0…1.
    pub fn progress(&self, time: f64) -> f64 {
        if time < self.warmup { 0.0 } else { ((time - self.warmup) / self.ramp.max(1e-9)).min(1.0) }
    }
}

impl Default for Certified {
    fn default() -> Self {
        Certified { eps: 0.0, warmup: 1.0, ramp: 10.0, clean: 0.0, share: 1.0, tightness: 0.5 }
    }
}
