//! Runs sum pools, tap by tap.

use super::pass::{Kind, Pass, Site};
use super::window::Windows;
use crate::number::Number;
use dq_net::layer::SumPool;
use tch::{Kind as Dtype, Tensor};

/// Holds the windows whose sums are taken, and the floats in which sums are exact.
struct Sums {
    windows: Windows,
    number: Number,
    out: Dtype,
}

impl Kind for SumPool {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let output = [site.output.shape.height, site.output.shape.width];
        let windows = Windows { window: self.window, stride: self.stride, output };
        let number = Number::holding(windows.len() as i64 * site.most());
        Box::new(Sums { windows, number, out: site.out() })
    }
}

impl Pass for Sums {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let taps = self.windows.taps(&inputs[0].to_kind(self.number.kind()));
        let sums = taps.reduce(|sum, tap| sum + tap).expect("checked: a window is not empty");
        sums.to_kind(self.out).contiguous()
    }

    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], _: usize) -> Tensor {
        let into = Windows::zeros(inputs[0]);
        self.windows.add(&into, (0..self.windows.len()).map(|_| slopes.shallow_clone()));
        into
    }
}
