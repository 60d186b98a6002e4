//! Computes a SumPool: the sum of each window.

use super::pass::{Backward, Bounds, Feed, Flow, Forward, Kind, Locality, Part, Site, Twin};
use super::relax::Relax;
use super::relax::pools::SumOfWindows;
use super::window::Windows;
use crate::linear::Precision;
use crate::region::Region;
use crate::tensor::Tensor;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use dq_net::layer::SumPool;
use ndarray::Array4;

/// Holds the windows whose sums are taken.
pub(super) struct Sums(pub Windows);

impl Sums {
    fn new(pool: &SumPool, site: &Site) -> Self {
        let (input, output) = (site.input().shape, site.output.shape);
        Self(Windows { input, output, window: pool.window, stride: pool.stride })
    }
}

impl Kind for SumPool {
    fn forward(&self, site: &Site) -> Box<dyn Forward> {
        Box::new(Sums::new(self, site))
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn relaxation(&self, site: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(SumOfWindows(Sums::new(self, site).0)))
    }

    fn backward(&self, site: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Sums::new(self, site))
    }

    fn locality(&self, site: &Site) -> Locality {
        let part = Sums::new(self, site);
        Locality::Windows { axes: part.0.axes(), part: Box::new(part) }
    }

    fn twin(&self, site: &Site) -> Twin {
        let channels = site.output.shape.channels;
        let weights = Array4::ones((channels, self.window[0], self.window[1], 1));
        Twin::one(FloatLayer::Conv(float::Conv {
            weights,
            stride: self.stride,
            pad: [0; 4],
            groups: channels,
        }))
    }
}

impl Forward for Sums {
    fn run(&self, site: &Site, inputs: &[Feed], _: usize) -> Tensor {
        let sums = match inputs[0].values() {
            Tensor::Bytes(values) => self.0.join(values, i32::from, |a, b| a + b),
            Tensor::Words(values) => self.0.join(values, |v| v, |a, b| a + b),
        };
        Tensor::narrow(sums, site.output.range)
    }
}

impl Part for Sums {
    fn run(&self, site: &Site, input: &Tensor, region: &Region) -> Tensor {
        let (crop, windows) = self.0.part(region);
        Forward::run(&Sums(windows), site, &[Feed::Values(&crop.of(self.0.input, input))], 1)
    }
}

impl Backward for Sums {
    fn run(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        let (from, to) = (site.input().shape.len(), site.output.shape.len());
        for (slopes, into) in flow.slopes.chunks_exact(to).zip(into.chunks_exact_mut(from)) {
            self.0.add_sum_slopes(slopes, into);
        }
    }
}
