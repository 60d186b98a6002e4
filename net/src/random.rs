//! Small random valid networks, by seed: the cases on which every engine is tested against the reference. They cover
//! all kinds of layer, all bit widths, odd shapes, groups, strides, paddings, residuals and both directions. Never
//! trained, so their labels mean nothing.

use crate::layer::{
    BitDepth, Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Median, Mix, Rescale, Step, SumPool,
    Surrogate,
};
use crate::{SplitMix64, network::Network, network::Node, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array2, Array3, Array4, Axis, s};

/// Bounds of what [`network`] draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Largest image height and width; at least 1.
    pub max_side: usize,
    /// Largest number of channels; at least 2.
    pub max_channels: usize,
    /// Largest number of layers between the input and the head.
    pub max_layers: usize,
    /// Bits of every weight, 1 to 8; `None` draws each layer's.
    pub weight_bits: Option<u8>,
    /// Bits of every step's levels, 1 to 8; `None` draws each layer's.
    pub level_bits: Option<u8>,
    /// Whether it may have residual blocks and squeeze its image; else it is a chain without either.
    pub residuals: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_side: 9,
            max_channels: 8,
            max_layers: 6,
            weight_bits: None,
            level_bits: None,
            residuals: false,
        }
    }
}

/// A random network. Equal arguments give equal networks, on every machine.
pub fn network(seed: u64, options: &Options) -> Network {
    let mut random = Random::new(seed);
    let shape = Shape::new(
        random.within(1, options.max_side),
        random.within(1, options.max_side),
        random.within(1, options.max_channels.min(5)),
    );
    let probe = image(random.word(), shape).mapv(i32::from);
    let nodes = vec![Node { name: "input".into(), layer: Layer::Input(Input { shape }), inputs: vec![] }];
    let at = Point { name: "input".into(), values: probe, range: Range::levels(8) };
    let mut walk = Walk { random, options, nodes, at };
    if options.residuals {
        walk.squeeze();
    }
    for _ in 0..walk.random.within(1, options.max_layers.max(1)) {
        walk.layer();
    }
    walk.head();
    Network::new(format!("random_{seed}"), walk.nodes).expect("drawn within the rules")
}

/// A random image of `shape`: one in four is mostly black and white, to reach the ends of ranges.
pub fn image(seed: u64, shape: Shape) -> Array3<u8> {
    let mut random = Random::new(seed);
    let extreme = random.within(0, 3) == 0;
    Array3::from_shape_simple_fn(shape.dim(), || {
        let word = random.word();
        if extreme && word & 7 != 0 { if word & 8 == 0 { 0 } else { 255 } } else { (word >> 32) as u8 }
    })
}

/// A network being drawn.
struct Walk<'a> {
    random: Random,
    options: &'a Options,
    nodes: Vec<Node>,
    /// Where it goes on.
    at: Point,
}

/// A node's output, with its values for one random image, from which thresholds that matter are chosen.
#[derive(Clone)]
struct Point {
    name: String,
    values: Array3<i32>,
    range: Range,
}

impl Point {
    /// Whether a layer with weights can read it, and no accumulator grows too wide.
    fn is_levels(&self) -> bool {
        self.range.lo >= 0 && self.range.bits() <= 10
    }
}

impl Walk<'_> {
    /// Adds one layer that fits.
    fn layer(&mut self) {
        if self.options.residuals && self.random.within(0, 2) == 0 {
            return self.residual();
        }
        let levels = self.at.is_levels();
        match self.random.within(0, 9) {
            0..=3 if levels => {
                let conv = self.conv();
                self.push("conv", Layer::Conv(conv));
                if self.random.within(0, 5) > 0 {
                    self.step();
                }
            }
            4 if levels => {
                let outputs = self.random.within(1, self.options.max_channels);
                let dense = self.dense(outputs);
                self.push("dense", Layer::Dense(dense));
            }
            5 | 6 => {
                let (window, stride) = self.window();
                self.push("pool", Layer::MaxPool(MaxPool { window, stride }));
            }
            7 => {
                let (window, stride) = self.window();
                self.push("pool", Layer::SumPool(SumPool { window, stride }));
            }
            _ => self.step(),
        }
    }

    /// Ends in scores: by a dense layer, or by summing each channel.
    fn head(&mut self) {
        if !self.at.is_levels() {
            self.step();
        }
        let channels = self.at.values.dim().2;
        if channels >= 2 && self.random.within(0, 2) == 0 {
            self.push("sum", Layer::GlobalSum(GlobalSum));
        } else {
            let classes = self.random.within(2, self.options.max_channels.max(2));
            let dense = self.dense(classes);
            self.push("dense", Layer::Dense(dense));
        }
        let bias = (0..self.at.values.len()).map(|_| self.random.within(0, 60) as i32 - 30).collect();
        self.push("logits", Layer::Logits(Logits { bias, scale: 1.0 / 64.0 }));
    }

    fn push(&mut self, stem: &str, layer: Layer) {
        let at = self.at.clone();
        self.join(stem, layer, std::slice::from_ref(&at));
    }

    /// Adds a layer that reads `inputs`.
    fn join(&mut self, stem: &str, layer: Layer, inputs: &[Point]) {
        let name = if stem == "logits" { stem.into() } else { format!("{stem}{}", self.nodes.len()) };
        let wire = |point: &Point| {
            let (height, width, channels) = point.values.dim();
            Wire { shape: Shape::new(height, width, channels), range: point.range }
        };
        let wires: Vec<Wire> = inputs.iter().map(wire).collect();
        let range = layer.kind().range(&wires).expect("drawn within the rules");
        let values: Vec<_> = inputs.iter().map(|point| point.values.view()).collect();
        let values = layer.kind().eval(&values);
        self.at = Point { name: name.clone(), values, range };
        let inputs = inputs.iter().map(|point| point.name.clone()).collect();
        self.nodes.push(Node { name, layer, inputs });
    }

    /// Sometimes squeezes the image.
    fn squeeze(&mut self) {
        if self.random.within(0, 4) == 0 {
            let bits = self.random.within(1, 8) as u8;
            self.push("depth", Layer::BitDepth(BitDepth { bits }));
        }
        if self.random.within(0, 4) == 0 {
            self.push("median", Layer::Median(Median));
        }
    }

    /// A residual block: a branch of convolutions, and a skip that is the block's input or a 1 × 1 convolution of it.
    fn residual(&mut self) {
        let start = self.at.clone();
        if !start.is_levels() || self.random.within(0, 3) == 0 {
            self.step();
        }
        let inner = self.at.clone();
        let channels = start.values.dim().2;
        let straight = self.random.within(0, 1) == 0;
        let (outputs, stride) = if straight {
            (channels, 1)
        } else {
            (self.random.within(1, self.options.max_channels), self.random.within(1, 2))
        };
        self.same(outputs, stride);
        if self.random.within(0, 1) == 0 {
            self.step();
            self.same(outputs, 1);
        }
        self.rescale();
        let branch = self.at.clone();
        let skip = if straight && self.random.within(0, 2) > 0 {
            start
        } else {
            self.at = inner;
            self.square(outputs, 1, stride);
            self.rescale();
            self.at.clone()
        };
        let shift = self.random.within(0, 6) as u8;
        let a = self.random.within(0, 1 << shift) as i32;
        let mix = Mix { a, b: (1 << shift) - a, shift, bits: self.random.within(3, 14) as u8 };
        let inputs = if self.random.within(0, 1) == 0 { [skip, branch] } else { [branch, skip] };
        self.join("mix", Layer::Mix(mix), &inputs);
    }

    /// A convolution that keeps the map's size, but for its stride.
    fn same(&mut self, outputs: usize, stride: usize) {
        let kernel = 2 * self.random.within(0, 1) + 1;
        self.square(outputs, kernel, stride);
    }

    fn square(&mut self, outputs: usize, kernel: usize, stride: usize) {
        let channels = self.at.values.dim().2;
        let depthwise = outputs == channels && self.random.within(0, 3) == 0;
        let groups = if depthwise { channels } else { 1 };
        let weight_bits = self.weight_bits();
        let dim = (outputs, kernel, kernel, channels / groups);
        let weights = Array4::from_shape_simple_fn(dim, || self.random.weight(weight_bits));
        let conv = Conv { weights, weight_bits, stride: [stride; 2], pad: [kernel / 2; 4], groups };
        self.push("conv", Layer::Conv(conv));
    }

    /// Into a stream that the values seen fill and sometimes leave.
    fn rescale(&mut self) {
        let bits = self.random.within(3, 14) as u8;
        let shift = self.random.within(0, 12) as u8;
        let most = self.at.values.iter().map(|v| i64::from(v.abs())).max().unwrap_or(0) + 1;
        let whole = (1i64 << (bits - 1)) << shift;
        let limit = (1i64 << Rescale::MUL_BITS) - 1;
        let channels = self.at.values.dim().2;
        let mul = (0..channels).map(|_| {
            let size = (whole * self.random.between(40, 150) / 100 / most).clamp(1, limit);
            (if self.random.within(0, 3) == 0 { -size } else { size }) as i32
        });
        let mul = mul.collect();
        let add = (0..channels).map(|_| self.random.between(-whole / 4, whole / 4)).collect();
        self.push("rescale", Layer::Rescale(Rescale { mul, add, shift, bits, unit: 0.01 }));
    }

    fn conv(&mut self) -> Conv {
        let (height, width, channels) = self.at.values.dim();
        let divisors: Vec<usize> = (1..=channels).filter(|&g| channels.is_multiple_of(g)).collect();
        let groups = if self.random.within(0, 2) == 0 { *self.random.one_of(&divisors) } else { 1 };
        let per_group = self.random.within(1, (self.options.max_channels / groups).max(1));
        let kernel = [self.random.within(1, 3), self.random.within(1, 3)];
        let mut pad = [0; 4];
        for (axis, size) in [height, width].into_iter().enumerate() {
            for side in 0..2 {
                pad[2 * axis + side] = self.random.within(0, kernel[axis] - 1);
            }
            let missing = kernel[axis].saturating_sub(size + pad[2 * axis] + pad[2 * axis + 1]);
            let before = missing.min(kernel[axis] - 1 - pad[2 * axis]);
            pad[2 * axis] += before;
            pad[2 * axis + 1] += missing - before;
        }
        let weight_bits = self.weight_bits();
        let dim = (per_group * groups, kernel[0], kernel[1], channels / groups);
        let weights = Array4::from_shape_simple_fn(dim, || self.random.weight(weight_bits));
        let stride = [self.random.within(1, 2), self.random.within(1, 3)];
        Conv { weights, weight_bits, stride, pad, groups }
    }

    fn dense(&mut self, outputs: usize) -> Dense {
        let weight_bits = self.weight_bits();
        let dim = (outputs, self.at.values.len());
        let weights = Array2::from_shape_simple_fn(dim, || self.random.weight(weight_bits));
        Dense { weights, weight_bits }
    }

    fn window(&mut self) -> ([usize; 2], [usize; 2]) {
        let (height, width, _) = self.at.values.dim();
        let window = [self.random.within(1, height.min(3)), self.random.within(1, width.min(3))];
        (window, [self.random.within(1, 2), self.random.within(1, 3)])
    }

    /// Adds a step whose thresholds lie among the values that occur; some are always or never crossed.
    fn step(&mut self) {
        let bits = self.options.level_bits.unwrap_or_else(|| self.random.within(1, 8) as u8);
        let (channels, count) = (self.at.values.dim().2, (1usize << bits) - 1);
        let mut thresholds = Array2::zeros((channels, count));
        let mut surrogate =
            Surrogate { gain: vec![], open_lo: vec![], open_hi: vec![], unit: 1.0 / count as f64 };
        let mut dir = vec![];
        for c in 0..channels {
            let sign: i8 = if self.random.within(0, 3) == 0 { -1 } else { 1 };
            let range = self.at.range.directed(sign);
            let seen = self.at.values.slice(s![.., .., c]).mapv(|v| i64::from(v) * i64::from(sign));
            let (least, most) = seen.iter().fold((i64::MAX, i64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
            let margin = (most - least) / 4 + 2;
            let mut row: Vec<i64> = (0..count)
                .map(|_| match self.random.within(0, 19) {
                    0 => range.lo,
                    1 => range.hi + 1,
                    _ => self.random.between(least - margin, most + margin).clamp(range.lo, range.hi + 1),
                })
                .collect();
            row.sort_unstable();
            let (first, last) = (row[0], row[count - 1]);
            surrogate.gain.push(f64::from(sign) * count as f64 / (last - first + 1) as f64);
            let (open_lo, open_hi) = if sign > 0 { (first, last) } else { (-last, -first) };
            surrogate.open_lo.push(open_lo as i32);
            surrogate.open_hi.push(open_hi as i32);
            dir.push(sign);
            let row: Array2<i32> =
                Array2::from_shape_vec((1, count), row.iter().map(|&t| t as i32).collect()).expect("counted");
            thresholds.index_axis_mut(Axis(0), c).assign(&row.row(0));
        }
        self.push("step", Layer::Step(Step { bits, dir, thresholds, surrogate }));
    }

    fn weight_bits(&mut self) -> u8 {
        self.options.weight_bits.unwrap_or_else(|| self.random.within(1, 8) as u8)
    }
}

/// The numbers that a network is drawn from.
pub(crate) struct Random(SplitMix64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(SplitMix64::new(seed))
    }

    fn word(&mut self) -> u64 {
        self.0.word()
    }

    /// Uniform in `lo..=hi`, up to a bias that does not matter for ranges this small.
    fn between(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.word() % (hi - lo + 1) as u64) as i64
    }

    fn within(&mut self, lo: usize, hi: usize) -> usize {
        self.between(lo as i64, hi as i64) as usize
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.within(0, items.len() - 1)]
    }

    /// As training quantizes: ±1 at 1 bit, symmetric above.
    pub fn trained_weight(&mut self, bits: u8) -> i8 {
        let most = (1i64 << (bits - 1)) - 1;
        if bits == 1 { self.weight(1) } else { self.between(-most, most) as i8 }
    }

    /// ±1 at 1 bit, two's complement above.
    fn weight(&mut self, bits: u8) -> i8 {
        let half = 1i64 << (bits - 1);
        match bits {
            1 => 2 * self.between(0, 1) as i8 - 1,
            _ => self.between(-half, half - 1) as i8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn networks_are_valid_repeatable_and_cover_every_kind() {
        let mut kinds = BTreeSet::new();
        for seed in 0..200 {
            let options = Options { residuals: seed % 2 == 0, ..Options::default() };
            let net = network(seed, &options);
            assert_eq!(net, network(seed, &options), "seed {seed}");
            kinds.extend(net.nodes().iter().map(|n| n.layer.kind().name()));
            net.eval(image(seed, net.input_shape()).view());
        }
        assert_eq!(kinds.len(), 12, "{kinds:?}");
    }

    #[test]
    fn thresholds_are_crossed_by_some_values_and_not_by_others() {
        let (mut moved, mut count) = (0, 0);
        for seed in 0..50 {
            let net = network(seed, &Options { residuals: seed % 2 == 0, ..Options::default() });
            let values = net.eval_nodes(image(seed + 1000, net.input_shape()).view());
            for (node, value) in net.nodes().iter().zip(&values) {
                if matches!(node.layer, Layer::Step(_)) && value.len() > 4 {
                    count += 1;
                    moved += usize::from(value.iter().any(|v| v != value.first().expect("not empty")));
                }
            }
        }
        assert!(moved * 10 > count * 8, "{moved} of {count} steps give more than one level");
    }
}
