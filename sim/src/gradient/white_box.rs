//! Shows an integer network as an attacker with full knowledge sees it: the exact engine forward, and a
//! straight-through backward pass, in which each kind of layer says how slopes go through it.

use super::{GradientSource, Loss, LossGradient, Near};
use crate::buffers;
use crate::engine::{Engine, NearImage, Trace};
use crate::kind::{Backward, Flow, kind};
use crate::linear::Precision;
use crate::tensor::Tensor;
use dq_net::Network;
use dq_net::layer::Input;
use ndarray::{Array2, Array4, ArrayView2, ArrayView3, ArrayView4, Axis};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Holds an [`Engine`] and the gradients of its network.
pub struct WhiteBox {
    engine: Engine,
    precision: Precision,
    /// The nodes' backward passes, packed on the first call that asks for a gradient.
    backward: OnceLock<Vec<Box<dyn Backward>>>,
}

/// Says how a node's values at a batch of images can be driven to their extremes.
pub(crate) struct Climb {
    /// Least and largest value of the node, per image.
    pub extremes: Vec<(i32, i32)>,
    /// Gradient with respect to the pixels, batch × height × width × channels.
    pub gradient: Array4<f32>,
}

impl From<Engine> for WhiteBox {
    fn from(engine: Engine) -> Self {
        Self { engine, precision: Precision::default(), backward: OnceLock::new() }
    }
}

impl WhiteBox {
    /// Prepares `network` for the best kernel of this machine.
    pub fn new(network: &Network) -> Self {
        Engine::new(network).into()
    }

    /// Sums gradients in other numbers. Scores and labels are as before.
    pub fn with_gradients(self, precision: Precision) -> Self {
        Self { precision, backward: OnceLock::new(), ..self }
    }

    /// Returns the engine, which computes scores and labels.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the network.
    pub fn network(&self) -> &Network {
        self.engine.network()
    }

    /// Returns the scores of `images` (batch × classes), and the straight-through gradient of
    /// `Σ cotangents · scores` by the pixels (batch × height × width × channels), per unit of a uint8 pixel.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn vjp(&self, images: ArrayView4<u8>, cotangents: ArrayView2<f32>) -> (Array2<i32>, Array4<f32>) {
        let (count, classes) = (images.dim().0, self.network().classes());
        assert_eq!(cotangents.dim(), (count, classes), "one cotangent per score");
        let mut scores = Array2::zeros((count, classes));
        let mut gradient = Array4::zeros(images.raw_dim());
        let block = self.engine.block();
        let into = scores.axis_chunks_iter_mut(Axis(0), block).into_par_iter();
        let into = into.zip(gradient.axis_chunks_iter_mut(Axis(0), block).into_par_iter());
        let cotangents = cotangents.axis_chunks_iter(Axis(0), block).into_par_iter();
        self.engine.blocks(images).zip(cotangents).zip(into).for_each(
            |((images, cotangents), (mut scores, mut gradient))| {
                let trace = self.engine.trace(images);
                scores.iter_mut().enumerate().for_each(|(i, score)| *score = trace.last().get(i));
                let slopes = cotangents.iter().copied().collect();
                let found = self.backward(self.last(), &trace, slopes, |_, _| ());
                gradient.iter_mut().zip(&found).for_each(|(to, slope)| *to = *slope);
                buffers::give(found);
                trace.give();
            },
        );
        (scores, gradient)
    }

    /// Returns, at each of `images`, the extremes of node `node`'s values, and the gradient of the largest
    /// (or the smallest, if not `up`, negated: so that a step along it drives the value outward).
    pub(crate) fn climb(&self, images: ArrayView4<u8>, node: usize, up: bool) -> Climb {
        let (block, length) = (self.engine.block(), self.network().wire(node).shape.len());
        let mut found =
            Climb { extremes: vec![(0, 0); images.dim().0], gradient: Array4::zeros(images.raw_dim()) };
        let gradients = found.gradient.axis_chunks_iter_mut(Axis(0), block).into_par_iter();
        let blocks = self.engine.blocks(images);
        blocks.zip(found.extremes.par_chunks_mut(block)).zip(gradients).for_each(
            |((images, extremes), mut gradient)| {
                let trace = Trace::whole(self.engine.values(images));
                let values = trace.value(node).expect("all are there");
                let mut slopes = vec![0.0; extremes.len() * length];
                for (image, extremes) in extremes.iter_mut().enumerate() {
                    let value = |n: usize| values.get(image * length + n);
                    let least = (0..length).min_by_key(|&n| value(n)).expect("a node has values");
                    let most = (0..length).max_by_key(|&n| value(n)).expect("a node has values");
                    *extremes = (value(least), value(most));
                    let (chosen, slope) = if up { (most, 1.0) } else { (least, -1.0) };
                    slopes[image * length + chosen] = slope;
                }
                let found = self.backward(node, &trace, slopes, |_, _| ());
                gradient.iter_mut().zip(found).for_each(|(to, slope)| *to = slope);
            },
        );
        found
    }

    /// Returns ∂ (summed loss) / ∂ weight of every layer with weights, row-major; nothing for other nodes.
    pub(crate) fn weight_slopes(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> Vec<Vec<f32>> {
        let block_slopes = |(b, (images, labels)): (usize, (ArrayView4<u8>, &[u8]))| {
            let trace = Trace::whole(self.engine.values(images));
            let logits = self.logits(&trace, labels.len());
            let scale = self.network().logits().scale;
            let (_, slopes) = loss.of_batch(b * self.engine.block(), logits.view(), labels, scale);
            let mut found = vec![Vec::new(); self.network().nodes().len()];
            self.backward(self.last(), &trace, slopes, |i, slopes| {
                let input = trace.value(self.network().sources(i)[0]).expect("all are there");
                let layer = kind(&self.network().nodes()[i].layer);
                found[i] = layer.weight_slopes(self.engine.site(i), input, slopes);
            });
            found
        };
        let labels = labels.par_chunks(self.engine.block());
        let blocks: Vec<Vec<Vec<f32>>> =
            self.engine.blocks(images).zip(labels).enumerate().map(block_slopes).collect();
        let mut sums = blocks.into_iter();
        let mut all = sums.next().unwrap_or_default();
        // Blocks are added one by one, so that the sum has one order.
        for found in sums {
            for (to, from) in all.iter_mut().flatten().zip(found.into_iter().flatten()) {
                *to += from;
            }
        }
        all
    }

    /// Returns the index of the last node.
    fn last(&self) -> usize {
        self.network().nodes().len() - 1
    }

    /// Returns the real logits of `count` images that left this trace.
    fn logits(&self, trace: &Trace, count: usize) -> Array2<f64> {
        let (classes, scale) = (self.network().classes(), self.network().logits().scale);
        Array2::from_shape_fn((count, classes), |(i, class)| {
            f64::from(trace.last().get(i * classes + class)) * scale
        })
    }

    /// Carries the slopes of node `last`'s values back to those of the pixels, along the `trace` of the
    /// images; `look` sees the slopes of each node's output on the way.
    fn backward(
        &self,
        last: usize,
        trace: &Trace,
        slopes: Vec<f32>,
        mut look: impl FnMut(usize, &[f32]),
    ) -> Vec<f32> {
        let network = self.network();
        let count = slopes.len() / network.wire(last).shape.len();
        let passes = self.backward.get_or_init(|| self.prepare());
        let mut gradients: Vec<Vec<f32>> = vec![Vec::new(); last + 1];
        gradients[last] = slopes;
        for i in (1..=last).rev() {
            let slopes = std::mem::take(&mut gradients[i]);
            if slopes.is_empty() {
                continue; // node `last` does not depend on it
            }
            look(i, &slopes);
            let inputs: Vec<&Tensor> = network.sources(i).iter().filter_map(|&s| trace.value(s)).collect();
            for (port, &source) in network.sources(i).iter().enumerate() {
                let (into, site) = (&mut gradients[source], self.engine.site(i));
                let flow = Flow { slopes: &slopes, inputs: &inputs, open: trace.open(i), port, count };
                if into.is_empty() {
                    *into = passes[i].alone(site, &flow, count * network.wire(source).shape.len());
                } else {
                    passes[i].run(site, &flow, into);
                }
            }
            buffers::give(slopes);
        }
        gradients.swap_remove(0)
    }

    fn prepare(&self) -> Vec<Box<dyn Backward>> {
        let nodes = self.network().nodes().iter().enumerate();
        nodes.map(|(i, node)| kind(&node.layer).backward(self.engine.site(i), self.precision)).collect()
    }
}

impl GradientSource for WhiteBox {
    fn input(&self) -> Input {
        self.network().input()
    }

    fn classes(&self) -> usize {
        self.network().classes()
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient {
        let count = images.dim().0;
        assert_eq!(labels.len(), count, "one label per image");
        let mut found = LossGradient {
            losses: vec![0.0; count],
            gradient: Array4::zeros(images.raw_dim()),
            logits: Array2::zeros((count, self.network().classes())),
        };
        let block = self.engine.block();
        let gradients = found.gradient.axis_chunks_iter_mut(Axis(0), block).into_par_iter();
        let logits = found.logits.axis_chunks_iter_mut(Axis(0), block).into_par_iter();
        self.engine
            .blocks(images)
            .zip(labels.par_chunks(block))
            .zip(found.losses.par_chunks_mut(block))
            .zip(gradients.zip(logits))
            .enumerate()
            .for_each(|(b, (((images, labels), losses), (mut gradient, mut logits)))| {
                let trace = self.engine.trace(images);
                logits.assign(&self.logits(&trace, labels.len()));
                let scale = self.network().logits().scale;
                let (value, slopes) = loss.of_batch(b * block, logits.view(), labels, scale);
                losses.copy_from_slice(&value);
                let found = self.backward(self.last(), &trace, slopes, |_, _| ());
                gradient.iter_mut().zip(&found).for_each(|(to, slope)| *to = *slope);
                buffers::give(found);
                trace.give();
            });
        found
    }

    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64> {
        let scale = self.network().logits().scale;
        self.engine.scores(images).mapv(|score| f64::from(score) * scale)
    }

    fn near(&self, image: ArrayView3<u8>) -> Option<Box<dyn Near + '_>> {
        let (image, scale) = (NearImage::new(&self.engine, image)?, self.network().logits().scale);
        Some(Box::new(NearLogits { image, scale }))
    }
}

/// Gives real logits near an image.
struct NearLogits<'e> {
    image: NearImage<'e>,
    scale: f64,
}

impl Near for NearLogits<'_> {
    fn logits(&mut self, image: ArrayView3<u8>) -> Vec<f64> {
        self.image.scores(image).into_iter().map(|score| f64::from(score) * self.scale).collect()
    }

    fn move_on(&mut self) {
        self.image.move_on();
    }
}

#[cfg(test)]
mod tests {
    use super::{Trace, WhiteBox};
    use crate::kernel::Kernel;
    use crate::kind::{Site, kind};
    use crate::tensor::Tensor;
    use dq_net::layer::Layer;
    use dq_net::random::{self, Options};
    use ndarray::{Array3, Axis};

    /// Values that gates leave out are not needed on the way back.
    #[test]
    fn the_way_back_is_the_same_along_every_value_and_along_what_gates_leave() {
        let mut left_out = 0;
        for seed in 0..60 {
            let options = Options { residuals: seed % 3 == 2, ..Options::default() };
            let network = random::network(seed, &options);
            let white_box = WhiteBox::new(&network);
            let image = random::image(seed, network.input());
            let images = image.view().insert_axis(Axis(0));
            let slopes: Vec<f32> = (0..network.classes()).map(|n| ((n * 7 + 3) % 11) as f32 - 5.0).collect();
            let trace = white_box.engine.trace(images);
            left_out += (0..=white_box.last()).filter(|&i| trace.value(i).is_none()).count();
            let found = white_box.backward(white_box.last(), &trace, slopes.clone(), |_, _| ());
            let whole = Trace::whole(white_box.engine.values(images));
            assert_eq!(trace.last().words(), whole.last().words(), "seed {seed}");
            let wanted = white_box.backward(white_box.last(), &whole, slopes, |_, _| ());
            assert_eq!(found, wanted, "seed {seed}");
        }
        assert!(left_out > 50, "{left_out}");
    }

    #[test]
    fn slopes_are_what_one_more_of_a_weight_adds() {
        let mut seen = [0, 0];
        for seed in 0..60 {
            let network = random::network(seed, &Options { max_side: 5, ..Options::default() });
            let values = network.eval_nodes(random::image(seed, network.input()).view());
            for (i, node) in network.nodes().iter().enumerate() {
                let Some(&source) = network.sources(i).first() else { continue };
                let to = network.wire(i).shape;
                let input = Tensor::Words(values[source].iter().copied().collect());
                let slopes: Vec<f32> = (0..to.len()).map(|n| ((n * 7 + 3) % 11) as f32 - 5.0).collect();
                let sum = |layer: &Layer| -> f64 {
                    let found: Array3<i32> = layer.kind().eval(&[values[source].view()]);
                    found.iter().zip(&slopes).map(|(&v, &slope)| f64::from(v) * f64::from(slope)).sum()
                };
                let site = Site::new(&network, i, Kernel::Portable);
                let found = kind(&node.layer).weight_slopes(&site, &input, &slopes);
                let has_weights = node.layer.weight_bits().is_some();
                assert_eq!(found.is_empty(), !has_weights, "seed {seed}");
                if !has_weights {
                    continue;
                }
                let before = sum(&node.layer);
                for (at, &slope) in found.iter().enumerate() {
                    let mut other = node.layer.clone();
                    let weight = match &mut other {
                        Layer::Conv(conv) => &mut conv.weights.as_slice_mut().unwrap()[at],
                        Layer::Dense(dense) => &mut dense.weights.as_slice_mut().unwrap()[at],
                        _ => unreachable!(),
                    };
                    let step = if *weight > 0 { -1 } else { 1 };
                    *weight += step;
                    let wanted = f64::from(step) * (sum(&other) - before);
                    assert!((f64::from(slope) - wanted).abs() <= 1e-4 * wanted.abs().max(1.0), "seed {seed}");
                }
                seen[usize::from(matches!(node.layer, Layer::Dense(_)))] += 1;
            }
        }
        assert!(seen.iter().all(|&n| n > 20), "{seen:?}");
    }
}
