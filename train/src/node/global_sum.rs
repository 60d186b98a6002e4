//! Sums over all positions.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::{Kind, Tensor};

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Training};
use super::proof::{ProofFailure, other_kind};
use super::signal::Signal;
use super::sums::{fitting, rounded};

/// Describes the sum over all positions. Its real value is the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GlobalSum {
    /// Number of positions that are summed.
    pub positions: usize,
}

impl Training for GlobalSum {
    fn size(&self, _: [usize; 2]) -> [usize; 2] {
        [1, 1]
    }

    fn forward(&self, _: &At, inputs: &[&Signal]) -> Signal {
        let Signal { x, unit } = inputs[0];
        let reach = unit.known_reach().map(|reach| reach / (self.positions as f64).sqrt());
        Signal { x: sum(x), unit: unit.times(1.0 / self.positions as f64).reaching(reach) }
    }

    fn bounds(&self, _: &At, _: &[&Signal], ends: &[&Ends]) -> Ends {
        ends[0].rising(sum)
    }

    fn exact(&self, _: &Frozen) -> Box<dyn Exact> {
        Box::new(*self)
    }
}

impl Exact for GlobalSum {
    fn name(&self) -> &'static str {
        "GlobalSum"
    }

    fn compute(&self, facts: &Facts, inputs: &[&Tensor]) -> Tensor {
        rounded(inputs[0].sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Double), facts)
    }

    fn range(&self, name: &str, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        let n = self.positions as i64;
        let sum = |input: Range| Range::new((input.lo * n).min(0), (input.hi * n).max(0));
        inputs.map(|inputs| fitting(name, sum(inputs[0]))).transpose()
    }

    fn unit(&self, inputs: &[&Facts]) -> (f64, f64) {
        (inputs[0].unit / self.positions as f64, inputs[0].offset)
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        inputs[0].reach / (self.positions as f64).sqrt()
    }

    fn is_flat(&self, _: bool) -> bool {
        true
    }

    fn integer(&self, _: &Place) -> Layer {
        Layer::GlobalSum(layer::GlobalSum)
    }

    fn float(&self, _: &Place) -> FloatLayer {
        FloatLayer::GlobalMean(float::GlobalMean)
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let is_same = matches!(layer, Layer::GlobalSum(_));
        if is_same { Ok(None) } else { Err(other_kind(at.name, self.name(), layer)) }
    }
}

/// Returns the sums of each channel. They need more than bf16's 8 bits: from here on values are fp32.
fn sum(x: &Tensor) -> Tensor {
    x.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Float)
}
