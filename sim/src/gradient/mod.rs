//! Gradients of a loss with respect to the pixels: what white-box attacks read. Never changes a label.

mod fixed;
mod integer;
pub(crate) mod linear;
mod of_weights;
pub(crate) mod pool;

pub(crate) use integer::Backward;

use dq_net::Shape;
use ndarray::{Array2, Array4, ArrayView1, ArrayView2, ArrayView4};

/// What an attack raises. Slices hold a class for each image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss<'a> {
    /// Softmax cross entropy of the real logits (natural logarithm), as in training.
    CrossEntropy,
    /// The largest other logit less the label's: positive where the image is misclassified.
    Margin,
    /// Targeted difference of logits ratio, (z_t − z_y) / (z_π1 − (z_π3 + z_π4) / 2) (Croce, Hein, ICML 2020). With fewer
    /// than four classes the last ones stand in; a denominator of zero counts as one.
    TargetedDlr(&'a [usize]),
    /// z_t − z_y.
    Difference(&'a [usize]),
    /// z_t.
    Logit(&'a [usize]),
    /// Cross entropy of each image's logits times a factor.
    Scaled(&'a [f64]),
}

/// In which numbers an integer network's gradients are summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32.
    #[default]
    Float,
    /// Fixed point of 16 bits, scaled anew for each image and layer: about twice as fast.
    Int16,
}

impl Precision {
    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Float => "f32",
            Precision::Int16 => "int16",
        }
    }
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

    /// In which numbers gradients are summed.
    fn precision(&self) -> Precision {
        Precision::Float
    }

    /// Loss of each image (batch × height × width × channels) for its label, and the gradient.
    ///
    /// # Panics
    /// If the shapes do not fit, or a label is not a class.
    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient;

    /// Real logits of each image (batch × classes), as [`LossGradient::logits`].
    ///
    /// # Panics
    /// If the images' shape does not fit.
    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64>;
}

impl Loss<'_> {
    /// Loss of image `i` with these logits, and its gradient with respect to each logit.
    pub fn of(self, i: usize, logits: &[f64], label: usize) -> (f64, Vec<f64>) {
        match self {
            Loss::CrossEntropy => cross_entropy(logits, label),
            Loss::Margin => difference(logits, runner_up(logits, label), label),
            Loss::TargetedDlr(targets) => targeted_dlr(logits, targets[i], label),
            Loss::Difference(targets) => difference(logits, targets[i], label),
            Loss::Logit(targets) => {
                let target = targets[i];
                let mut slopes = vec![0.0; logits.len()];
                slopes[target] = 1.0;
                (logits[target], slopes)
            }
            Loss::Scaled(factors) => {
                let scaled: Vec<f64> = logits.iter().map(|z| z * factors[i]).collect();
                let (loss, mut slopes) = cross_entropy(&scaled, label);
                slopes.iter_mut().for_each(|slope| *slope *= factors[i]);
                (loss, slopes)
            }
        }
    }

    /// Losses of a batch of logits (batch × classes), and their slopes times `scale`, row after row.
    /// `first` is the batch's first image among those that the loss knows.
    pub(crate) fn of_batch(
        self,
        first: usize,
        logits: ArrayView2<f64>,
        labels: &[u8],
        losses: &mut [f64],
        scale: f64,
    ) -> Vec<f32> {
        let mut slopes = Vec::with_capacity(logits.len());
        for (i, ((row, &label), loss)) in logits.rows().into_iter().zip(labels).zip(losses).enumerate() {
            let (value, slope) = self.of(first + i, &row.to_vec(), label.into());
            *loss = value;
            slopes.extend(slope.iter().map(|slope| (slope * scale) as f32));
        }
        slopes
    }
}

/// The label of a row of logits: the lowest of the largest.
pub(crate) fn arg_max<T: PartialOrd>(logits: ArrayView1<T>) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

/// The class with the largest logit but for `label`, the lowest index on ties.
pub(crate) fn runner_up(logits: &[f64], label: usize) -> usize {
    let others = (0..logits.len()).filter(|&class| class != label);
    others.reduce(|best, class| if logits[class] > logits[best] { class } else { best }).unwrap_or(label)
}

/// `z_t − z_y`.
fn difference(logits: &[f64], target: usize, label: usize) -> (f64, Vec<f64>) {
    let mut slopes = vec![0.0; logits.len()];
    slopes[target] += 1.0;
    slopes[label] -= 1.0;
    (logits[target] - logits[label], slopes)
}

fn targeted_dlr(logits: &[f64], target: usize, label: usize) -> (f64, Vec<f64>) {
    let (above, mut slopes) = difference(logits, target, label);
    if logits.len() < 3 {
        return (above, slopes);
    }
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let below = [order[2], order[3.min(order.len() - 1)]];
    let denominator = logits[order[0]] - (logits[below[0]] + logits[below[1]]) / 2.0;
    if denominator == 0.0 {
        return (above, slopes);
    }
    let ratio = above / denominator;
    slopes[order[0]] -= ratio;
    below.iter().for_each(|&class| slopes[class] += ratio / 2.0);
    slopes.iter_mut().for_each(|slope| *slope /= denominator);
    (ratio, slopes)
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

    /// Each slope is the difference quotient; ties and few classes give numbers.
    #[test]
    fn losses_have_the_slopes_of_their_values() {
        for logits in [vec![1.0, 2.5, 0.5, -1.0, 0.25], vec![3.0, 1.0, 2.0], vec![0.5, -0.5]] {
            let last = logits.len() - 1;
            let targets = [last];
            for loss in [
                Loss::CrossEntropy,
                Loss::Margin,
                Loss::TargetedDlr(&targets),
                Loss::Difference(&targets),
                Loss::Logit(&targets),
                Loss::Scaled(&[0.3]),
            ] {
                let (value, slopes) = loss.of(0, &logits, 0);
                for class in 0..logits.len() {
                    let mut moved = logits.clone();
                    moved[class] += 1e-6;
                    let quotient = (loss.of(0, &moved, 0).0 - value) / 1e-6;
                    assert!((quotient - slopes[class]).abs() < 1e-5, "{loss:?} {logits:?} class {class}");
                }
            }
        }
        let (value, slopes) = Loss::TargetedDlr(&[3]).of(0, &[2.0; 4], 0);
        assert!(value == 0.0 && slopes == [-1.0, 0.0, 0.0, 1.0]);
        assert_eq!(Loss::Margin.of(0, &[4.0, 1.0, 7.0], 0).0, 3.0);
    }
}
