//! What the numbers in a forward pass stand for: the real value of a unit, and how far it can move.

use tch::{Device, Kind, Tensor};

use super::{Model, stream_unit};
use crate::graph::{Node, Norm, Op, Shares};
use crate::node::quantize::{Quantizer, learned};
use crate::recipe::Bits;

/// Real value of a node's output `x`: `factor·ceiling·x + offset`, `ceiling` (where it is learned) a tensor of one element.
/// An accumulator's leaves the weight scale out: batch norm takes it away.
#[derive(Debug)]
pub(super) struct Unit {
    factor: f64,
    ceiling: Option<Tensor>,
    pub(super) offset: f64,
    /// How many times further than the image (pixels 0…1) the real value moves at most, in the Euclidean norm, quantizers
    /// aside: one element without gradient, where every layer so far is rescaled.
    pub(super) reach: Option<Tensor>,
}

impl Unit {
    /// The value of one unit, differentiable where it is learned: one element.
    pub(super) fn tensor(&self, device: Device) -> Tensor {
        match &self.ceiling {
            Some(ceiling) => learned(ceiling) * self.factor,
            None => Tensor::full([1], self.factor, (Kind::Float, device)),
        }
    }

    fn times(&self, factor: f64) -> Unit {
        let ceiling = self.ceiling.as_ref().map(Tensor::shallow_clone);
        Unit { factor: self.factor * factor, ceiling, offset: self.offset, reach: None }
    }

    /// The same with a reach.
    pub(super) fn reaching(self, reach: Option<Tensor>) -> Unit {
        Unit { reach, ..self }
    }

    /// A unit that is not learned.
    fn plain(factor: f64) -> Unit {
        Unit { factor, ceiling: None, offset: 0.0, reach: None }
    }
}

impl Model {
    /// The unit of pixels, on `device`.
    pub(super) fn pixel(&self, device: Device) -> Unit {
        let is_bounded =
            matches!(self.nodes.last(), Some(Node { op: Op::Logits { bound: Some(_), .. }, .. }));
        let reach = is_bounded.then(|| Tensor::ones([1], (Kind::Float, device)));
        Unit::plain(1.0 / 255.0).reaching(reach)
    }

    /// The unit of a node's output from that of its (last) input, but for its reach.
    pub(super) fn unit(&self, node: &Node, input: &Unit) -> Unit {
        match node.op {
            Op::BitDepth { bits } => Unit::plain(1.0 / ((1u32 << bits) - 1) as f64),
            Op::Step { activation, bits, .. } => {
                let own = Quantizer::new(activation, bits);
                match (self.parameters.get(&format!("{}.ceiling", node.name)), bits) {
                    (Some(ceiling), Bits::Int(_)) => Unit {
                        ceiling: Some(ceiling.shallow_clone()),
                        ..Unit::plain(own.unit() / own.ceiling)
                    },
                    _ => Unit { offset: own.offset(), ..Unit::plain(own.unit()) },
                }
            }
            Op::Rescale { bits, .. } => Unit::plain(stream_unit(bits)),
            Op::Mix { shares: Shares::Sum { terms }, .. } => input.times(terms as f64 + 1.0),
            Op::GlobalSum { positions } => input.times(1.0 / positions as f64),
            _ => input.times(1.0),
        }
    }

    /// How many times further than the image the real value moves at most, where that is known of every input.
    pub(super) fn reach(
        &self,
        node: &Node,
        inputs: &[&(Tensor, Unit)],
        stretch: Option<&Tensor>,
    ) -> Option<Tensor> {
        let of = |input: &(Tensor, Unit)| input.1.reach.as_ref().map(Tensor::shallow_clone);
        match node.op {
            Op::Step { norm: Norm::None, .. } | Op::Rescale { norm: Norm::None, .. } => of(inputs[0]),
            Op::Step { .. } | Op::Rescale { .. } => Some(of(inputs[0])? * stretch?),
            Op::Mix { shares, .. } => {
                let (skip, branch) = (of(inputs[0])?, of(inputs[1])?);
                Some(match shares {
                    Shares::Learned => {
                        let shares = self.parameter(node, "shares").detach();
                        skip * shares.get(0) + branch * shares.get(1)
                    }
                    Shares::Sum { .. } => skip + branch,
                })
            }
            // Each pixel is in four windows.
            Op::Median => of(inputs[0]).map(|reach| reach * 2.0),
            Op::GlobalSum { positions } => of(inputs[0]).map(|reach| reach / (positions as f64).sqrt()),
            _ => of(inputs[0]),
        }
    }
}
