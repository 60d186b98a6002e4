//! Float networks, forward and backward in f32: the paper's float column, and substitutes for transfer attacks. Never
//! hardware, and never a judge of an integer network.

pub mod twin;

use crate::attack::suite::{Judge, Verdict};
use crate::gradient::{GradientSource, Loss, LossGradient, arg_max};
use crate::kernel::Kernel;
use crate::kind::median;
use crate::kind::window::Windows;
use crate::linear::RealLinear;
use crate::report::Model;
use dq_net::layer::window::Axis;
use dq_net::layer::{BitDepth, Median};
use dq_net::{FloatLayer, FloatNetwork, Shape};
use ndarray::{Array2, Array4, ArrayView2, ArrayView4, Axis as Dim};
use rayon::prelude::*;

/// How far a softened quantizer is from the line through its thresholds, 0, towards its steps: its slope is 1 − that on a level, and
/// 1 + twice that at a threshold. Much nearer to the steps its gradients help an attack less.
const SOFTNESS: f32 = 0.25;

/// Images that one task carries through the network together.
const BLOCK: usize = 4;

/// A float network with its weights in the order the kernels read them.
pub struct FloatEngine {
    network: FloatNetwork,
    kernel: Kernel,
    nodes: Vec<Op>,
}

enum Op {
    Input,
    Linear { forward: Box<RealLinear<f32>>, backward: Box<RealLinear<f32>> },
    Activation { scale: Vec<f32>, bias: Vec<f32>, ceiling: f32, bits: Option<u8>, soft: bool },
    Levels { scale: Vec<f32>, bias: Vec<f32>, points: Vec<f32>, unit: f32 },
    Affine { scale: Vec<f32>, bias: Vec<f32> },
    Mix([f32; 2]),
    BitDepth(BitDepth),
    Median,
    MaxPool { window: [usize; 2], stride: [usize; 2] },
    GlobalMean,
    Logits(Vec<f32>),
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
        assert!(
            Kernel::available().contains(&kernel),
            "this machine cannot run the {} kernel",
            kernel.name()
        );
        let nodes = (0..network.nodes().len()).map(|i| prepare(network, i)).collect();
        Self { network: network.clone(), kernel, nodes }
    }

    /// As [`FloatEngine::new`] of a network whose activations count in levels ([`crate::twin::twin`]), with a smooth staircase in
    /// place of each line: near the quantizer's value, and with a gradient everywhere.
    pub fn softened(network: &FloatNetwork) -> Self {
        let mut engine = Self::new(network);
        for op in &mut engine.nodes {
            if let Op::Activation { soft, .. } = op {
                *soft = true;
            }
        }
        engine
    }

    /// The network it runs.
    pub fn network(&self) -> &FloatNetwork {
        &self.network
    }

    /// Logits of a batch of images (batch × height × width × channels): batch × classes.
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

    fn check(&self, images: ArrayView4<u8>) {
        let (_, height, width, channels) = images.dim();
        assert_eq!((height, width, channels), self.network.input_shape().dim(), "image shape");
    }

    /// Every node's output for one block.
    fn execute(&self, images: ArrayView4<u8>) -> Vec<Vec<f32>> {
        let count = images.dim().0;
        let mut values: Vec<Vec<f32>> = Vec::with_capacity(self.nodes.len());
        for (i, op) in self.nodes.iter().enumerate() {
            let value = match (op, self.network.sources(i)) {
                (_, []) => images.iter().map(|&p| f32::from(p) / 255.0).collect(),
                (Op::Mix([a, b]), &[x, y, ..]) => {
                    values[x].iter().zip(&values[y]).map(|(x, y)| a * x + b * y).collect()
                }
                (op, &[source, ..]) => self.node(op, i, source, &values[source], count),
            };
            values.push(value);
        }
        values
    }

    fn node(&self, op: &Op, i: usize, source: usize, x: &[f32], count: usize) -> Vec<f32> {
        let (from, to) = (self.network.shape(source), self.network.shape(i));
        match op {
            Op::Input | Op::Mix(_) => unreachable!("not of one input"),
            Op::Levels { scale, bias, points, unit } => {
                let channels = scale.len();
                let level = |(at, &x): (usize, &f32)| {
                    let z = x * scale[at % channels] + bias[at % channels];
                    unit * points.iter().filter(|&&p| p <= z).count() as f32
                };
                x.iter().enumerate().map(level).collect()
            }
            Op::Affine { scale, bias } => {
                let channels = scale.len();
                x.iter().enumerate().map(|(at, x)| x * scale[at % channels] + bias[at % channels]).collect()
            }
            Op::BitDepth(depth) => {
                let top = ((1u32 << depth.bits) - 1) as f32;
                x.iter().map(|&v| depth.level((v * 255.0).round() as i32) as f32 / top).collect()
            }
            Op::Median => (0..x.len()).map(|at| x[median_of(x, at, to)]).collect(),
            Op::Linear { forward, .. } => forward.run(self.kernel, x, count),
            Op::Activation { scale, bias, ceiling, bits, soft } => {
                let channels = scale.len();
                let steps = bits.map(|bits| ((1u32 << bits) - 1) as f32);
                let quantize = |z: f32, steps: f32| (z * steps / ceiling).round_ties_even() * ceiling / steps;
                let activate = |(at, &x): (usize, &f32)| {
                    let z = (x * scale[at % channels] + bias[at % channels]).clamp(0.0, *ceiling);
                    if *soft { softened(z).0 } else { steps.map_or(z, |steps| quantize(z, steps)) }
                };
                x.iter().enumerate().map(activate).collect()
            }
            Op::MaxPool { window, stride } => {
                let windows = Windows { input: from, output: to, window: *window, stride: *stride };
                windows.join(x, |v| v, |a: f32, b| if b > a { b } else { a })
            }
            Op::GlobalMean => {
                let area = (from.height * from.width) as f32;
                let sums = Windows::whole(from).join(x, |v| v, |a, b| a + b);
                sums.into_iter().map(|sum: f32| sum / area).collect()
            }
            Op::Logits(bias) => x.iter().enumerate().map(|(at, x)| x + bias[at % bias.len()]).collect(),
        }
    }

    /// From the slopes of the logits of `count` images to those of the real-valued pixels.
    fn backward(&self, values: &[Vec<f32>], slopes: Vec<f32>, count: usize) -> Vec<f32> {
        let last = values.len() - 1;
        let mut gradients: Vec<Vec<f32>> = vec![Vec::new(); values.len()];
        gradients[last] = slopes;
        for i in (1..=last).rev() {
            let slopes = std::mem::take(&mut gradients[i]);
            let source = self.network.sources(i)[0];
            if let Op::Mix(shares) = &self.nodes[i] {
                for (&source, share) in self.network.sources(i).iter().zip(shares) {
                    let into = &mut gradients[source];
                    into.resize(slopes.len(), 0.0);
                    into.iter_mut().zip(&slopes).for_each(|(to, slope)| *to += slope * share);
                }
                continue;
            }
            let (from, to) = (self.network.shape(source), self.network.shape(i));
            let (x, into) = (&values[source], &mut gradients[source]);
            into.resize(count * from.len(), 0.0);
            let images = slopes.chunks_exact(to.len()).zip(into.chunks_exact_mut(from.len()));
            match &self.nodes[i] {
                Op::Input | Op::Mix(_) => unreachable!("not of one input"),
                Op::Levels { scale, bias, .. } => {
                    for (at, (to, slope)) in into.iter_mut().zip(&slopes).enumerate() {
                        let c = at % scale.len();
                        if (x[at] * scale[c] + bias[c]).abs() < 1.0 {
                            *to += slope * scale[c];
                        }
                    }
                }
                Op::Affine { scale, .. } => {
                    let slopes = into.iter_mut().zip(&slopes).enumerate();
                    slopes.for_each(|(at, (to, slope))| *to += slope * scale[at % scale.len()]);
                }
                Op::BitDepth(_) => into.iter_mut().zip(&slopes).for_each(|(to, slope)| *to += slope),
                Op::Median => {
                    slopes.iter().enumerate().for_each(|(at, slope)| into[median_of(x, at, to)] += slope);
                }
                Op::Linear { backward, .. } => {
                    let found = backward.run(self.kernel, &slopes, count);
                    into.iter_mut().zip(found).for_each(|(to, slope)| *to += slope);
                }
                Op::Activation { scale, bias, ceiling, soft, .. } => {
                    for (at, (to, slope)) in into.iter_mut().zip(&slopes).enumerate() {
                        let c = at % scale.len();
                        let z = x[at] * scale[c] + bias[c];
                        if 0.0 < z && z < *ceiling {
                            let steepness = if *soft { softened(z).1 } else { 1.0 };
                            *to += slope * scale[c] * steepness;
                        }
                    }
                }
                Op::MaxPool { window, stride } => {
                    for (image, (slopes, into)) in images.enumerate() {
                        let windows = Windows { input: from, output: to, window: *window, stride: *stride };
                        windows.add_max_slopes(&x[image * from.len()..], slopes, into);
                    }
                }
                Op::GlobalMean => {
                    let area = (from.height * from.width) as f32;
                    for (slopes, into) in images {
                        into.iter_mut()
                            .enumerate()
                            .for_each(|(at, to)| *to += slopes[at % slopes.len()] / area);
                    }
                }
                Op::Logits(_) => into.iter_mut().zip(&slopes).for_each(|(to, slope)| *to += slope),
            }
        }
        gradients.swap_remove(0)
    }
}

impl GradientSource for FloatEngine {
    fn input_shape(&self) -> Shape {
        self.network.input_shape()
    }

    fn classes(&self) -> usize {
        self.network.classes()
    }

    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient {
        self.check(images);
        let (count, classes) = (images.dim().0, self.network.classes());
        assert_eq!(labels.len(), count, "a label an image");
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
        let verdict = |row: ndarray::ArrayView1<f32>| {
            let label = arg_max(row);
            Verdict { label, tie: row.iter().filter(|z| **z == row[label]).count() > 1 }
        };
        self.logits(images).rows().into_iter().map(verdict).collect()
    }

    fn model(&self) -> Model {
        // A float network's file has a checksum of its own; what it computes has no hash.
        let kind = match self.network.quantized() {
            "float" => "float".to_owned(),
            some => format!("float, {some}"),
        };
        Model { name: self.network.name.clone(), kind, content_hash: String::new() }
    }
}

/// The smooth staircase at `z` levels, and its slope: a cubic between two thresholds, through both.
fn softened(z: f32) -> (f32, f32) {
    let level = z.round_ties_even();
    let off = z - level;
    let value = level + (1.0 - SOFTNESS) * off + 4.0 * SOFTNESS * off * off * off;
    (value, 1.0 - SOFTNESS + 12.0 * SOFTNESS * off * off)
}

/// Where the median of element `at` of maps of `shape` stands.
fn median_of(x: &[f32], at: usize, shape: Shape) -> usize {
    let taps = median::taps(at, shape);
    taps[Median::choose(taps.map(|tap| x[tap]))]
}

fn prepare(network: &FloatNetwork, i: usize) -> Op {
    match &network.nodes()[i].layer {
        FloatLayer::Input { .. } => Op::Input,
        FloatLayer::Conv { weights, stride, pad, groups } => {
            let (_, rows, columns, _) = weights.dim();
            let axis = |kernel, stride, before, after| Axis { kernel, stride, before, after };
            let axes = (axis(rows, stride[0], pad[0], pad[1]), axis(columns, stride[1], pad[2], pad[3]));
            let (from, to) = (network.shape(network.sources(i)[0]), network.shape(i));
            Op::Linear {
                forward: RealLinear::conv(weights.view(), from, to, axes, *groups).into(),
                backward: RealLinear::conv_transposed(weights.view(), from, to, axes, *groups).into(),
            }
        }
        FloatLayer::Dense { weights } => {
            let transposed: ArrayView2<f32> = weights.t();
            Op::Linear {
                forward: RealLinear::dense(weights.view()).into(),
                backward: RealLinear::dense(transposed).into(),
            }
        }
        FloatLayer::Activation { scale, bias, ceiling, bits } => {
            let (scale, bias) = (scale.clone(), bias.clone());
            Op::Activation { scale, bias, ceiling: *ceiling, bits: *bits, soft: false }
        }
        FloatLayer::Levels { scale, bias, points, unit } => {
            Op::Levels { scale: scale.clone(), bias: bias.clone(), points: points.clone(), unit: *unit }
        }
        FloatLayer::Affine { scale, bias } => Op::Affine { scale: scale.clone(), bias: bias.clone() },
        FloatLayer::Mix { a, b } => Op::Mix([*a, *b]),
        FloatLayer::BitDepth { bits } => Op::BitDepth(BitDepth { bits: *bits }),
        FloatLayer::Median => Op::Median,
        FloatLayer::MaxPool { window, stride } => Op::MaxPool { window: *window, stride: *stride },
        FloatLayer::GlobalMean => Op::GlobalMean,
        FloatLayer::Logits { bias } => Op::Logits(bias.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smooth_staircase_meets_the_steps_and_its_slope_is_its_own() {
        for level in 0..4 {
            let level = level as f32;
            assert_eq!(softened(level).0, level, "a level is itself");
            // On both sides of a threshold the same, half way.
            let [below, above] = [0.4999, 0.5001].map(|off| softened(level + off).0);
            assert!((below - above).abs() < 1e-3 && (below - level - 0.5).abs() < 1e-3, "{below} {above}");
        }
        let h = 1e-2;
        for i in 0..300 {
            let z = i as f32 / 100.0 + 0.005;
            if (z.fract() - 0.5).abs() < 2.0 * h {
                continue;
            }
            let (value, slope) = softened(z);
            let wanted = (softened(z + h).0 - softened(z - h).0) / (2.0 * h);
            assert!((slope - wanted).abs() < 2e-2 && slope > 0.05, "{z}: {slope}, {wanted}");
            // Nearer to the step than the line is.
            let step = z.round_ties_even();
            assert!((value - step).abs() <= (z - step).abs() + 1e-6, "{z}: {value}");
        }
    }
}
