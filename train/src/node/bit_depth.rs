//! Squeezes features: rounds pixels to fewer bits.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::{Kind, Tensor, no_grad};

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Training};
use super::proof::{ProofFailure, other_kind, same};
use super::signal::{Signal, Unit};

/// Rounds pixels to fewer bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BitDepth {
    /// Bits of a level.
    pub bits: u32,
}

impl BitDepth {
    /// Returns the real value of one level.
    fn level(&self) -> f64 {
        1.0 / f64::from((1u32 << self.bits) - 1)
    }
}

impl Training for BitDepth {
    fn size(&self, input: [usize; 2]) -> [usize; 2] {
        input
    }

    fn forward(&self, _: &At, inputs: &[&Signal]) -> Signal {
        let reach = inputs[0].unit.known_reach();
        Signal { x: bit_depth(&inputs[0].x, self.bits), unit: Unit::plain(self.level()).reaching(reach) }
    }

    fn bounds(&self, _: &At, _: &[&Signal], ends: &[&Ends]) -> Ends {
        ends[0].rising(|x| bit_depth(x, self.bits))
    }

    fn exact(&self, _: &Frozen) -> Box<dyn Exact> {
        Box::new(*self)
    }
}

impl Exact for BitDepth {
    fn name(&self) -> &'static str {
        "BitDepth"
    }

    fn compute(&self, _: &Facts, inputs: &[&Tensor]) -> Tensor {
        bit_depth(inputs[0], self.bits)
    }

    fn range(&self, _: &str, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        Ok(inputs.map(|_| Range::levels(self.bits as u8)))
    }

    fn unit(&self, _: &[&Facts]) -> (f64, f64) {
        (self.level(), 0.0)
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        inputs[0].reach
    }

    fn integer(&self, _: &Place) -> Layer {
        Layer::BitDepth(layer::BitDepth { bits: self.bits as u8 })
    }

    fn float(&self, _: &Place) -> FloatLayer {
        FloatLayer::BitDepth(float::BitDepth { bits: self.bits as u8 })
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::BitDepth(depth) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        same(at.name, "bits", &self.bits, &depth.bits.into())?;
        Ok(None)
    }
}

/// Returns pixels 0…255 at `bits` bits: round(p·top / 255) for whole pixels, top = 2^bits − 1. Gradients pass
/// the rounding as if it were not there (BPDA).
fn bit_depth(pixels: &Tensor, bits: u32) -> Tensor {
    let top = f64::from((1u32 << bits) - 1);
    let mut levels = pixels * (top / 255.0);
    no_grad(|| {
        // ⌊(2·p·top + 255) / 510⌋ in f64, which is never a whole number: 510·k is even, 2·p·top + 255 odd. So
        // neither a rounded quotient nor a rounded inverse of 510 changes the floor.
        let exact = ((pixels.to_kind(Kind::Double) * (2.0 * top) + 255.0) / 510.0).floor();
        levels.copy_(&exact);
    });
    levels
}

#[cfg(test)]
mod tests {
    use dq_net::layer::Kind as _;
    use ndarray::Array3;

    use super::*;
    use crate::random::{Stream, bits};
    use crate::tensor::integers;

    /// Against the layer itself, on random pixels.
    #[test]
    fn equal_to_the_layer() {
        let image = Array3::from_shape_fn((5, 4, 2), |(y, x, c)| {
            (bits(3, Stream::Probe(0), (y * 8 + x * 2 + c) as u64) % 256) as i32
        });
        let values: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
        let pixels = Tensor::from_slice(&values);
        for bits in 1..=8u8 {
            let expected = layer::BitDepth { bits }.eval(&[image.view()]);
            let expected: Vec<i64> = expected.iter().map(|&v| v.into()).collect();
            assert_eq!(integers(&bit_depth(&pixels, bits.into())), expected);
        }
    }
}
