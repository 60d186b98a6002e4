//! Passes the Input on: the image, unchanged.

use super::pass::{Backward, Bounds, Feed, Forward, Kind, Site, Through, Twin};
use super::relax::Relax;
use crate::linear::Precision;
use crate::tensor::Tensor;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use dq_net::layer::Input;

struct Image;

impl Kind for Input {
    fn forward(&self, _: &Site) -> Box<dyn Forward> {
        Box::new(Image)
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    /// Here the box itself bounds the values.
    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        None
    }

    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Through(1.0))
    }

    fn twin(&self, site: &Site) -> Twin {
        // Float networks read pixels of 0 to 1.
        let shape = site.output.shape;
        Twin::chain(vec![FloatLayer::Input(float::Input { shape }), Twin::times(255.0, shape.channels)])
    }
}

impl Forward for Image {
    fn run(&self, _: &Site, inputs: &[Feed], _: usize) -> Tensor {
        match inputs {
            [Feed::Images(images)] => Tensor::of_pixels(images.view()),
            _ => unreachable!("an Input reads the images"),
        }
    }
}
