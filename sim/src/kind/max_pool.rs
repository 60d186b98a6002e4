//! Computes a MaxPool: the largest value of each window.

use super::pass::{Backward, Bounds, Feed, Flow, Forward, Kind, Locality, Part, Site, Twin};
use super::relax::Relax;
use super::relax::pools::LargestOfWindows;
use super::window::{Windows, add_max_slopes_of_bytes, max_slopes_of_tiles};
use crate::buffers;
use crate::linear::Precision;
use crate::region::Region;
use crate::tensor::Tensor;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use dq_net::layer::MaxPool;

/// Holds the windows whose largest values are taken.
struct Largest(Windows);

impl Largest {
    fn new(pool: &MaxPool, site: &Site) -> Self {
        let (input, output) = (site.input().shape, site.output.shape);
        Self(Windows { input, output, window: pool.window, stride: pool.stride })
    }
}

impl Kind for MaxPool {
    fn forward(&self, site: &Site) -> Box<dyn Forward> {
        Box::new(Largest::new(self, site))
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn relaxation(&self, site: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(LargestOfWindows(Largest::new(self, site).0)))
    }

    fn backward(&self, site: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Largest::new(self, site))
    }

    fn locality(&self, site: &Site) -> Locality {
        let part = Largest::new(self, site);
        Locality::Windows { axes: part.0.axes(), part: Box::new(part) }
    }

    fn twin(&self, _: &Site) -> Twin {
        Twin::one(FloatLayer::MaxPool(float::MaxPool { window: self.window, stride: self.stride }))
    }
}

impl Forward for Largest {
    fn run(&self, _: &Site, inputs: &[Feed], _: usize) -> Tensor {
        match inputs[0].values() {
            Tensor::Bytes(values) => Tensor::Bytes(self.0.join(values, |v| v, |a, b| a.max(b))),
            Tensor::Words(values) => Tensor::Words(self.0.join(values, |v| v, |a, b| a.max(b))),
        }
    }
}

impl Part for Largest {
    fn run(&self, site: &Site, input: &Tensor, region: &Region) -> Tensor {
        let (crop, windows) = self.0.part(region);
        Forward::run(&Largest(windows), site, &[Feed::Values(&crop.of(self.0.input, input))], 1)
    }
}

impl Backward for Largest {
    fn run(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        let (from, to) = (site.input().shape.len(), site.output.shape.len());
        let images = flow.slopes.chunks_exact(to).zip(into.chunks_exact_mut(from));
        for (image, (slopes, into)) in images.enumerate() {
            match flow.values() {
                Tensor::Bytes(values) => {
                    let values = &values[image * from..];
                    add_max_slopes_of_bytes(site.kernel, &self.0, values, slopes, into);
                }
                Tensor::Words(values) => self.0.add_max_slopes(&values[image * from..], slopes, into),
            }
        }
    }

    fn alone(&self, site: &Site, flow: &Flow, length: usize) -> Vec<f32> {
        let (Tensor::Bytes(values), true) = (flow.values(), self.0.tile_the_input()) else {
            let mut into = vec![0.0; length];
            Backward::run(self, site, flow, &mut into);
            return into;
        };
        let (from, to) = (site.input().shape.len(), site.output.shape.len());
        let mut found = buffers::stale(length);
        let images = flow.slopes.chunks_exact(to).zip(values.chunks_exact(from));
        for ((slopes, values), found) in images.zip(found.chunks_exact_mut(from)) {
            max_slopes_of_tiles(site.kernel, &self.0, values, slopes, found);
        }
        found
    }
}
