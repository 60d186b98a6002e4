//! Runs bit depths: a table holds the level of each pixel.

use super::pass::{Kind, Pass, Site};
use dq_net::layer::BitDepth;
use tch::{Kind as Dtype, Tensor};

/// Holds the level of each pixel of 0 to 255, and how many levels one pixel's worth is.
struct Table {
    levels: Tensor,
    slope: f64,
}

impl Kind for BitDepth {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        let levels: Vec<f64> = (0..=255).map(|pixel| self.level(pixel).into()).collect();
        let levels = Tensor::from_slice(&levels).to_kind(site.out()).to_device(site.device);
        Box::new(Table { levels, slope: f64::from((1u32 << self.bits) - 1) / 255.0 })
    }
}

impl Pass for Table {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        self.levels.take(&inputs[0].to_kind(Dtype::Int64))
    }

    fn backward(&self, slopes: &Tensor, _: &[&Tensor], _: usize) -> Tensor {
        slopes * self.slope
    }
}
