//! Takes the maximum of 2×2 windows with stride 2; an odd last row or column is dropped.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::Tensor;

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Training};
use super::proof::{ProofFailure, other_kind, same};
use super::signal::Signal;

/// Describes the maximum of 2×2 windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPool;

/// Rows and columns of a window, which are also the distance between two windows.
const WINDOW: [usize; 2] = [2, 2];

impl Training for MaxPool {
    fn size(&self, input: [usize; 2]) -> [usize; 2] {
        input.map(|n| n / 2)
    }

    fn forward(&self, _: &At, inputs: &[&Signal]) -> Signal {
        Signal { x: max_pool(&inputs[0].x), unit: inputs[0].unit.same() }
    }

    fn bounds(&self, _: &At, _: &[&Signal], ends: &[&Ends]) -> Ends {
        ends[0].rising(max_pool)
    }

    fn exact(&self, _: &Frozen) -> Box<dyn Exact> {
        Box::new(*self)
    }
}

impl Exact for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn compute(&self, _: &Facts, inputs: &[&Tensor]) -> Tensor {
        max_pool(inputs[0])
    }

    fn range(&self, _: &str, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        Ok(inputs.map(|inputs| inputs[0]))
    }

    fn unit(&self, inputs: &[&Facts]) -> (f64, f64) {
        (inputs[0].unit, inputs[0].offset)
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        inputs[0].reach
    }

    fn integer(&self, _: &Place) -> Layer {
        Layer::MaxPool(layer::MaxPool { window: WINDOW, stride: WINDOW })
    }

    fn float(&self, _: &Place) -> FloatLayer {
        FloatLayer::MaxPool(float::MaxPool { window: WINDOW, stride: WINDOW })
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::MaxPool(pool) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        same(at.name, "window and stride", &(WINDOW, WINDOW), &(pool.window, pool.stride))?;
        Ok(None)
    }
}

fn max_pool(x: &Tensor) -> Tensor {
    x.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
}
