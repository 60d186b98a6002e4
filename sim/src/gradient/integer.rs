//! The engine's straight-through backward pass: integer forward, float backward. A Step passes the gradient, times its
//! surrogate's gain, where the accumulator lies in the surrogate's open interval.

use super::fixed::FixedLinear;
use super::linear::RealLinear;
use super::{GradientSource, Loss, LossGradient, Precision, of_weights, pool};
use crate::engine::stream::median_taps;
use crate::engine::{Engine, Tensor};
use crate::kernel::{Kernel, multiversion};
use dq_net::layer::{Layer, Logits, Median, Mix, Rescale, Step};
use dq_net::{Network, Shape};
use ndarray::{Array2, Array4, ArrayView4, Axis};
use rayon::prelude::*;

/// Where a node's values lead at each of a batch of images.
pub(crate) struct Climb {
    /// Least and largest value of the node.
    pub extremes: Vec<(i32, i32)>,
    /// Batch × height × width × channels.
    pub gradient: Array4<f32>,
}

/// One node's backward pass.
pub(crate) enum Backward {
    Input,
    Linear(RealLinear<f32>),
    Fixed(FixedLinear),
    Step {
        gain: Vec<f32>,
        open_lo: Vec<i32>,
        open_hi: Vec<i32>,
    },
    MaxPool {
        window: [usize; 2],
        stride: [usize; 2],
    },
    Sum {
        window: [usize; 2],
        stride: [usize; 2],
    },
    /// The slope of each input, where the sum is not clipped.
    Mix(Mix),
    Rescale {
        rescale: Rescale,
        slope: Vec<f32>,
    },
    /// As if the pixel were not rounded (BPDA, Athalye, Carlini, Wagner, ICML 2018): levels a pixel.
    BitDepth(f32),
    Median,
    Logits,
}

impl Backward {
    /// Prepares node `i` of `network`.
    pub fn new(network: &Network, i: usize, kernel: Kernel, precision: Precision) -> Self {
        let input = || network.wire(network.sources(i)[0]).shape;
        match &network.nodes()[i].layer {
            Layer::Input(_) => Backward::Input,
            Layer::Conv(conv) if precision == Precision::Int16 => {
                Backward::Fixed(FixedLinear::conv(kernel, conv, input(), network.wire(i).shape))
            }
            Layer::Dense(dense) if precision == Precision::Int16 => {
                Backward::Fixed(FixedLinear::dense(kernel, dense))
            }
            Layer::Conv(conv) => {
                let weights = conv.weights.mapv(f32::from);
                let output = network.wire(i).shape;
                let (axes, groups) = (conv.axes(), conv.groups);
                Backward::Linear(RealLinear::conv_transposed(weights.view(), input(), output, axes, groups))
            }
            Layer::Dense(dense) => Backward::Linear(RealLinear::dense(dense.weights.mapv(f32::from).t())),
            Layer::Step(Step { surrogate, .. }) => Backward::Step {
                gain: surrogate.gain.iter().map(|&g| g as f32).collect(),
                open_lo: surrogate.open_lo.clone(),
                open_hi: surrogate.open_hi.clone(),
            },
            Layer::MaxPool(pool) => Backward::MaxPool { window: pool.window, stride: pool.stride },
            Layer::SumPool(pool) => Backward::Sum { window: pool.window, stride: pool.stride },
            Layer::GlobalSum(_) => Backward::Sum { window: [input().height, input().width], stride: [1, 1] },
            Layer::Mix(mix) => Backward::Mix(mix.clone()),
            Layer::Rescale(rescale) => {
                let whole = f64::from(rescale.shift).exp2();
                let slope = rescale.mul.iter().map(|&mul| (f64::from(mul) / whole) as f32).collect();
                Backward::Rescale { rescale: rescale.clone(), slope }
            }
            Layer::BitDepth(depth) => Backward::BitDepth(((1u32 << depth.bits) - 1) as f32 / 255.0),
            Layer::Median(_) => Backward::Median,
            Layer::Logits(_) => Backward::Logits,
        }
    }

    /// Adds the gradient of `count` images' input `port` to `into`. `inputs`: the node's inputs.
    fn run(
        &self,
        kernel: Kernel,
        slopes: &[f32],
        (inputs, port): (&[&Tensor], usize),
        (from, to): (Shape, Shape),
        count: usize,
        into: &mut [f32],
    ) {
        let values = inputs[port];
        let images = slopes.chunks_exact(to.len()).zip(into.chunks_exact_mut(from.len()));
        match self {
            Backward::Input => unreachable!("an input reads nothing"),
            Backward::Linear(linear) => {
                let found = linear.run(kernel, slopes, count);
                into.iter_mut().zip(found).for_each(|(to, slope)| *to += slope);
            }
            Backward::Fixed(linear) => linear.run(kernel, slopes, count, into),
            Backward::Step { gain, open_lo, open_hi } => {
                pass_open(kernel, &values.words(), slopes, gain, open_lo, open_hi, into);
            }
            Backward::MaxPool { window, stride } => {
                for (image, (slopes, into)) in images.enumerate() {
                    let first = image * from.len();
                    match values {
                        Tensor::Bytes(values) => {
                            pool::max(&values[first..], slopes, from, to, *window, *stride, into);
                        }
                        Tensor::Words(values) => {
                            pool::max(&values[first..], slopes, from, to, *window, *stride, into);
                        }
                    }
                }
            }
            Backward::Sum { window, stride } => {
                for (slopes, into) in images {
                    pool::sum(slopes, from, to, *window, *stride, into);
                }
            }
            Backward::Mix(mix) => {
                let share = [mix.a, mix.b][port] as f32 / (1u32 << mix.shift) as f32;
                let (lo, hi) = (-(1i64 << (mix.bits - 1)), (1i64 << (mix.bits - 1)) - 1);
                for (i, (to, &slope)) in into.iter_mut().zip(slopes).enumerate() {
                    let sum = mix.sum(inputs[0].get(i), inputs[1].get(i)) >> mix.shift;
                    if (lo..=hi).contains(&sum) {
                        *to += slope * share;
                    }
                }
            }
            Backward::Rescale { rescale, slope: factor } => {
                let (lo, hi) = (-(1i64 << (rescale.bits - 1)), (1i64 << (rescale.bits - 1)) - 1);
                for (i, (to, &slope)) in into.iter_mut().zip(slopes).enumerate() {
                    let c = i % factor.len();
                    if (lo..=hi).contains(&(rescale.sum(c, values.get(i).into()) >> rescale.shift)) {
                        *to += slope * factor[c];
                    }
                }
            }
            Backward::BitDepth(levels) => {
                into.iter_mut().zip(slopes).for_each(|(to, slope)| *to += slope * levels);
            }
            Backward::Median => {
                for (i, &slope) in slopes.iter().enumerate() {
                    let taps = median_taps(i, to);
                    into[taps[Median::choose(taps.map(|tap| values.get(tap)))]] += slope;
                }
            }
            Backward::Logits => into.iter_mut().zip(slopes).for_each(|(to, slope)| *to += slope),
        }
    }
}

multiversion! {
    /// Adds to `into` the slopes of the elements whose values lie within their channel's interval, times its gain.
    fn pass_open = pass_open_body(
        values: &[i32],
        slopes: &[f32],
        gain: &[f32],
        lo: &[i32],
        hi: &[i32],
        into: &mut [f32],
    )
}

#[inline(always)]
fn pass_open_body(values: &[i32], slopes: &[f32], gain: &[f32], lo: &[i32], hi: &[i32], into: &mut [f32]) {
    let channels = gain.len();
    let (lo, hi) = (&lo[..channels], &hi[..channels]);
    let pixels = values.chunks_exact(channels).zip(slopes.chunks_exact(channels));
    for (into, (values, slopes)) in into.chunks_exact_mut(channels).zip(pixels) {
        for c in 0..channels {
            let open = lo[c] <= values[c] && values[c] <= hi[c];
            into[c] += if open { slopes[c] * gain[c] } else { 0.0 };
        }
    }
}

impl GradientSource for Engine {
    fn input_shape(&self) -> Shape {
        self.network().input_shape()
    }

    fn classes(&self) -> usize {
        self.network().classes()
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient {
        let count = images.dim().0;
        assert_eq!(labels.len(), count, "a label an image");
        let mut found = LossGradient {
            losses: vec![0.0; count],
            gradient: Array4::zeros(images.raw_dim()),
            logits: Array2::zeros((count, self.network().classes())),
        };
        let block = self.block();
        let gradients = found.gradient.axis_chunks_iter_mut(Axis(0), block).into_par_iter();
        let logits = found.logits.axis_chunks_iter_mut(Axis(0), block).into_par_iter();
        self.blocks(images)
            .zip(labels.par_chunks(block))
            .zip(found.losses.par_chunks_mut(block))
            .zip(gradients.zip(logits))
            .enumerate()
            .for_each(|(b, (((images, labels), losses), (mut gradient, mut logits)))| {
                let values = self.execute(images, true);
                let values: Vec<Tensor> = values.into_iter().map(|v| v.expect("all are kept")).collect();
                let Logits { scale, .. } = self.network().logits();
                let scores = values.last().expect("checked: not empty");
                logits.iter_mut().enumerate().for_each(|(i, z)| *z = f64::from(scores.get(i)) * scale);
                let slopes = loss.of_batch(b * block, logits.view(), labels, losses, *scale);
                let found = self.backward(&values, slopes, labels.len());
                gradient.iter_mut().zip(found).for_each(|(to, slope)| *to = slope);
            });
        found
    }

    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64> {
        let scale = self.network().logits().scale;
        self.scores(images).mapv(|score| f64::from(score) * scale)
    }
}

impl Engine {
    /// At each of `images`, the extremes of node `node`'s values, and the gradient of the largest (or the smallest, if not
    /// `up`, negated: so that a step along it drives the value outward).
    pub(crate) fn climb(&self, images: ArrayView4<u8>, node: usize, up: bool) -> Climb {
        let (block, length) = (self.block(), self.network().wire(node).shape.len());
        let mut found =
            Climb { extremes: vec![(0, 0); images.dim().0], gradient: Array4::zeros(images.raw_dim()) };
        let gradients = found.gradient.axis_chunks_iter_mut(Axis(0), block).into_par_iter();
        self.blocks(images).zip(found.extremes.par_chunks_mut(block)).zip(gradients).for_each(
            |((images, extremes), mut gradient)| {
                let values: Vec<Tensor> =
                    self.execute(images, true).into_iter().map(|v| v.expect("all are kept")).collect();
                let mut slopes = vec![0.0; extremes.len() * length];
                for (image, extremes) in extremes.iter_mut().enumerate() {
                    let at = |n: usize| values[node].get(image * length + n);
                    let least = (0..length).min_by_key(|&n| at(n)).expect("a node has values");
                    let most = (0..length).max_by_key(|&n| at(n)).expect("a node has values");
                    *extremes = (at(least), at(most));
                    let (chosen, slope) = if up { (most, 1.0) } else { (least, -1.0) };
                    slopes[image * length + chosen] = slope;
                }
                let found = self.backward_from(node, &values, slopes, extremes.len(), |_, _| ());
                gradient.iter_mut().zip(found).for_each(|(to, slope)| *to = slope);
            },
        );
        found
    }

    /// ∂ (summed loss) / ∂ weight of every layer with weights, row-major; nothing for other nodes.
    pub(crate) fn weight_slopes(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> Vec<Vec<f32>> {
        let (network, block) = (self.network(), self.block());
        let scale = network.logits().scale;
        let of_block = |(b, (images, labels)): (usize, (ArrayView4<u8>, &[u8]))| {
            let count = labels.len();
            let values: Vec<Tensor> =
                self.execute(images, true).into_iter().map(|v| v.expect("all are kept")).collect();
            let scores = values.last().expect("checked: not empty");
            let logits = Array2::from_shape_fn((count, network.classes()), |(i, class)| {
                f64::from(scores.get(i * network.classes() + class)) * scale
            });
            let mut losses = vec![0.0; count];
            let slopes = loss.of_batch(b * block, logits.view(), labels, &mut losses, scale);
            let mut found = vec![Vec::new(); values.len()];
            self.backward_from(values.len() - 1, &values, slopes, count, |i, slopes| {
                let input = || &values[network.sources(i)[0]];
                let (from, to) = (|| network.wire(network.sources(i)[0]).shape, network.wire(i).shape);
                match &network.nodes()[i].layer {
                    Layer::Conv(conv) => found[i] = of_weights::conv(conv, input(), slopes, from(), to),
                    Layer::Dense(dense) => found[i] = of_weights::dense(dense, input(), slopes),
                    _ => (),
                }
            });
            found
        };
        let blocks: Vec<Vec<Vec<f32>>> =
            self.blocks(images).zip(labels.par_chunks(block)).enumerate().map(of_block).collect();
        let mut sums = blocks.into_iter();
        let mut all = sums.next().unwrap_or_default();
        // Block by block, so that the sum has one order.
        for found in sums {
            for (to, from) in all.iter_mut().flatten().zip(found.into_iter().flatten()) {
                *to += from;
            }
        }
        all
    }

    /// From the slopes of the scores of `count` images to those of the pixels. `values`: every node's output.
    fn backward(&self, values: &[Tensor], slopes: Vec<f32>, count: usize) -> Vec<f32> {
        self.backward_from(values.len() - 1, values, slopes, count, |_, _| ())
    }

    /// As [`Engine::backward`], from the slopes of node `last`; `look` sees those of each node's output.
    fn backward_from(
        &self,
        last: usize,
        values: &[Tensor],
        slopes: Vec<f32>,
        count: usize,
        mut look: impl FnMut(usize, &[f32]),
    ) -> Vec<f32> {
        let network = self.network();
        let mut gradients: Vec<Vec<f32>> = vec![Vec::new(); values.len()];
        gradients[last] = slopes;
        for i in (1..=last).rev() {
            let slopes = std::mem::take(&mut gradients[i]);
            if slopes.is_empty() {
                continue; // node `last` does not depend on it
            }
            look(i, &slopes);
            let inputs: Vec<&Tensor> = network.sources(i).iter().map(|&s| &values[s]).collect();
            for (port, &source) in network.sources(i).iter().enumerate() {
                let (from, to) = (network.wire(source).shape, network.wire(i).shape);
                let into = &mut gradients[source];
                into.resize(count * from.len(), 0.0);
                self.backward_node(i).run(self.kernel(), &slopes, (&inputs, port), (from, to), count, into);
            }
        }
        gradients.swap_remove(0)
    }
}
