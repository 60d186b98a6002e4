//! Gradients of a loss with respect to the pixels: what white-box attacks read. Never changes a label.

mod integer;
pub(crate) mod linear;
pub(crate) mod pool;

pub(crate) use integer::Backward;

use dq_net::Shape;
use ndarray::{Array2, Array4, ArrayView2, ArrayView4};
use serde::{Deserialize, Serialize};

/// What an attack raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Softmax cross entropy of the real logits (natural logarithm), as in training.
    CrossEntropy,
}

/// Losses of a batch, and their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct LossGradient {
    /// Loss of each image.
    pub losses: Vec<f64>,
    /// ∂ loss / ∂ pixel, per unit of a uint8 pixel: batch × height × width × channels.
    pub gradient: Array4<f32>,
    /// Real logits: batch × classes. For an integer network score · scale.
    pub logits: Array2<f64>,
}

/// A network whose loss has a gradient. Results do not depend on the batch's size or order, nor on threads.
pub trait GradientSource: Sync {
    /// Shape of an image.
    fn input_shape(&self) -> Shape;

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Loss of each image (batch × height × width × channels) for its label, and the gradient.
    ///
    /// # Panics
    /// If the shapes do not fit, or a label is not a class.
    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient;
}

impl Loss {
    /// Loss of one image, and its gradient with respect to each logit.
    pub fn of(self, logits: &[f64], label: usize) -> (f64, Vec<f64>) {
        match self {
            Loss::CrossEntropy => cross_entropy(logits, label),
        }
    }

    /// Losses of a batch of logits (batch × classes), and their slopes times `scale`, row after row.
    pub(crate) fn of_batch(
        self,
        logits: ArrayView2<f64>,
        labels: &[u8],
        losses: &mut [f64],
        scale: f64,
    ) -> Vec<f32> {
        let mut slopes = Vec::with_capacity(logits.len());
        for ((row, &label), loss) in logits.rows().into_iter().zip(labels).zip(losses) {
            let (value, slope) = self.of(&row.to_vec(), label.into());
            *loss = value;
            slopes.extend(slope.iter().map(|slope| (slope * scale) as f32));
        }
        slopes
    }
}

/// `ln Σ exp(z_j − z_y)`. The label's slope is the negated sum of the others', not p_y − 1, so that it does not cancel
/// to zero where the network is very sure.
fn cross_entropy(logits: &[f64], label: usize) -> (f64, Vec<f64>) {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut slopes: Vec<f64> = logits.iter().map(|z| (z - most).exp()).collect();
    let total: f64 = slopes.iter().sum();
    slopes.iter_mut().for_each(|p| *p /= total);
    slopes[label] = 0.0;
    let others: f64 = slopes.iter().sum();
    slopes[label] = -others;
    let loss = if others < 0.5 { -(-others).ln_1p() } else { total.ln() + most - logits[label] };
    (loss, slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_is_the_log_of_the_softmax_and_never_cancels() {
        let (loss, slopes) = cross_entropy(&[1.0, 2.0, 0.5], 0);
        let total = 1f64.exp() + 2f64.exp() + 0.5f64.exp();
        assert!((loss - (total.ln() - 1.0)).abs() < 1e-12);
        for (slope, wanted) in
            slopes.iter().zip([1f64.exp() / total - 1.0, 2f64.exp() / total, 0.5f64.exp() / total])
        {
            assert!((slope - wanted).abs() < 1e-12);
        }
        let (loss, slopes) = cross_entropy(&[60.0, 0.0, -5.0], 0);
        assert!(loss > 0.0 && loss < 1e-25);
        assert!(slopes[0] < 0.0 && slopes[0] > -1e-25 && slopes[1] > 0.0);
    }
}
