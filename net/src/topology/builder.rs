//! Builds a topology node after node. Thresholds and scales follow from what is expected of the accumulators
//! (mean and spread under independent, evenly spread levels), so that no forward pass is needed and levels
//! are spread too.

use crate::draw::Random;
use crate::layer::window::Axis;
use crate::layer::{Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Mix, Rescale, Step, Surrogate};
use crate::{Network, NetworkError, Node, Range, Shape};
use ndarray::{Array2, Array4, ArrayView1};

/// Bits of the residual stream.
const STREAM_BITS: u8 = 12;
/// Standard deviation to which a residual stream is scaled.
const STREAM_SPREAD: f64 = 400.0;
/// Distance between the mean and the last threshold, in standard deviations.
const REACH: f64 = 1.5;

/// Holds a network that is being built.
pub struct Builder {
    random: Random,
    bits: (u8, u8),
    width: (usize, usize),
    nodes: Vec<Node>,
    place: Place,
}

/// Describes a convolution's window, equal along rows and columns.
#[derive(Clone, Copy)]
pub struct Square {
    /// Size of the window.
    pub kernel: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Padding on each side.
    pub pad: usize,
}

/// Names a node's output, which the next node reads.
#[derive(Clone)]
pub struct Place {
    node: String,
    shape: Shape,
    /// Expected mean and standard deviation per channel.
    expected: Vec<(f64, f64)>,
    range: Range,
}

impl Place {
    /// Returns the number of channels of the map.
    pub fn channels(&self) -> usize {
        self.shape.channels
    }
}

impl Builder {
    /// Starts a network: `bits` of weights and of levels, and a `width`, the fraction by which every number
    /// of channels is multiplied.
    pub fn new(seed: u64, bits: (u8, u8), width: (usize, usize)) -> Self {
        let shape = Shape::new(1, 1, 1);
        let place = Place { node: String::new(), shape, expected: vec![], range: Range::levels(8) };
        Builder { random: Random::new(seed), bits, width, nodes: vec![], place }
    }

    /// Returns the finished network.
    ///
    /// # Errors
    /// If the channels and bits make accumulators or maps too large.
    pub fn finish(self, name: String) -> Result<Network, NetworkError> {
        Network::new(name, self.nodes)
    }

    /// Returns the number of channels that the network's width makes of `channels`.
    pub fn scaled(&self, channels: usize) -> usize {
        (channels * self.width.0 / self.width.1).max(1)
    }

    /// Lets the next node read `place`.
    pub fn go_on_from(&mut self, place: &Place) {
        self.place = place.clone();
    }

    /// Adds the image.
    pub fn input(&mut self, height: usize, width: usize, channels: usize) {
        let shape = Shape::new(height, width, channels);
        let expected = levels(8, channels);
        let output = Place { node: "input".into(), shape, expected, range: Range::levels(8) };
        self.push(Layer::Input(Input::pixels(shape)), output);
    }

    /// Adds a convolution.
    pub fn conv(&mut self, name: &str, outputs: usize, Square { kernel, stride, pad }: Square) {
        let from = self.place.shape;
        let dim = (outputs, kernel, kernel, from.channels);
        let weights = Array4::from_shape_simple_fn(dim, || self.random.trained_weight(self.bits.0));
        let expected = weights
            .outer_iter()
            .map(|row| self.expected(row.to_shape(row.len()).expect("contiguous").view()))
            .collect();
        let axis = Axis { kernel, stride, before: pad, after: pad };
        let size = |n: usize| axis.output(n, "window").expect("a sound topology");
        let shape = Shape::new(size(from.height), size(from.width), outputs);
        let conv = Conv {
            weights,
            weight_bits: self.bits.0,
            stride: [stride; 2],
            pad: [pad; 4],
            pad_level: 0,
            groups: 1,
        };
        self.weighted(name, Layer::Conv(conv), shape, expected);
    }

    /// Adds a dense layer.
    pub fn dense(&mut self, name: &str, outputs: usize) {
        let dim = (outputs, self.place.shape.len());
        let weights = Array2::from_shape_simple_fn(dim, || self.random.trained_weight(self.bits.0));
        let expected = weights.outer_iter().map(|row| self.expected(row)).collect();
        let dense = Dense { weights, weight_bits: self.bits.0 };
        self.weighted(name, Layer::Dense(dense), Shape::new(1, 1, outputs), expected);
    }

    /// Adds a step whose thresholds are spread over the expected values of its input.
    pub fn step(&mut self, name: &str) -> Place {
        let Place { shape, range, ref expected, .. } = self.place;
        let bits = self.bits.1;
        let count = (1usize << bits) - 1;
        let spaced = |(mean, spread): (f64, f64), t: usize| {
            let at = (2.0 * (t as f64 + 0.5) / count as f64 - 1.0) * REACH;
            (mean + at * spread).round() as i64
        };
        let thresholds = Array2::from_shape_fn((shape.channels, count), |(c, t)| spaced(expected[c], t));
        let dir = vec![1; shape.channels];
        let thresholds = Step::clip_thresholds(&thresholds, &dir, range);
        let ends = |end: usize| thresholds.column(end).to_vec();
        let surrogate = Surrogate {
            gain: expected.iter().map(|(_, spread)| count as f64 / (2.0 * REACH * spread)).collect(),
            open_lo: ends(0),
            open_hi: ends(count - 1),
            unit: 1.0 / count as f64,
        };
        let step = Step { bits, dir, thresholds, surrogate };
        let expected = levels(bits, shape.channels);
        self.push(
            Layer::Step(step),
            Place { node: name.into(), shape, expected, range: Range::levels(bits) },
        );
        self.place.clone()
    }

    /// Adds a rescale into the residual stream, where all channels have mean 0 and the same spread.
    pub fn rescale(&mut self, name: &str) -> Place {
        let Place { shape, ref expected, .. } = self.place;
        let shift = 12u8;
        let whole = f64::from(shift).exp2();
        let limit = f64::from((1i32 << Rescale::MUL_BITS) - 1);
        let mul: Vec<i32> =
            expected.iter().map(|(_, s)| (STREAM_SPREAD / s * whole).round().min(limit) as i32).collect();
        let half = i64::from(1i32 << (shift - 1));
        let add =
            mul.iter().zip(expected).map(|(&mul, (mean, _))| half - (f64::from(mul) * mean).round() as i64);
        let rescale =
            Rescale { add: add.collect(), mul, shift, bits: STREAM_BITS, unit: 1.0 / STREAM_SPREAD };
        let expected = vec![(0.0, STREAM_SPREAD); shape.channels];
        let output = Place { node: name.into(), shape, expected, range: signed(STREAM_BITS) };
        self.push(Layer::Rescale(rescale), output);
        self.place.clone()
    }

    /// Adds the mean of two streams.
    pub fn mix(&mut self, name: &str, skip: &Place, branch: &Place) -> Place {
        let mix = Mix { a: 1, b: 1, shift: 1, bits: STREAM_BITS };
        let shape = branch.shape;
        // The two streams are taken as independent and of equal spread.
        let expected = vec![(0.0, STREAM_SPREAD * 0.7); shape.channels];
        self.place = Place { node: skip.node.clone(), ..branch.clone() };
        let output = Place { node: name.into(), shape, expected, range: signed(STREAM_BITS) };
        self.push(Layer::Mix(mix), output);
        self.nodes.last_mut().expect("just pushed").inputs.push(branch.node.clone());
        self.place.clone()
    }

    /// Adds the maximum of each 2 × 2 window.
    pub fn max_pool(&mut self, name: &str) {
        let Place { shape, range, ref expected, .. } = self.place;
        let expected = expected.clone();
        let shape = Shape::new(shape.height / 2, shape.width / 2, shape.channels);
        let pool = MaxPool { window: [2, 2], stride: [2, 2] };
        self.push(Layer::MaxPool(pool), Place { node: name.into(), shape, expected, range });
    }

    /// Adds the sum of each channel.
    pub fn global_sum(&mut self) {
        let Place { shape, range, ref expected, .. } = self.place;
        let count = shape.height * shape.width;
        let expected = expected.iter().map(|(m, s)| (m * count as f64, s * (count as f64).sqrt())).collect();
        let range = Range::new(range.lo * count as i64, range.hi * count as i64);
        let shape = Shape::new(1, 1, shape.channels);
        self.push(Layer::GlobalSum(GlobalSum), Place { node: "sum".into(), shape, expected, range });
    }

    /// Adds the last dense layer and the scores.
    pub fn classifier(&mut self, classes: usize) {
        self.dense("classifier", classes);
        let expected = self.place.expected.clone();
        let bias = expected.iter().map(|(mean, _)| -mean.round() as i32).collect();
        let logits = Logits { bias, scale: 1.0 / 64.0 };
        let shape = Shape::new(1, 1, classes);
        let output = Place { node: "logits".into(), shape, expected, range: Range::levels(1) };
        self.push(Layer::Logits(logits), output);
    }

    /// Returns the expected mean and standard deviation of one accumulator, whose weights are `row`, the
    /// channels fastest.
    fn expected(&self, row: ArrayView1<i8>) -> (f64, f64) {
        let inputs = &self.place.expected;
        let (mean, variance) = row.iter().enumerate().fold((0.0, 0.0), |(mean, variance), (i, &w)| {
            let ((m, s), w) = (inputs[i % inputs.len()], f64::from(w));
            (mean + w * m, variance + (w * s) * (w * s))
        });
        (mean, variance.sqrt().max(0.5))
    }

    fn weighted(&mut self, name: &str, layer: Layer, shape: Shape, expected: Vec<(f64, f64)>) {
        let wire = crate::Wire { shape: self.place.shape, range: self.place.range };
        let range = layer.kind().range(&[wire]).expect("a sound topology");
        self.push(layer, Place { node: name.into(), shape, expected, range });
    }

    /// Adds a node that reads the last one; `output` names it.
    fn push(&mut self, layer: Layer, output: Place) {
        let inputs = if self.nodes.is_empty() { vec![] } else { vec![self.place.node.clone()] };
        self.nodes.push(Node { name: output.node.clone(), layer, inputs });
        self.place = output;
    }
}

/// Returns the mean and standard deviation of levels that are spread evenly, with some more at both ends.
fn levels(bits: u8, channels: usize) -> Vec<(f64, f64)> {
    let most = f64::from((1u32 << bits) - 1);
    vec![(most / 2.0, most * 0.35); channels]
}

fn signed(bits: u8) -> Range {
    Range::new(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}
