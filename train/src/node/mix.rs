//! Joins two residual streams, skip first, to one.

use anyhow::Result;
use dq_net::float::layer as float;
use dq_net::{FloatLayer, Layer, LayerProof, Range, layer};
use tch::{Kind, Tensor, no_grad};

use super::ends::Ends;
use super::kind::{At, Exact, Facts, Frozen, Place, Training};
use super::proof::{ProofFailure, other_kind, same};
use super::rounding::round_through;
use super::signal::Signal;
use super::stream::clipped;
use super::sums::fitting;
use crate::recipe::BitWidths;
use crate::tensor::vector;

/// Describes a weighted sum of two streams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// The shares of the two streams.
    pub shares: Shares,
    /// Bits of the result, which is a stream again.
    pub bits: u32,
}

/// Says how the shares of a residual's two streams are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shares {
    /// They are learned, on the simplex.
    Learned,
    /// The streams are added: the skip is the mean of some number of terms, the result the mean of one more.
    /// Its real value is their sum.
    Sum {
        /// Number of terms in the skip, at least 1.
        terms: usize,
    },
}

impl Mix {
    /// Returns the joined stream. No share is negative: it rises with both.
    fn joined(&self, at: &At, skip: &Tensor, branch: &Tensor) -> Tensor {
        let sum = match self.shares {
            Shares::Learned => {
                let shares = at.values.parameter(at.name, "shares").to_kind(skip.kind());
                skip * shares.get(0) + branch * shares.get(1)
            }
            Shares::Sum { terms } => {
                let whole = terms as f64 + 1.0;
                skip * (terms as f64 / whole) + branch * (1.0 / whole)
            }
        };
        round_through(&sum)
    }
}

impl Training for Mix {
    fn size(&self, input: [usize; 2]) -> [usize; 2] {
        input
    }

    fn parameters(&self, _: &BitWidths) -> Vec<(&'static str, Tensor)> {
        match self.shares {
            Shares::Learned => vec![("shares", Tensor::full([2], 0.5, (Kind::Float, tch::Device::Cpu)))],
            Shares::Sum { .. } => Vec::new(),
        }
    }

    fn forward(&self, at: &At, inputs: &[&Signal]) -> Signal {
        let (skip, branch) = (inputs[0], inputs[1]);
        let reaches = skip.unit.known_reach().zip(branch.unit.known_reach());
        let x = self.joined(at, &skip.x, &branch.x);
        match self.shares {
            Shares::Learned => {
                let shares = at.values.parameter(at.name, "shares").detach();
                let reach = reaches.map(|(skip, branch)| skip * shares.get(0) + branch * shares.get(1));
                Signal { x, unit: branch.unit.times(1.0).reaching(reach) }
            }
            Shares::Sum { terms } => {
                let reach = reaches.map(|(skip, branch)| skip + branch);
                Signal { x, unit: branch.unit.times(terms as f64 + 1.0).reaching(reach) }
            }
        }
    }

    fn bounds(&self, at: &At, _: &[&Signal], ends: &[&Ends]) -> Ends {
        let (skip, branch) = (ends[0], ends[1]);
        Ends::new(self.joined(at, &skip.low, &branch.low), self.joined(at, &skip.high, &branch.high))
    }

    fn exact(&self, at: &Frozen) -> Box<dyn Exact> {
        let first = match self.shares {
            Shares::Learned => vector(at.values.parameter(at.name, "shares"))[0],
            Shares::Sum { terms } => terms as f64 / (terms as f64 + 1.0),
        };
        Box::new(ExactMix { mix: fixed_point(first, self.bits), shares: self.shares })
    }
}

/// Holds the exact twin.
#[derive(Debug)]
struct ExactMix {
    /// The shares in fixed point.
    mix: layer::Mix,
    shares: Shares,
}

impl Exact for ExactMix {
    fn name(&self) -> &'static str {
        "Mix"
    }

    fn compute(&self, facts: &Facts, inputs: &[&Tensor]) -> Tensor {
        let (skip, branch) = (inputs[0], inputs[1]);
        if facts.range.is_none() { real(&self.mix, skip, branch) } else { whole(&self.mix, skip, branch) }
    }

    fn range(&self, name: &str, inputs: Option<&[Range]>) -> Result<Option<Range>> {
        let value = |x: i64, y: i64| self.mix.value(x as i32, y as i32).into();
        let sum =
            |skip: Range, branch: Range| Range::new(value(skip.lo, branch.lo), value(skip.hi, branch.hi));
        inputs.map(|inputs| fitting(name, sum(inputs[0], inputs[1]))).transpose()
    }

    fn unit(&self, inputs: &[&Facts]) -> (f64, f64) {
        let branch = inputs[1];
        match self.shares {
            Shares::Learned => (branch.unit, branch.offset),
            Shares::Sum { terms } => (branch.unit * (terms as f64 + 1.0), 0.0),
        }
    }

    fn reach(&self, inputs: &[&Facts]) -> f64 {
        let (skip, branch) = (inputs[0].reach, inputs[1].reach);
        match self.shares {
            Shares::Sum { .. } => skip + branch,
            Shares::Learned => {
                let whole = f64::from(self.mix.shift).exp2();
                (skip * f64::from(self.mix.a) + branch * f64::from(self.mix.b)) / whole
            }
        }
    }

    fn integer(&self, _: &Place) -> Layer {
        Layer::Mix(self.mix.clone())
    }

    fn float(&self, _: &Place) -> FloatLayer {
        match self.shares {
            Shares::Learned => {
                let share = |part: i32| (f64::from(part) / f64::from(self.mix.shift).exp2()) as f32;
                FloatLayer::Mix(float::Mix { a: share(self.mix.a), b: share(self.mix.b) })
            }
            // The streams are added: each input's real value is that of its terms.
            Shares::Sum { .. } => FloatLayer::Mix(float::Mix { a: 1.0, b: 1.0 }),
        }
    }

    fn prove(&self, at: &Place, layer: &Layer) -> Result<Option<LayerProof>, ProofFailure> {
        let Layer::Mix(mix) = layer else { return Err(other_kind(at.name, self.name(), layer)) };
        same(at.name, "mix", &self.mix, mix)?;
        Ok(None)
    }
}

/// Returns the layer whose first share is the nearest to `share`, of 2^15.
fn fixed_point(share: f64, bits: u32) -> layer::Mix {
    let shift = layer::Mix::MAX_SHIFT;
    let whole = 1i32 << shift;
    let a = (share * f64::from(whole)).round().clamp(0.0, whole.into()) as i32;
    layer::Mix { a, b: whole - a, shift, bits: bits as u8 }
}

/// Mixes whole numbers; the gradient is each one's share where the sum is not clipped.
fn whole(mix: &layer::Mix, skip: &Tensor, branch: &Tensor) -> Tensor {
    let whole = f64::from(mix.shift).exp2();
    let (a, b) = (f64::from(mix.a), f64::from(mix.b));
    let floor = no_grad(|| ((skip * a + branch * b + mix.half() as f64) / whole).floor());
    clipped(real(mix, skip, branch), &floor, mix.bits)
}

/// Mixes real numbers, without rounding.
fn real(mix: &layer::Mix, skip: &Tensor, branch: &Tensor) -> Tensor {
    let whole = f64::from(mix.shift).exp2();
    skip * (f64::from(mix.a) / whole) + branch * (f64::from(mix.b) / whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::integers;

    /// Against the layer, over a whole range.
    #[test]
    fn equal_to_the_layer() {
        let mix = fixed_point(1.0 / 3.0, 12);
        assert_eq!((mix.a, mix.b), (10_923, 21_845));
        let every = Tensor::arange_start(-400, 400, (Kind::Double, tch::Device::Cpu));
        let mixed = integers(&whole(&mix, &every, &(&every * -1.5).floor()));
        for (i, value) in mixed.into_iter().enumerate() {
            let x = i as i32 - 400;
            assert_eq!(value, i64::from(mix.value(x, (f64::from(x) * -1.5).floor() as i32)));
        }
    }
}
