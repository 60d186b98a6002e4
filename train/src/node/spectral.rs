//! Computes exact spectral norms of layers as linear maps on their whole input, padding and stride included:
//! the largest singular value by Lanczos' iteration on WᵀW. The norm is that of the weights as they are
//! computed with (quantized, times their scale); batch norm and quantizers are left out.

use tch::Tensor;

use super::convolve::convolve;
use crate::random::{Stream, normal};

/// The most steps of the iteration. It ends before where the norm moves by less than a millionth.
const STEPS: usize = 60;

/// Returns σ_max of a convolution (out × in × k × k) on maps of in × height × width.
pub fn conv_norm(weight: &Tensor, shape: [usize; 3], stride: usize, pad: usize) -> f64 {
    let [inputs, height, width] = shape.map(|n| n as i64);
    let kernel = weight.size()[2];
    if kernel == 1 && stride > 1 {
        // Each pixel that is read is multiplied by the same matrix, and none is read twice.
        return matrix_norm(&weight.flatten(1, -1));
    }
    let (s, p) = (stride as i64, pad as i64);
    let left_over = [height, width].map(|n| (n + 2 * p - kernel) % s);
    let apply = |x: &Tensor| {
        let out = convolve(&x.reshape([1, inputs, height, width]), weight, stride, pad);
        out.conv_transpose2d(weight, None::<Tensor>, [s, s], [p, p], left_over, 1, [1, 1]).reshape([-1])
    };
    largest(inputs * height * width, apply, weight)
}

/// Returns σ_max of a matrix, out × in.
pub fn matrix_norm(weight: &Tensor) -> f64 {
    largest(weight.size()[1], |x| weight.tr().matmul(&weight.matmul(x)), weight)
}

/// Returns √λ_max of the symmetric positive map `apply` on vectors of `n`, with full reorthogonalization.
fn largest(n: i64, apply: impl Fn(&Tensor) -> Tensor, like: &Tensor) -> f64 {
    let start: Vec<f32> = (0..n).map(|i| normal(1, Stream::Norm, i as u64) as f32).collect();
    let start = Tensor::from_slice(&start).to_device(like.device());
    let mut basis = (&start / start.norm()).unsqueeze(0);
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    let mut found = 0.0f64;
    for step in 0..STEPS.min(n as usize) {
        let q = basis.get(step as i64);
        let mut next = apply(&q);
        diagonal.push(next.dot(&q).double_value(&[]));
        for _ in 0..2 {
            next = &next - basis.tr().matmul(&basis.matmul(&next));
        }
        let before = std::mem::replace(&mut found, top_eigenvalue(&diagonal, &beside));
        let rest = next.norm().double_value(&[]);
        if (found - before).abs() < 2e-6 * found || rest < 1e-6 * found.max(1e-30) {
            break;
        }
        beside.push(rest);
        basis = Tensor::cat(&[basis, (next / rest).unsqueeze(0)], 0);
    }
    found.max(0.0).sqrt()
}

/// Returns the largest eigenvalue of a symmetric tridiagonal matrix, by bisection on Sturm's count.
fn top_eigenvalue(diagonal: &[f64], beside: &[f64]) -> f64 {
    let off = |i: usize| beside.get(i).copied().unwrap_or(0.0);
    let reach = |i: usize| diagonal[i] + off(i) + if i > 0 { off(i - 1) } else { 0.0 };
    let (mut low, mut high) = (f64::MIN, f64::MIN);
    for (i, &d) in diagonal.iter().enumerate() {
        (low, high) = (low.max(d), high.max(reach(i)));
    }
    let any_above = |x: f64| {
        let mut pivot = 1.0;
        diagonal.iter().enumerate().any(|(i, d)| {
            let square = if i > 0 { off(i - 1) * off(i - 1) } else { 0.0 };
            pivot = d - x - square / pivot;
            pivot > 0.0
        })
    };
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if any_above(middle) { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Against the singular values of the whole matrix, column by column.
    #[test]
    fn equal_to_the_dense_matrix() {
        for (kernel, stride, pad, [height, width]) in [
            (3, 1, 1, [5, 6]),
            (3, 2, 1, [6, 5]),
            (3, 2, 0, [7, 6]),
            (3, 1, 0, [4, 4]),
            (1, 2, 0, [5, 4]),
            (1, 1, 0, [3, 4]),
        ] {
            let draws: Vec<f32> =
                (0..6 * kernel * kernel).map(|i| normal(3, Stream::Norm, i) as f32).collect();
            let weight = Tensor::from_slice(&draws).reshape([3, 2, kernel as i64, kernel as i64]);
            let n = 2 * height * width;
            let basis = Tensor::eye(n, (Kind::Float, Device::Cpu)).reshape([n, 2, height, width]);
            let columns = convolve(&basis, &weight, stride, pad).flatten(1, -1).to_kind(Kind::Double);
            let expected = columns.tr().matmul(&columns).linalg_eigvalsh("L").max().double_value(&[]).sqrt();
            let found = conv_norm(&weight, [2, height as usize, width as usize], stride, pad);
            assert!((found - expected).abs() < 1e-4 * expected, "{found}, expected {expected}");
        }
    }

    /// Fact 2 of the paper's notes: the box filter's norm tends to 3 on a 3×3 kernel of norm 1.
    #[test]
    fn a_box_filter_reaches_the_bound() {
        let weight = Tensor::full([1, 1, 3, 3], 1.0 / 3.0, (Kind::Float, Device::Cpu));
        let found = conv_norm(&weight, [1, 32, 32], 1, 1);
        assert!(found > 2.97 && found < 3.0, "{found}");
    }
}
