//! Runs Sum, which adds two streams exactly, each times a whole number.

use super::pass::{Backward, Bounds, Feed, Flow, Forward, Kind, Locality, Site, Twin};
use super::relax::Relax;
use crate::kernel::{Kernel, multiversion};
use crate::linear::Precision;
use crate::tensor::Tensor;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use dq_net::layer::Sum;

/// Runs a Sum forward.
struct FastSum(Sum);

/// Runs a Sum backward: each input gets the slope times its factor.
struct Factors([f32; 2]);

impl Kind for Sum {
    fn forward(&self, _: &Site) -> Box<dyn Forward> {
        Box::new(FastSum(self.clone()))
    }

    /// It rises with the inputs whose factors are above 0, and falls with the others; none is 0.
    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Directed(self.factors.map(|factor| factor > 0).into())
    }

    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(self.clone()))
    }

    fn locality(&self, _: &Site) -> Locality {
        Locality::Pixels
    }

    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Factors(self.factors.map(|factor| factor as f32)))
    }

    fn twin(&self, _: &Site) -> Twin {
        let [a, b] = self.factors.map(|factor| factor as f32);
        Twin::one(FloatLayer::Mix(float::Mix { a, b }))
    }
}

impl FastSum {
    /// Adds each pair of values.
    fn add(&self, kernel: Kernel, x: &Tensor, y: &Tensor) -> Vec<i32> {
        let (x, y) = (x.words(), y.words());
        let mut out = vec![0; x.len()];
        run_sum(kernel, &self.0, &x, &y, &mut out);
        out
    }
}

impl Forward for FastSum {
    fn run(&self, site: &Site, inputs: &[Feed], _: usize) -> Tensor {
        let sums = self.add(site.kernel, inputs[0].values(), inputs[1].values());
        Tensor::narrow(sums, site.output.range)
    }
}

impl Backward for Factors {
    fn run(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        let factor = self.0[flow.port];
        into.iter_mut().zip(flow.slopes).for_each(|(to, slope)| *to += slope * factor);
    }
}

multiversion! {
    fn run_sum = sum_all(sum: &Sum, x: &[i32], y: &[i32], out: &mut [i32])
}

#[inline(always)]
fn sum_all(sum: &Sum, x: &[i32], y: &[i32], out: &mut [i32]) {
    for ((to, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *to = sum.value(x, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::spread;
    use dq_net::Range;

    #[test]
    fn sums_are_exact_up_to_the_largest_accumulators() {
        let half = 1 << 29;
        for (factors, x, y) in [
            ([1, 1], Range::new(-half, half), Range::new(-half, half)),
            ([-1, 1], Range::new(-half, half), Range::new(-half, half)),
            ([3, -5], Range::levels(8), Range::new(-77, 1000)),
            ([-(1 << 20), 7], Range::new(-1000, 1000), Range::levels(1)),
        ] {
            let sum = FastSum(Sum { factors });
            let (x, y) = (spread(x, 301), spread(y, 301));
            let wanted: Vec<i64> = x
                .iter()
                .zip(&y)
                .map(|(&x, &y)| i64::from(factors[0]) * i64::from(x) + i64::from(factors[1]) * i64::from(y))
                .collect();
            let (x, y) = (Tensor::Words(x), Tensor::Words(y));
            for kernel in Kernel::available() {
                let found: Vec<i64> = sum.add(kernel, &x, &y).into_iter().map(i64::from).collect();
                assert_eq!(found, wanted, "{factors:?}, {kernel:?}");
            }
        }
    }
}
