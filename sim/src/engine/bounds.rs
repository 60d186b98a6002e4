//! Computes interval bounds of every node over boxes of images. They are sound for the integer semantics by
//! construction, as every bound is an integer that the node's own arithmetic gives for the ends of its
//! inputs' bounds. They are exact where a box is one image.

use super::{Engine, Node};
use crate::buffers;
use crate::kernel::multiversion;
use crate::kind::{Bounds, Feed, kind};
use crate::tensor::Tensor;
use ndarray::ArrayView4;

/// Holds a network made ready for bounds.
pub(crate) struct IntervalBounds<'a> {
    engine: &'a Engine,
    /// How each node's bounds follow from those of its inputs.
    rules: Vec<Bounds>,
}

impl<'a> IntervalBounds<'a> {
    /// Asks each kind of layer for its rule.
    pub fn new(engine: &'a Engine) -> Self {
        let nodes = engine.network.nodes().iter().zip(&engine.nodes);
        Self { engine, rules: nodes.map(|(node, own)| kind(&node.layer).bounds(&own.site)).collect() }
    }

    /// Returns the least and the largest value of node `wanted`'s output over the boxes `lo..=hi` (batch × height
    /// × width × channels).
    pub fn of(&self, wanted: usize, lo: ArrayView4<u8>, hi: ArrayView4<u8>) -> [Tensor; 2] {
        let mut ends: [Vec<Option<Tensor>>; 2] = [vec![], vec![]];
        for node in 0..wanted {
            self.push(node, [lo, hi], &mut ends);
            ends.iter_mut().for_each(|end| self.engine.give_read(node, end));
        }
        let found = self.node(wanted, [lo, hi], &ends);
        ends.into_iter().flatten().flatten().for_each(Tensor::give);
        found
    }

    /// Computes the bounds of node `i`, given those of the nodes before it that it reads.
    fn push(&self, i: usize, boxes: [ArrayView4<u8>; 2], ends: &mut [Vec<Option<Tensor>>; 2]) {
        let [low, high] = self.node(i, boxes, ends);
        ends[0].push(Some(low));
        ends[1].push(Some(high));
    }

    /// Returns the least and the largest value of node `i`'s output, given those of the nodes before it.
    pub fn node(&self, i: usize, boxes: [ArrayView4<u8>; 2], ends: &[Vec<Option<Tensor>>; 2]) -> [Tensor; 2] {
        let count = boxes[0].dim().0;
        let forward = || [0, 1].map(|end| self.engine.run_node(i, boxes[end], &ends[end]));
        match &self.rules[i] {
            Bounds::Rising => forward(),
            Bounds::Monotone => ordered(forward()),
            Bounds::Directed(rises) => {
                let sources = self.engine.network.sources(i).iter().zip(rises);
                [0, 1].map(|end| {
                    let source = |(&source, &rises): (&usize, &bool)| {
                        let end = if rises { end } else { 1 - end };
                        Feed::Values(ends[end][source].as_ref().expect("all are kept"))
                    };
                    let feeds: Vec<Feed> = sources.clone().map(source).collect();
                    let Node { site, forward, .. } = &self.engine.nodes[i];
                    forward.run(site, &feeds, count)
                })
            }
            Bounds::Centred(layers) => {
                let site = &self.engine.nodes[i].site;
                let source = self.engine.network.sources(i)[0];
                let [Some(Tensor::Bytes(lo)), Some(Tensor::Bytes(hi))] = [&ends[0][source], &ends[1][source]]
                else {
                    unreachable!("the rule holds for bytes alone, and all are kept")
                };
                let pairs = || lo.iter().zip(hi);
                let twice = if site.input().range.hi <= 127 {
                    joined(pairs(), |lo, hi| lo + hi)
                } else {
                    Tensor::Words(pairs().map(|(&lo, &hi)| i32::from(lo) + i32::from(hi)).collect())
                };
                let inputs = [twice, joined(pairs(), |lo, hi| hi - lo)];
                let sums = |layer: usize| layers[layer].sums(site.kernel, &inputs[layer], count);
                let [mut low, mut high] = [sums(0), sums(1)];
                inputs.into_iter().for_each(Tensor::give);
                part(site.kernel, &mut low, &mut high);
                [low, high].map(|end| Tensor::narrow(end, site.output.range))
            }
            Bounds::Signed(halves) => {
                let site = &self.engine.nodes[i].site;
                let source = self.engine.network.sources(i)[0];
                let sums = |half: usize, end: usize| {
                    let input = ends[end][source].as_ref().expect("all are kept");
                    halves[half].sums(site.kernel, input, count)
                };
                // A negative weight swaps the ends of its input.
                [0, 1].map(|end| {
                    let both = sums(0, end).into_iter().zip(sums(1, 1 - end));
                    Tensor::narrow(both.map(|(a, b)| a + b).collect(), site.output.range)
                })
            }
        }
    }
}

/// Joins pairs of bytes to bytes.
fn joined<'a>(pairs: impl ExactSizeIterator<Item = (&'a u8, &'a u8)>, join: impl Fn(u8, u8) -> u8) -> Tensor {
    let mut bytes = buffers::stale(pairs.len());
    bytes.iter_mut().zip(pairs).for_each(|(to, (&lo, &hi))| *to = join(lo, hi));
    Tensor::Bytes(bytes)
}

multiversion! {
    /// Turns twice the middles and the distances of two ends into the ends.
    fn part = parted(low: &mut [i32], high: &mut [i32])
}

#[inline(always)]
fn parted(twice: &mut [i32], apart: &mut [i32]) {
    for (low, high) in twice.iter_mut().zip(apart) {
        (*low, *high) = ((*low - *high) >> 1, (*low + *high) >> 1);
    }
}

/// Puts the lesser of each two values first, the larger second.
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

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::layer::{Conv, Dense, Layer};
    use dq_net::random::{self, Options};
    use ndarray::{Array3, Array4, Axis};
    use std::collections::BTreeSet;

    /// Returns the bounds of every node.
    fn all(bounds: &IntervalBounds, lo: ArrayView4<u8>, hi: ArrayView4<u8>) -> Vec<[Tensor; 2]> {
        let mut ends = [vec![], vec![]];
        (0..bounds.rules.len()).for_each(|node| bounds.push(node, [lo, hi], &mut ends));
        let [low, high] = ends.map(|end| end.into_iter().map(|value| value.expect("all are kept")));
        low.zip(high).map(|(low, high)| [low, high]).collect()
    }

    /// In networks of all kinds of layer, images of a box have values within its bounds at every node, and a
    /// box of one image has that image's values as its bounds.
    #[test]
    fn every_kind_of_layer_stays_within_its_bounds() {
        let mut kinds = BTreeSet::new();
        for seed in 0..150 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let engine = Engine::new(&network);
            let bounds = IntervalBounds::new(&engine);
            let ends = [1, 2].map(|n| random::image(seed + 1000 * n, network.input()));
            let (mut lo, mut hi) = (ends[0].clone(), ends[0].clone());
            lo.zip_mut_with(&ends[1], |lo, &v| *lo = v.min(*lo));
            hi.zip_mut_with(&ends[1], |hi, &v| *hi = v.max(*hi));
            let found = all(&bounds, lo.view().insert_axis(Axis(0)), hi.view().insert_axis(Axis(0)));
            let (height, width, channels) = lo.dim();
            let inside = Array4::from_shape_fn((8, height, width, channels), |(n, y, x, c)| {
                let at = [y, x, c];
                [lo[at], hi[at]][(seed as usize + n * 7 + y * 5 + x * 3 + c) / (n + 1) % 2]
            });
            for (i, values) in engine.nodes(inside.view()).into_iter().enumerate() {
                let [low, high] = &found[i];
                for image in values.outer_iter() {
                    let all = image.iter().enumerate();
                    let name = &network.nodes()[i].name;
                    let is_within = |(at, &v): (usize, &i32)| low.get(at) <= v && v <= high.get(at);
                    assert!(all.into_iter().all(is_within), "seed {seed}, {name}");
                }
                kinds.insert(network.nodes()[i].layer.kind().name());
            }
            let point = ends[0].view().insert_axis(Axis(0));
            for (values, [low, high]) in engine.nodes(point).iter().zip(all(&bounds, point, point)) {
                let words: Vec<i32> = values.iter().copied().collect();
                assert!(low.into_words() == words && high.into_words() == words, "seed {seed}");
            }
        }
        assert_eq!(kinds.len(), 14, "{kinds:?}");
    }

    /// The ends of an accumulator are the sums of each weight times that end of its input which makes it least
    /// or most.
    #[test]
    fn layers_with_weights_have_the_tightest_ends() {
        let mut centred = 0;
        for seed in 0..60 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let engine = Engine::new(&network);
            let bounds = IntervalBounds::new(&engine);
            let lo = random::image(seed, network.input());
            let hi = lo.mapv(|v| v.saturating_add(40).min(network.input().top()));
            let found = all(&bounds, lo.view().insert_axis(Axis(0)), hi.view().insert_axis(Axis(0)));
            for (i, node) in network.nodes().iter().enumerate() {
                let half = |sign: fn(i8) -> i8| match &node.layer {
                    Layer::Conv(conv) => {
                        Some(Layer::Conv(Conv { weights: conv.weights.mapv(sign), ..conv.clone() }))
                    }
                    Layer::Dense(dense) => {
                        Some(Layer::Dense(Dense { weights: dense.weights.mapv(sign), ..dense.clone() }))
                    }
                    _ => None,
                };
                let Some(halves) = half(|w| w.max(0)).zip(half(|w| w.min(0))) else { continue };
                centred += usize::from(matches!(bounds.rules[i], Bounds::Centred(_)));
                let source = network.sources(i)[0];
                let input = |end: usize| {
                    let values = found[source][end].words().into_owned();
                    Array3::from_shape_vec(network.wire(source).shape.dim(), values).unwrap()
                };
                for end in [0, 1] {
                    let [above, below] = [input(end), input(1 - end)];
                    let wanted =
                        halves.0.kind().eval(&[above.view()]) + halves.1.kind().eval(&[below.view()]);
                    let words = found[i][end].words();
                    assert!(words.iter().eq(wanted.iter()), "seed {seed}, {}, end {end}", node.name);
                }
            }
        }
        assert!(centred > 40, "{centred}");
    }
}
