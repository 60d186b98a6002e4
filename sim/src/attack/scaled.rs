//! PGD++ (Gupta, Ajanthan, AAAI 2022), with network Jacobian scaling: a quantized network's logits are often so far apart that
//! their softmax leaves the gradient to one class. They are scaled first, image by image, so that a step of the image moves them by
//! as much, and further where the softmax is still sure.

use super::restarts::{GRADIENTS, climb, settings};
use super::{Attack, Candidates, Norm, Task};
use crate::gradient::Loss;
use ndarray::{Array2, ArrayView1};

/// What a softmax leaves to other classes at least (the paper's ρ).
const SURE: f64 = 0.01;

/// Its row.
pub(super) const ATTACK: Attack = Attack {
    about: "pgd-r on logits over the mean singular value of their Jacobian, image by image (PGD++)",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| GRADIENTS,
    run,
    settings: |eps, _| {
        settings(eps, "cross_entropy of logits scaled by the mean Jacobian singular value at the image")
    },
};

fn run(task: &Task) -> Candidates {
    let classes = task.source.classes();
    let count = task.labels.len();
    let logits = task.source.real_logits(task.images);
    // Rows of each image's Jacobian, of pixels from 0 to 1, as products of two by two.
    let rows: Vec<_> = (0..classes)
        .map(|class| {
            let targets = vec![class as u8; count];
            task.source.loss_gradient(task.images, task.labels, Loss::Logit(&targets)).gradient
        })
        .collect();
    let factors: Vec<f64> = (0..count)
        .map(|i| {
            let row = |class: usize| rows[class].index_axis(ndarray::Axis(0), i);
            let gram = Array2::from_shape_fn((classes, classes), |(a, b)| {
                let products =
                    row(a).iter().zip(row(b)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
                products * 255.0 * 255.0
            });
            factor(logits.row(i), task.labels[i].into(), singular_values(gram))
        })
        .collect();
    let mut found = climb(task, Some(&factors));
    found.queries.iter_mut().for_each(|queries| *queries += classes as u32);
    found
}

/// What an image's logits are multiplied by.
fn factor(logits: ArrayView1<f64>, label: usize, singular: Vec<f64>) -> f64 {
    let mean = singular.iter().sum::<f64>() / singular.len() as f64;
    let first = if mean > 0.0 { 1.0 / mean } else { 1.0 };
    let scaled = logits.mapv(|z| z * first);
    let (loss, _) = Loss::CrossEntropy.of(0, &scaled.to_vec(), label);
    if (-loss).exp_m1().abs() >= SURE {
        return first;
    }
    let range = scaled.fold(f64::NEG_INFINITY, |most, z| most.max(*z))
        - scaled.fold(f64::INFINITY, |least, z| least.min(*z));
    let others = (logits.len() - 1) as f64;
    first * -(SURE / ((1.0 - SURE) * others)).ln() / range
}

/// Roots of the eigenvalues of a symmetric matrix without negative ones, by Jacobi's rotations.
fn singular_values(mut matrix: Array2<f64>) -> Vec<f64> {
    const SWEEPS: usize = 30;
    let n = matrix.nrows();
    for _ in 0..SWEEPS {
        for p in 0..n {
            for q in p + 1..n {
                if matrix[[p, q]] == 0.0 {
                    continue;
                }
                let theta = (matrix[[q, q]] - matrix[[p, p]]) / (2.0 * matrix[[p, q]]);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for k in 0..n {
                    let (a, b) = (matrix[[k, p]], matrix[[k, q]]);
                    (matrix[[k, p]], matrix[[k, q]]) = (cosine * a - sine * b, sine * a + cosine * b);
                }
                for k in 0..n {
                    let (a, b) = (matrix[[p, k]], matrix[[q, k]]);
                    (matrix[[p, k]], matrix[[q, k]]) = (cosine * a - sine * b, sine * a + cosine * b);
                }
            }
        }
    }
    matrix.diag().iter().map(|value| value.max(0.0).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;

    /// Against the sums that eigenvalues have: trace, and trace of the square.
    #[test]
    fn rotations_find_singular_values() {
        let jacobian = Array2::from_shape_fn((7, 12), |(i, j)| ((i * 31 + j * 17) % 23) as f64 - 11.0);
        let gram = jacobian.dot(&jacobian.t());
        let values = singular_values(gram.clone());
        let sum = |power: i32| values.iter().map(|v| v.powi(power)).sum::<f64>();
        assert!((sum(2) / gram.diag().sum() - 1.0).abs() < 1e-9);
        assert!((sum(4) / gram.dot(&gram).diag().sum() - 1.0).abs() < 1e-9);
        // A rank of two and a row of zeros.
        let flat =
            Array2::from_shape_fn((4, 4), |(i, j)| if i < 3 && j < 3 { (1 + i * j) as f64 } else { 0.0 });
        let mut values = singular_values(flat);
        values.sort_by(f64::total_cmp);
        assert!(values[1] < 1e-6 && values[2] > 0.5, "{values:?}");
    }

    /// However far apart a network's logits are, the scaled ones leave other classes what the paper says, and no more is asked of
    /// a softmax that leaves it.
    #[test]
    fn a_sure_softmax_is_made_less_so() {
        let logits = arr1(&[9.0, 2.0, -1.0, 0.5]);
        for scale in [1.0, 1e3, 1e-3] {
            let factor = factor(logits.mapv(|z| z * scale).view(), 0, vec![0.5 * scale, 1.5 * scale]);
            assert!(
                (factor * scale * 10.0 - (0.99f64 * 3.0 / 0.01).ln()).abs() < 1e-9,
                "{factor} at {scale}"
            );
        }
        let unsure = factor(arr1(&[1.0, 0.9, 0.8, 0.0]).view(), 0, vec![2.0, 2.0]);
        assert_eq!(unsure, 0.5);
        assert_eq!(factor(arr1(&[0.0, 0.0]).view(), 1, vec![0.0, 0.0]), 1.0);
    }
}
