//! Computes a BitDepth: each pixel of the image is replaced by its leading bits.

use super::pass::{Backward, Bounds, Feed, Forward, Kind, Locality, Site, Through, Twin};
use crate::linear::Precision;
use crate::tensor::Tensor;
use dq_net::layer::BitDepth;

/// Holds the level of each pixel value.
struct Table([u8; 256]);

impl Kind for BitDepth {
    fn forward(&self, _: &Site) -> Box<dyn Forward> {
        Box::new(Table(std::array::from_fn(|pixel| self.level(pixel as i32) as u8)))
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn locality(&self, _: &Site) -> Locality {
        Locality::Pixels
    }

    /// Passes slopes as if the pixel were not rounded (BPDA, Athalye, Carlini, Wagner, ICML 2018).
    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Through(((1u32 << self.bits) - 1) as f32 / 255.0))
    }

    fn twin(&self, site: &Site) -> Twin {
        let levels = f64::from((1u32 << self.bits) - 1) / 255.0;
        Twin::one(Twin::times(levels, site.output.shape.channels))
    }
}

impl Forward for Table {
    fn run(&self, site: &Site, inputs: &[Feed], count: usize) -> Tensor {
        let pixels = inputs[0].values();
        let length = count * site.output.shape.len();
        Tensor::Bytes((0..length).map(|at| self.0[pixels.get(at) as usize]).collect())
    }
}
