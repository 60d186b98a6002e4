//! Computes the Defensive Quantization penalty (paper equation 8): (β/2)·Σ ‖WᵀW − I‖²_F over all weight
//! matrices, on the unfolded matrix out × (in·k·k), and Parseval's retraction, a step of the same descent.
//! Neither is part of the autograd graph: the gradient has a closed form.

use tch::{Kind, Tensor, no_grad};

/// Returns ‖G − I‖²_F of the smaller Gram matrix G of the unfolded `weight` (out × …): WᵀW or WWᵀ, which
/// differ by the constant
/// |n − m| only, left out, so that 0 means orthonormal. A scalar tensor; differentiable.
pub fn orthogonality(weight: &Tensor) -> Tensor {
    excess(&unfold(weight)).square().sum(Kind::Float)
}

/// Returns the gradient of (β/2)·[`orthogonality`] by `weight`: 2β·W(WᵀW − I), by the smaller Gram matrix.
/// Shape of `weight`.
pub fn gradient(weight: &Tensor, beta: f64) -> Tensor {
    no_grad(|| {
        let w = unfold(weight);
        let excess = excess(&w);
        let product = if wide(&w) { excess.matmul(&w) } else { w.matmul(&excess) };
        (product * (2.0 * beta)).reshape(weight.size())
    })
}

/// Returns Parseval's retraction (Cissé 2017) of the unfolded matrix: (1 + rate)·W − rate·W·Wᵀ·W. Shape of
/// `weight`.
pub fn retract(weight: &Tensor, rate: f64) -> Tensor {
    weight - gradient(weight, rate / 2.0)
}

fn unfold(weight: &Tensor) -> Tensor {
    weight.reshape([weight.size()[0], -1])
}

fn wide(w: &Tensor) -> bool {
    w.size()[0] <= w.size()[1]
}

/// Returns the smaller Gram matrix minus the identity.
fn excess(w: &Tensor) -> Tensor {
    let gram = if wide(w) { w.matmul(&w.tr()) } else { w.tr().matmul(w) };
    &gram - Tensor::eye(gram.size()[0], (gram.kind(), gram.device()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, normal};

    fn random(shape: &[i64], spread: f64) -> Tensor {
        let n: i64 = shape.iter().product();
        let values: Vec<f64> = (0..n).map(|i| spread * normal(5, Stream::Weights(9), i as u64)).collect();
        Tensor::from_slice(&values).reshape(shape)
    }

    /// Computes the penalty by its definition, with the full WᵀW, and its gradient by autograd.
    fn by_definition(weight: &Tensor, beta: f64) -> (f64, Tensor) {
        let w = weight.copy().set_requires_grad(true);
        let flat = w.reshape([w.size()[0], -1]);
        let n = flat.size()[1];
        let value =
            (flat.tr().matmul(&flat) - Tensor::eye(n, (Kind::Double, w.device()))).square().sum(Kind::Double);
        (&value * (beta / 2.0)).backward();
        (value.double_value(&[]), w.grad())
    }

    #[test]
    fn gradient_is_that_of_the_definition() {
        for shape in [vec![6, 3, 3, 3], vec![20, 4], vec![5, 5]] {
            let w = random(&shape, 0.5);
            let (value, expected) = by_definition(&w, 0.3);
            let ours = gradient(&w, 0.3);
            let worst = (&ours - &expected).abs().max().double_value(&[]);
            assert!(worst < 1e-5, "{shape:?}: {worst}");
            assert!(expected.abs().max().double_value(&[]) > 0.1);
            let n: i64 = shape[1..].iter().product();
            let constant = (n - shape[0]).max(0) as f64;
            let small = orthogonality(&w).double_value(&[]);
            assert!(
                (value - constant - small).abs() < 1e-4 * value,
                "{shape:?}: {value} − {constant} ≠ {small}"
            );
        }
    }

    #[test]
    fn semi_orthogonal_costs_nothing() {
        for (m, n) in [(4, 9), (9, 4), (5, 5)] {
            let (q, _) = Tensor::linalg_qr(&random(&[m.max(n), m.min(n)], 1.0), "reduced");
            let w = if m < n { q.tr() } else { q };
            assert!(orthogonality(&w).double_value(&[]) < 1e-20);
            assert!(gradient(&w, 1.0).abs().max().double_value(&[]) < 1e-12);
        }
    }

    #[test]
    fn retraction_is_parsevals() {
        let w = random(&[3, 7], 0.4);
        let expected = &w * 1.1 - w.matmul(&w.tr()).matmul(&w) * 0.1;
        assert!((retract(&w, 0.1) - expected).abs().max().double_value(&[]) < 1e-12);
    }

    /// SGD on the penalty alone, as it is trained with: momentum, a wide W (m rows), ‖WWᵀ − I‖²/m below 1e-2.
    #[test]
    fn descent_reaches_orthonormal_rows() {
        let mut w = random(&[8, 3, 3, 3], 0.3);
        let mut velocity = w.zeros_like();
        let before = orthogonality(&w).double_value(&[]);
        for _ in 0..500 {
            velocity = velocity * 0.9 + gradient(&w, 2e-3);
            w = &w - &velocity * 0.5;
        }
        let after = orthogonality(&w).double_value(&[]) / 8.0;
        assert!(before > 1.0 && after < 1e-2, "{before} → {after}");
    }
}
