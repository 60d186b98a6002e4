//! Runs PGD++ (Gupta, Ajanthan, AAAI 2022), by Hessian norm scaling: a quantized network's logits are often
//! so far apart that their softmax leaves the gradient to one class. They are scaled first, image by image,
//! to where the loss's Hessian is largest.

use super::restarts::{GRADIENTS, climb, settings};
use super::task::{Attack, Candidates, Task};
use crate::ball::Norm;
use crate::gradient::Loss;
use ndarray::{Array2, ArrayView1, Axis};

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "pgd-r on logits scaled, image by image, to where the loss bends most (PGD++, HNS)",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| GRADIENTS,
    run,
    settings: |eps, _| {
        settings(
            eps,
            "cross_entropy of the logits times the factor of the largest input Hessian at the image",
        )
    },
};

fn run(task: &Task) -> Candidates {
    let (classes, count) = (task.source.classes(), task.labels.len());
    let logits = task.source.real_logits(task.images);
    // These are the rows of each image's Jacobian, one array per class.
    let rows: Vec<_> = (0..classes)
        .take_while(|_| !task.is_stopped())
        .map(|class| {
            let targets = vec![class; count];
            task.source.loss_gradient(task.images, task.labels, Loss::Logit(&targets)).gradient
        })
        .collect();
    if rows.len() < classes {
        return task.start();
    }
    let factors: Vec<f64> = (0..count)
        .map(|i| {
            let row = |class: usize| rows[class].index_axis(Axis(0), i);
            let gram = Array2::from_shape_fn((classes, classes), |(a, b)| {
                row(a).iter().zip(row(b)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            });
            factor(logits.row(i), &gram)
        })
        .collect();
    let mut found = climb(task, Some(&factors));
    found.queries.iter_mut().for_each(|queries| *queries += classes as u32);
    found
}

/// Returns the factor of an image's logits z for which the Hessian with respect to the pixels is largest,
/// among factors that bring the logits from a hundredth of a unit to ten thousand units apart. `gram` is J·Jᵀ
/// of the Jacobian J = ∂z/∂x.
fn factor(logits: ArrayView1<f64>, gram: &Array2<f64>) -> f64 {
    let most = logits.fold(f64::NEG_INFINITY, |most, z| most.max(*z));
    let range = most - logits.fold(f64::INFINITY, |least, z| least.min(*z));
    if range == 0.0 {
        return 1.0;
    }
    let factors = (0..=96).map(|n| 10f64.powf(f64::from(n) / 16.0 - 2.0) / range);
    let bends = factors.map(|factor| {
        let mut p = logits.mapv(|z| ((z - most) * factor).exp());
        p /= p.sum();
        // The Hessian is β²·Jᵀ·(diag(p) − p·pᵀ)·J; its norm follows from products of classes alone.
        let mean = p.dot(gram);
        let bend = Array2::from_shape_fn(gram.dim(), |(a, b)| p[a] * (gram[[a, b]] - mean[b]));
        let square = (&bend * &bend.t()).sum().max(0.0);
        (factor, factor * factor * square.sqrt())
    });
    bends.fold((1.0, 0.0), |best, at| if at.1 > best.1 { at } else { best }).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;

    /// The norm that follows from products of classes is that of the Hessian itself, by differences of the
    /// loss's gradient.
    #[test]
    fn the_factor_is_where_the_hessian_is_largest() {
        let jacobian = Array2::from_shape_fn((4, 6), |(i, j)| ((i * 31 + j * 17) % 23) as f64 - 11.0);
        let logits = arr1(&[9.0, 2.0, -1.0, 8.5]);
        let gradient = |factor: f64, step: usize, by: f64| {
            let moved = &logits + &(jacobian.column(step).to_owned() * by);
            let (_, slopes) = Loss::Scaled(&[factor]).of(0, &moved.to_vec(), 0);
            arr1(&slopes).dot(&jacobian)
        };
        let hessian = |factor: f64| {
            let squares = (0..6).map(|step| {
                let row = (gradient(factor, step, 1e-6) - gradient(factor, step, -1e-6)) / 2e-6;
                row.mapv(|v| v * v).sum()
            });
            squares.sum::<f64>()
        };
        let found = factor(logits.view(), &jacobian.dot(&jacobian.t()));
        for other in [0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 4.0] {
            assert!(hessian(other) < hessian(found) * 1.03, "{other} against {found}");
        }
    }

    /// However far apart logits are, the scaled ones are the same; without a slope or a difference the factor
    /// is 1.
    #[test]
    fn the_factor_follows_the_scale() {
        let gram = Array2::from_shape_fn((3, 3), |(a, b)| if a == b { 2.0 } else { 0.5 });
        let logits = arr1(&[4.0, 1.0, 0.0]);
        let one = factor(logits.view(), &gram);
        let far = factor((&logits * 1024.0).view(), &(&gram * (1024.0 * 1024.0)));
        assert_eq!(one, far * 1024.0);
        assert_eq!(factor(logits.view(), &Array2::zeros((3, 3))), 1.0);
        assert_eq!(factor(arr1(&[2.0, 2.0, 2.0]).view(), &gram), 1.0);
    }
}
