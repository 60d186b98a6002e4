//! Finds the largest singular value of a linear map that is only applied, never written out. Never knows of
//! layers.

use super::TOLERANCE;
use crate::kernel::{Kernel, multiversion};
use crate::linear::RealLinear;
use dq_net::Shape;

/// Most iterations.
const MAX_ITERATIONS: usize = 400;

/// Holds a linear map and its transpose.
pub(super) struct Operator {
    pub forward: RealLinear<f64>,
    pub transposed: RealLinear<f64>,
    pub from: Shape,
    pub to: Shape,
}

impl Operator {
    /// Returns the largest singular value, its estimated relative error, and the iterations, by Lanczos on
    /// AᵀA or AAᵀ, the smaller, with full reorthogonalization (Golub and Van Loan, 4th edition, 10.1).
    pub fn norm(&self) -> (f64, f64, usize) {
        let kernel = Kernel::best();
        let (first, second, size) = if self.from.len() <= self.to.len() {
            (&self.forward, &self.transposed, self.from.len())
        } else {
            (&self.transposed, &self.forward, self.to.len())
        };
        let mut basis: Vec<Vec<f64>> = vec![start(size)];
        let (mut diagonal, mut beside): (Vec<f64>, Vec<f64>) = (vec![], vec![]);
        loop {
            let k = diagonal.len();
            let mut next = second.run(kernel, &first.run(kernel, &basis[k], 1), 1);
            diagonal.push(dot(&next, &basis[k]));
            // In exact arithmetic the last two directions are all that there is to take out.
            take_out(kernel, &basis[k.saturating_sub(1)..], &mut next);
            take_out(kernel, &basis, &mut next);
            let length = dot(&next, &next).sqrt();
            let iterations = k + 1;
            let last = iterations >= MAX_ITERATIONS.min(size) || length == 0.0;
            if last || iterations % 5 == 0 {
                let ritz = Ritz::of(&diagonal, &beside);
                let residual = length * ritz.last;
                if ritz.value <= 0.0 {
                    return (0.0, 0.0, iterations);
                }
                // The error is the residual bound, or Kato–Temple's with the gap between Ritz values; it is
                // that of the square, so half as much for the value.
                let gap = (ritz.value - ritz.second - residual).max(0.0);
                let error = residual.min(residual * residual / gap) / ritz.value / 2.0;
                let invariant = length <= f64::EPSILON * ritz.value || iterations == size;
                if error <= TOLERANCE || last || invariant {
                    let error = if invariant { 0.0 } else { error };
                    return (ritz.value.sqrt(), error, iterations);
                }
            }
            beside.push(length);
            next.iter_mut().for_each(|v| *v /= length);
            basis.push(next);
        }
    }
}

/// Returns a unit vector with a part along every direction that matters, the same each time.
fn start(size: usize) -> Vec<f64> {
    let mut random = crate::random::Random::keyed(0, "lanczos", 0, size as u64);
    let mut v: Vec<f64> = (0..size).map(|_| random.word() as f64 / 2f64.powi(64) - 0.5).collect();
    let length = dot(&v, &v).sqrt();
    v.iter_mut().for_each(|x| *x /= length);
    v
}

multiversion! {
    /// Takes the part along each of the unit vectors `basis` out of `vector`.
    fn take_out = take_out_body(basis: &[Vec<f64>], vector: &mut [f64])
}

#[inline(always)]
fn take_out_body(basis: &[Vec<f64>], vector: &mut [f64]) {
    for v in basis {
        let part = dot(vector, v);
        vector.iter_mut().zip(v).for_each(|(to, v)| *to -= part * v);
    }
}

/// Returns the dot product in eight partial sums, so that it vectorizes; the order is fixed.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Holds the largest eigenvalue of a tridiagonal matrix, the next one, and the last component of its unit
/// eigenvector.
struct Ritz {
    value: f64,
    second: f64,
    last: f64,
}

impl Ritz {
    fn of(diagonal: &[f64], beside: &[f64]) -> Self {
        let n = diagonal.len();
        let off = |i: usize| beside.get(i).copied().unwrap_or(0.0);
        let radius = |i: usize| diagonal[i].abs() + off(i).abs() + if i > 0 { off(i - 1).abs() } else { 0.0 };
        let bound = (0..n).map(radius).fold(0.0, f64::max);
        // Sturm's sequence counts how many eigenvalues lie above x.
        let above = |x: f64| {
            let mut q = 1.0;
            (0..n)
                .filter(|&i| {
                    let b = if i > 0 { off(i - 1) } else { 0.0 };
                    q = diagonal[i] - x - b * b / q;
                    if q == 0.0 {
                        q = f64::MIN_POSITIVE;
                    }
                    q > 0.0
                })
                .count()
        };
        let bisect = |count: usize| {
            let (mut lo, mut hi) = (-bound, bound);
            for _ in 0..100 {
                let middle = (lo + hi) / 2.0;
                if above(middle) >= count { lo = middle } else { hi = middle }
            }
            hi
        };
        let value = bisect(1);
        let second = if n > 1 { bisect(2) } else { -bound };
        // The inverse iteration runs just above the largest eigenvalue, where x − T is positive definite, so
        // it needs no pivoting.
        let shift = value + 1e-13 * bound + f64::MIN_POSITIVE;
        let mut vector = vec![1.0; n];
        for _ in 0..3 {
            let mut pivots = vec![shift - diagonal[0]];
            for i in 1..n {
                let factor = -off(i - 1) / pivots[i - 1];
                pivots.push(shift - diagonal[i] + factor * off(i - 1));
                vector[i] -= factor * vector[i - 1];
            }
            vector[n - 1] /= pivots[n - 1];
            for i in (0..n - 1).rev() {
                vector[i] = (vector[i] + off(i) * vector[i + 1]) / pivots[i];
            }
            let length = dot(&vector, &vector).sqrt();
            vector.iter_mut().for_each(|v| *v /= length);
        }
        Self { value, second, last: vector[n - 1].abs() }
    }
}
