//! Defines what attacks raise: functions of a network's real logits, with their slopes. Never looks at a
//! network.

use ndarray::{ArrayView1, ArrayView2};

/// Names what an attack raises. Slices hold one class, or one factor, per image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss<'a> {
    /// Softmax cross entropy of the real logits (natural logarithm), as in training.
    CrossEntropy,
    /// The largest other logit minus the label's: positive where the image is misclassified.
    Margin,
    /// The targeted difference of logits ratio, (z_t − z_y) / (z_π1 − (z_π3 + z_π4) / 2) (Croce, Hein, ICML
    /// 2020). With fewer than four classes the last one stands for the missing ones; a denominator of zero
    /// counts as one.
    TargetedDlr(&'a [usize]),
    /// The target's logit minus the label's, z_t − z_y.
    Difference(&'a [usize]),
    /// The target's logit, z_t.
    Logit(&'a [usize]),
    /// The cross entropy of each image's logits, multiplied by the image's factor.
    Scaled(&'a [f64]),
}

impl Loss<'_> {
    /// Returns the loss of image `i` with these logits, and its gradient with respect to each logit.
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

    /// Returns the losses of a batch of logits (batch × classes), and their slopes times `scale`, row after
    /// row. The batch begins with image `first` of those that the loss knows.
    pub(crate) fn of_batch(
        self,
        first: usize,
        logits: ArrayView2<f64>,
        labels: &[u8],
        scale: f64,
    ) -> (Vec<f64>, Vec<f32>) {
        let (mut losses, mut slopes) = (vec![], Vec::with_capacity(logits.len()));
        for (i, (row, &label)) in logits.rows().into_iter().zip(labels).enumerate() {
            let (value, slope) = self.of(first + i, &row.to_vec(), label.into());
            losses.push(value);
            slopes.extend(slope.iter().map(|slope| (slope * scale) as f32));
        }
        (losses, slopes)
    }
}

/// Returns the label of a row of logits: the class with the largest, the lowest index on ties.
pub(crate) fn arg_max<T: PartialOrd>(logits: ArrayView1<T>) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

/// Returns the class with the largest logit but for `label`, the lowest index on ties.
pub(crate) fn runner_up(logits: &[f64], label: usize) -> usize {
    let others = (0..logits.len()).filter(|&class| class != label);
    others.reduce(|best, class| if logits[class] > logits[best] { class } else { best }).unwrap_or(label)
}

/// Returns `z_t − z_y` and its slopes.
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

/// Returns `ln Σ exp(z_j − z_y)` and its slopes. The label's slope is the negated sum of the others', not p_y
/// − 1, so that it does not cancel to zero where the network is very sure.
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
