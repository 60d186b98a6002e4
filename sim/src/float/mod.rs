//! Runs float networks, forward and backward in f32: the paper's float column, and substitutes for transfer
//! attacks. They are never hardware, and never judge an integer network.

mod activation;
mod op;
mod plain;
pub mod twin;
mod window;

use crate::attack::suite::{Judge, Verdict};
use crate::gradient::{GradientSource, Loss, LossGradient, arg_max};
use crate::kernel::Kernel;
use crate::kind::window::Windows;
use crate::linear::RealLinear;
use crate::report::Model;
use activation::{Activation, Levels};
use dq_net::float::layer as float;
use dq_net::layer::window::Axis;
use dq_net::layer::{BitDepth, Input, Median};
use dq_net::{FloatLayer, FloatNetwork};
use ndarray::{Array2, Array4, ArrayView1, ArrayView4, Axis as Dim};
use op::{Flow, Op, Site};
use plain::{Affine, Biases, Mix};
use rayon::prelude::*;
use window::{GlobalMean, Linear, MaxPool};

/// Most images that one task carries through the network together.
const BLOCK: usize = 4;

/// Holds a float network with its weights in the order in which the kernels read them.
pub struct FloatEngine {
    network: FloatNetwork,
    sites: Vec<Site>,
    /// What each node computes; `None` for the input.
    ops: Vec<Option<Box<dyn Op>>>,
}

impl FloatEngine {
    /// Prepares `network` for the best kernel of this machine.
    pub fn new(network: &FloatNetwork) -> Self {
        Self::with_kernel(network, Kernel::best())
    }

    /// Prepares `network` for a given kernel.
    ///
    /// # Panics
    /// If the machine cannot run `kernel` (see [`Kernel::available`]).
    pub fn with_kernel(network: &FloatNetwork, kernel: Kernel) -> Self {
        Self::prepared(network, kernel, false)
    }

    /// Prepares a network whose activations count in levels ([`twin::twin`]), with a smooth staircase in
    /// place of each line: near the quantizer's value, and with a gradient everywhere.
    pub fn softened(network: &FloatNetwork) -> Self {
        Self::prepared(network, Kernel::best(), true)
    }

    fn prepared(network: &FloatNetwork, kernel: Kernel, is_soft: bool) -> Self {
        assert!(
            Kernel::available().contains(&kernel),
            "this machine cannot run the {} kernel",
            kernel.name()
        );
        let nodes = network.nodes().iter().enumerate();
        let sites: Vec<Site> = nodes.clone().map(|(i, _)| Site::new(network, i, kernel)).collect();
        let ops = nodes.zip(&sites).map(|((_, node), site)| prepare(&node.layer, site, is_soft)).collect();
        Self { network: network.clone(), sites, ops }
    }

    /// Returns the network that it runs.
    pub fn network(&self) -> &FloatNetwork {
        &self.network
    }

    /// Computes the logits of a batch of images (batch × height × width × channels): batch × classes.
    pub fn logits(&self, images: ArrayView4<u8>) -> Array2<f32> {
        let mut logits = Array2::zeros((images.dim().0, self.network.classes()));
        self.check(images);
        images
            .axis_chunks_iter(Dim(0), BLOCK)
            .into_par_iter()
            .zip(logits.axis_chunks_iter_mut(Dim(0), BLOCK).into_par_iter())
            .for_each(|(images, mut logits)| {
                let values = self.execute(images);
                let last = values.last().expect("checked: not empty");
                logits.iter_mut().zip(last).for_each(|(to, z)| *to = *z);
            });
        logits
    }

    /// Computes every node's output for a batch of images, in node order (batch × height × width × channels).
    ///
    /// # Panics
    /// If the images have another shape than the network's.
    pub fn nodes(&self, images: ArrayView4<u8>) -> Vec<Array4<f32>> {
        self.check(images);
        let blocks = images.axis_chunks_iter(Dim(0), BLOCK).into_par_iter();
        let blocks: Vec<Vec<Vec<f32>>> = blocks.map(|images| self.execute(images)).collect();
        let node = |i: usize| {
            let (height, width, channels) = self.network.shape(i).dim();
            let values: Vec<f32> = blocks.iter().flat_map(|block| block[i].iter().copied()).collect();
            Array4::from_shape_vec((images.dim().0, height, width, channels), values)
                .expect("a node's output has its shape")
        };
        (0..self.ops.len()).map(node).collect()
    }

    fn check(&self, images: ArrayView4<u8>) {
        let (_, height, width, channels) = images.dim();
        assert_eq!((height, width, channels), self.network.input_shape().dim(), "image shape");
    }

    /// Computes every node's output for one block.
    fn execute(&self, images: ArrayView4<u8>) -> Vec<Vec<f32>> {
        let count = images.dim().0;
        let mut values: Vec<Vec<f32>> = Vec::with_capacity(self.ops.len());
        for (i, op) in self.ops.iter().enumerate() {
            let value = match op {
                None => images.iter().map(|&p| f32::from(p) / 255.0).collect(),
                Some(op) => {
                    let inputs: Vec<&[f32]> =
                        self.network.sources(i).iter().map(|&source| &values[source][..]).collect();
                    op.forward(&self.sites[i], &inputs, count)
                }
            };
            values.push(value);
        }
        values
    }

    /// Carries the slopes of the logits of `count` images back to those of the real-valued pixels.
    fn backward(&self, values: &[Vec<f32>], slopes: Vec<f32>, count: usize) -> Vec<f32> {
        let last = values.len() - 1;
        let mut gradients: Vec<Vec<f32>> = vec![Vec::new(); values.len()];
        gradients[last] = slopes;
        for i in (1..=last).rev() {
            let slopes = std::mem::take(&mut gradients[i]);
            let (Some(op), false) = (&self.ops[i], slopes.is_empty()) else { continue };
            for (port, &source) in self.network.sources(i).iter().enumerate() {
                let into = &mut gradients[source];
                into.resize(count * self.network.shape(source).len(), 0.0);
                let flow = Flow { slopes: &slopes, input: &values[source], port, count };
                op.backward(&self.sites[i], &flow, into);
            }
        }
        gradients.swap_remove(0)
    }
}

/// Prepares a node: one row per kind of float layer.
fn prepare(layer: &FloatLayer, site: &Site, is_soft: bool) -> Option<Box<dyn Op>> {
    Some(match layer {
        FloatLayer::Input(_) => return None,
        FloatLayer::Conv(float::Conv { weights, stride, pad, groups }) => {
            let (_, rows, columns, _) = weights.dim();
            let axis = |kernel, stride, before, after| Axis { kernel, stride, before, after };
            let axes = (axis(rows, stride[0], pad[0], pad[1]), axis(columns, stride[1], pad[2], pad[3]));
            Box::new(Linear {
                forward: RealLinear::conv(weights.view(), site.from, site.to, axes, *groups),
                backward: RealLinear::conv_transposed(weights.view(), site.from, site.to, axes, *groups),
            })
        }
        FloatLayer::Dense(float::Dense { weights }) => Box::new(Linear {
            forward: RealLinear::dense(weights.view()),
            backward: RealLinear::dense(weights.t()),
        }),
        FloatLayer::Activation(float::Activation { scale, bias, ceiling, bits }) => {
            let (scale, bias) = (scale.clone(), bias.clone());
            Box::new(Activation { scale, bias, ceiling: *ceiling, bits: *bits, is_soft })
        }
        FloatLayer::Levels(float::Levels { scale, bias, points, unit }) => {
            Box::new(Levels { scale: scale.clone(), bias: bias.clone(), points: points.clone(), unit: *unit })
        }
        FloatLayer::Affine(float::Affine { scale, bias }) => {
            Box::new(Affine { scale: scale.clone(), bias: bias.clone() })
        }
        FloatLayer::Mix(float::Mix { a, b }) => Box::new(Mix([*a, *b])),
        FloatLayer::BitDepth(float::BitDepth { bits }) => Box::new(BitDepth { bits: *bits }),
        FloatLayer::Median(_) => Box::new(Median),
        FloatLayer::MaxPool(float::MaxPool { window, stride }) => {
            Box::new(MaxPool(Windows { input: site.from, output: site.to, window: *window, stride: *stride }))
        }
        FloatLayer::GlobalMean(_) => Box::new(GlobalMean),
        FloatLayer::Logits(float::Logits { bias }) => Box::new(Biases(bias.clone())),
    })
}

impl GradientSource for FloatEngine {
    fn input(&self) -> Input {
        self.network.input()
    }

    fn classes(&self) -> usize {
        self.network.classes()
    }

    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient {
        self.check(images);
        let (count, classes) = (images.dim().0, self.network.classes());
        assert_eq!(labels.len(), count, "one label per image");
        let mut found = LossGradient {
            losses: vec![0.0; count],
            gradient: Array4::zeros(images.raw_dim()),
            logits: Array2::zeros((count, classes)),
        };
        let gradients = found.gradient.axis_chunks_iter_mut(Dim(0), BLOCK).into_par_iter();
        let logits = found.logits.axis_chunks_iter_mut(Dim(0), BLOCK).into_par_iter();
        let images = images.axis_chunks_iter(Dim(0), BLOCK).into_par_iter();
        images
            .zip(labels.par_chunks(BLOCK))
            .zip(found.losses.par_chunks_mut(BLOCK))
            .zip(gradients.zip(logits))
            .enumerate()
            .for_each(|(b, (((images, labels), losses), (mut gradient, mut logits)))| {
                let values = self.execute(images);
                let last = values.last().expect("checked: not empty");
                logits.iter_mut().zip(last).for_each(|(to, z)| *to = f64::from(*z));
                let (value, slopes) = loss.of_batch(b * BLOCK, logits.view(), labels, 1.0);
                losses.copy_from_slice(&value);
                let found = self.backward(&values, slopes, labels.len());
                gradient.iter_mut().zip(found).for_each(|(to, slope)| *to = slope / 255.0);
            });
        found
    }

    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64> {
        self.logits(images).mapv(f64::from)
    }
}

impl Judge for FloatEngine {
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict> {
        let verdict = |row: ArrayView1<f32>| {
            let label = arg_max(row);
            Verdict { label, tie: row.iter().filter(|z| **z == row[label]).count() > 1, squeezed: None }
        };
        self.logits(images).rows().into_iter().map(verdict).collect()
    }

    fn model(&self) -> Model {
        let kind = match self.network.quantized() {
            "float" => "float".to_owned(),
            some => format!("float, {some}"),
        };
        let content_hash = dq_net::float_content_hash(&self.network);
        Model { name: self.network.name.clone(), kind, content_hash }
    }
}
