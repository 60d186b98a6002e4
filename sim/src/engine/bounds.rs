//! Interval bounds of every node over boxes of images: sound for the integer semantics by construction, as every bound is
//! an integer that the node's own arithmetic gives for the ends of its inputs' bounds. Exact where a box is one image.

use super::{Engine, Op, Tensor, linear::Linear};
use dq_net::layer::{Conv, Dense, Layer};
use ndarray::ArrayView4;

/// A network made ready for bounds.
pub(crate) struct Bounds<'a> {
    engine: &'a Engine,
    /// Of each layer with weights, those above zero and those below.
    halves: Vec<Option<[Linear; 2]>>,
}

impl<'a> Bounds<'a> {
    pub fn new(engine: &'a Engine) -> Self {
        let halves = (0..engine.nodes.len()).map(|i| halves(engine, i)).collect();
        Self { engine, halves }
    }

    /// Least and largest value of every node's output over the boxes `lo..=hi` (batch × height × width × channels), node
    /// by node.
    pub fn run(&self, lo: ArrayView4<u8>, hi: ArrayView4<u8>) -> Vec<[Tensor; 2]> {
        let (count, kernel) = (lo.dim().0, self.engine.kernel());
        let mut ends: [Vec<Option<Tensor>>; 2] = [vec![], vec![]];
        for (i, halves) in self.halves.iter().enumerate() {
            let [low, high] = match halves {
                Some(halves) => {
                    let source = self.engine.network().sources(i)[0];
                    let inputs = [0, 1].map(|end| ends[end][source].as_ref().expect("all are kept"));
                    let length = count * self.engine.network().wire(i).shape.len();
                    let sums = |half: usize, end: usize| {
                        let (linear, mut sums) = (&halves[half], vec![0; length]);
                        linear.run(kernel, inputs[end], count, |first, tile| {
                            sums[first * linear.channels()..][..tile.len()].copy_from_slice(tile);
                        });
                        sums
                    };
                    // A weight below zero turns the ends of its input around.
                    [0, 1].map(|end| {
                        let both = sums(0, end).into_iter().zip(sums(1, 1 - end));
                        Tensor::narrow(
                            both.map(|(a, b)| a + b).collect(),
                            self.engine.network().wire(i).range,
                        )
                    })
                }
                None => {
                    let found = [(lo, &ends[0]), (hi, &ends[1])]
                        .map(|(images, values)| self.engine.node(i, images, values, count));
                    match &self.engine.nodes[i] {
                        // Monotone, up or down, by the channel.
                        Op::Step(_) | Op::Rescale(_) => ordered(found),
                        // All others do not fall where their inputs rise.
                        _ => found,
                    }
                }
            };
            ends[0].push(Some(low));
            ends[1].push(Some(high));
        }
        let [low, high] = ends;
        low.into_iter()
            .zip(high)
            .map(|(low, high)| [low, high].map(|end| end.expect("all are kept")))
            .collect()
    }
}

fn halves(engine: &Engine, i: usize) -> Option<[Linear; 2]> {
    let network = engine.network();
    let input = || network.wire(network.sources(i)[0]);
    let signs: [fn(i8) -> i8; 2] = [|w| w.max(0), |w| w.min(0)];
    match &network.nodes()[i].layer {
        Layer::Conv(conv) => Some(signs.map(|half| {
            let half = Conv { weights: conv.weights.mapv(half), ..conv.clone() };
            Linear::conv(engine.kernel(), &half, input(), network.wire(i).shape)
        })),
        Layer::Dense(dense) => Some(signs.map(|half| {
            let half = Dense { weights: dense.weights.mapv(half), ..dense.clone() };
            Linear::dense(engine.kernel(), &half, input())
        })),
        _ => None,
    }
}

/// The lesser of two values in the first, the larger in the second.
fn ordered([a, b]: [Tensor; 2]) -> [Tensor; 2] {
    match (a, b) {
        (Tensor::Bytes(mut a), Tensor::Bytes(mut b)) => {
            order(&mut a, &mut b);
            [Tensor::Bytes(a), Tensor::Bytes(b)]
        }
        (a, b) => {
            let (mut a, mut b) = (a.into_words(), b.into_words());
            order(&mut a, &mut b);
            [Tensor::Words(a), Tensor::Words(b)]
        }
    }
}

fn order<T: Ord>(a: &mut [T], b: &mut [T]) {
    a.iter_mut().zip(b).filter(|(a, b)| a > b).for_each(|(a, b)| std::mem::swap(a, b));
}
