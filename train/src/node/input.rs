//! Gives the image: uint8 pixels, 0…255.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::layer;
use dq_net::{FloatLayer, Layer, LayerProof, Range, Shape};
use tch::Tensor;

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Training};
use super::proof::{ProofFailure, other_kind, same};
use super::signal::Signal;

/// Describes the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Input {
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of channels.
    pub channels: usize,
}

impl Training for Input {
    fn size(&self, _: [usize; 2]) -> [usize; 2] {
        [self.height, self.width]
    }

    fn forward(&self, _: &At, inputs: &[&Signal]) -> Signal {
        Signal { x: inputs[0].x.shallow_clone(), unit: inputs[0].unit.same() }
    }

    fn bounds(&self, _: &At, _: &[&Signal], ends: &[&Ends]) -> Ends {
        ends[0].rising(Tensor::shallow_clone)
    }

    fn exact(&self, at: &Frozen) -> Box<dyn Exact> {
        let [height, width, channels] = at.image;
        Box::new(Image { shape: Shape::new(height, width, channels) })
    }
}

/// Holds the exact twin.
#[derive(Debug)]
struct Image {
    shape: Shape,
}

impl Exact for Image {
    fn name(&self) -> &'static str {
        "Input"
    }

    fn compute(&self, _: &Facts, inputs: &[&Tensor]) -> Tensor {
        inputs[0].shallow_clone()
    }

    fn range(&self, _: &str, _: Option<&[Range]>) -> Result<Option<Range>> {
        Ok(Some(Range::levels(8)))
    }

    fn unit(&self, _: &[&Facts]) -> (f64, f64) {
        (1.0 / 255.0, 0.0)
    }

    fn reach(&self, _: &[&Facts]) -> f64 {
        1.0
    }

    fn integer(&self, _: &Place) -> Layer {
        Layer::Input(layer::Input::pixels(self.shape))
    }

    fn float(&self, _: &Place) -> FloatLayer {
        FloatLayer::Input(float::Input { shape: self.shape })
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::Input(image) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        same(at.name, "shape", &self.shape.to_string(), &image.shape.to_string())?;
        Ok(None)
    }
}
