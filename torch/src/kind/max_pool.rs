//! Runs max pools, tap by tap.

use super::pass::{Kind, Pass, Site};
use super::window::Windows;
use dq_net::layer::MaxPool;
use tch::Tensor;

/// Holds the windows whose largest values are taken.
struct Largest(Windows);

impl Kind for MaxPool {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let output = [site.output.shape.height, site.output.shape.width];
        Box::new(Largest(Windows { window: self.window, stride: self.stride, output }))
    }
}

impl Pass for Largest {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let taps = self.0.taps(inputs[0]);
        taps.reduce(|most, tap| most.maximum(&tap)).expect("checked: a window is not empty").contiguous()
    }

    /// Gives the slope to the first of the largest values, in row-major order.
    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], _: usize) -> Tensor {
        let most = self.forward(inputs);
        let mut is_left = most.ones_like().to_kind(tch::Kind::Bool);
        let into = Windows::zeros(inputs[0]);
        let parts = self.0.taps(inputs[0]).map(|tap| {
            let is_chosen = tap.eq_tensor(&most).logical_and(&is_left);
            is_left = is_left.logical_and(&is_chosen.logical_not());
            super::pass::where_open(slopes.shallow_clone(), &is_chosen)
        });
        self.0.add(&into, parts);
        into
    }
}
