//! Computes a BitDepth: each pixel of the image is replaced by its leading bits.

use super::pass::{Backward, Bounds, Feed, Forward, Kind, Locality, Site, Through, Twin};
use super::relax::lines::{Corners, Lines, stairs};
use super::relax::{Descend, Relax};
use crate::linear::Precision;
use crate::rows::Ends;
use crate::tensor::Tensor;
use dq_net::layer::BitDepth;
use std::sync::Arc;

/// Holds the level of each pixel value.
struct Table([u8; 256]);

/// Holds the pixel values at which the level rises, by one each.
struct Rises(Vec<i64>);

impl Kind for BitDepth {
    fn forward(&self, _: &Site) -> Box<dyn Forward> {
        Box::new(Table(std::array::from_fn(|pixel| self.level(pixel as i32) as u8)))
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(Rises::of(self)))
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

impl Rises {
    fn of(depth: &BitDepth) -> Self {
        let rises = |&pixel: &i32| depth.level(pixel) > depth.level(pixel - 1);
        Self((1..=255).filter(rises).map(i64::from).collect())
    }
}

impl Corners for Rises {
    fn write(&self, _: usize, ends: (i64, i64), points: &mut Vec<(i64, i64)>) {
        stairs(&self.0, ends, points);
    }
}

impl Relax for Rises {
    fn on<'a>(&'a self, _: &'a Site, inputs: &[&Arc<Ends>], _: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        Box::new(Lines::new(inputs[0].clone(), self))
    }
}

impl Forward for Table {
    fn run(&self, site: &Site, inputs: &[Feed], count: usize) -> Tensor {
        let pixels = inputs[0].values();
        let length = count * site.output.shape.len();
        Tensor::Bytes((0..length).map(|at| self.0[pixels.get(at) as usize]).collect())
    }
}
