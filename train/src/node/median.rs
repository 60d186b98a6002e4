//! Squeezes features: takes a 2×2 median.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::{Kind, Tensor, no_grad};

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Training};
use super::proof::{ProofFailure, other_kind};
use super::signal::Signal;

/// Describes a median of 2×2 windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median;

/// Factor by which values can move further through it, in the Euclidean norm: each pixel is in four windows.
const STRETCH: f64 = 2.0;

impl Training for Median {
    fn size(&self, input: [usize; 2]) -> [usize; 2] {
        input
    }

    fn forward(&self, _: &At, inputs: &[&Signal]) -> Signal {
        let input = inputs[0];
        let reach = input.unit.known_reach().map(|reach| reach * STRETCH);
        Signal { x: median(&input.x), unit: input.unit.times(1.0).reaching(reach) }
    }

    fn bounds(&self, _: &At, _: &[&Signal], ends: &[&Ends]) -> Ends {
        ends[0].rising(median)
    }

    fn exact(&self, _: &Frozen) -> Box<dyn Exact> {
        Box::new(*self)
    }
}

impl Exact for Median {
    fn name(&self) -> &'static str {
        "Median"
    }

    fn compute(&self, _: &Facts, inputs: &[&Tensor]) -> Tensor {
        median(inputs[0])
    }

    fn range(&self, _: &str, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        Ok(inputs.map(|inputs| inputs[0]))
    }

    fn unit(&self, inputs: &[&Facts]) -> (f64, f64) {
        (inputs[0].unit, inputs[0].offset)
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        inputs[0].reach * STRETCH
    }

    fn integer(&self, _: &Place) -> Layer {
        Layer::Median(layer::Median)
    }

    fn float(&self, _: &Place) -> FloatLayer {
        FloatLayer::Median(float::Median)
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        if matches!(layer, Layer::Median(_)) {
            Ok(None)
        } else {
            Err(other_kind(at.name, self.name(), layer))
        }
    }
}

/// Returns the lower of the two middle values of each pixel, its upper, its left and its upper left
/// neighbour; the border is repeated. Of equal values the first in row-major order is chosen, and the
/// gradient goes to the chosen pixel.
fn median(x: &Tensor) -> Tensor {
    let (height, width) = (x.size()[2], x.size()[3]);
    let above = |t: &Tensor| Tensor::cat(&[t.narrow(2, 0, 1), t.narrow(2, 0, height - 1)], 2);
    let left = |t: &Tensor| Tensor::cat(&[t.narrow(3, 0, 1), t.narrow(3, 0, width - 1)], 3);
    let taps = Tensor::stack(&[left(&above(x)), above(x), left(x), x.shallow_clone()], -1);
    let chosen = no_grad(|| {
        let (sorted, _) = taps.sort(-1, false);
        let equal = taps.eq_tensor(&sorted.narrow(-1, 1, 1)).to_kind(Kind::Int64);
        let rank = Tensor::from_slice(&[4i64, 3, 2, 1]).to_device(x.device());
        (equal * rank).argmax(-1, true)
    });
    taps.gather(-1, &chosen, false).squeeze_dim(-1)
}

#[cfg(test)]
mod tests {
    use dq_net::layer::Kind as _;
    use ndarray::Array3;

    use super::*;
    use crate::random::{Stream, bits};
    use crate::tensor::integers;

    /// Against the layer itself, on random levels of few and of many values.
    #[test]
    fn equal_to_the_layer() {
        for levels in [2, 6, 256] {
            let image = Array3::from_shape_fn((5, 4, 2), |(y, x, c)| {
                (bits(3, Stream::Probe(0), (y * 8 + x * 2 + c) as u64) % levels) as i32
            });
            let values: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
            let pixels = Tensor::from_slice(&values).reshape([1, 5, 4, 2]).permute([0, 3, 1, 2]);
            let expected = layer::Median.eval(&[image.view()]);
            let expected: Vec<i64> = expected.iter().map(|&v| v.into()).collect();
            assert_eq!(integers(&median(&pixels).permute([0, 2, 3, 1])), expected);
        }
    }
}
