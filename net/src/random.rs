//! Small random valid networks, by seed: the cases on which every engine is tested against the reference. They cover
//! all kinds of layer, all bit widths, odd shapes, groups, strides, paddings and both directions. Never trained, so
//! their labels mean nothing.

use crate::layer::{Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Step, SumPool, Surrogate};
use crate::{network::Network, network::Node, range::Range, shape::Shape};
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
}

impl Default for Options {
    fn default() -> Self {
        Self { max_side: 9, max_channels: 8, max_layers: 6, weight_bits: None, level_bits: None }
    }
}

/// A random network. Equal arguments give equal networks, on every machine.
pub fn network(seed: u64, options: &Options) -> Network {
    let mut random = Random(seed);
    let shape = Shape::new(
        random.within(1, options.max_side),
        random.within(1, options.max_side),
        random.within(1, options.max_channels.min(5)),
    );
    let probe = image(random.word(), shape).mapv(i32::from);
    let nodes = vec![Node { name: "input".into(), layer: Layer::Input(Input { shape }), inputs: vec![] }];
    let mut walk = Walk { random, options, nodes, values: probe, range: Range::levels(8) };
    for _ in 0..walk.random.within(1, options.max_layers.max(1)) {
        walk.layer();
    }
    walk.head();
    Network::new(format!("random_{seed}"), walk.nodes).expect("drawn within the rules")
}

/// A random image of `shape`: one in four is mostly black and white, to reach the ends of ranges.
pub fn image(seed: u64, shape: Shape) -> Array3<u8> {
    let mut random = Random(seed);
    let extreme = random.within(0, 3) == 0;
    Array3::from_shape_simple_fn(shape.dim(), || {
        let word = random.word();
        if extreme && word & 7 != 0 { if word & 8 == 0 { 0 } else { 255 } } else { (word >> 32) as u8 }
    })
}

/// A network being drawn, with the values of one random image, from which thresholds that matter are chosen.
struct Walk<'a> {
    random: Random,
    options: &'a Options,
    nodes: Vec<Node>,
    values: Array3<i32>,
    range: Range,
}

impl Walk<'_> {
    /// Adds one layer that fits.
    fn layer(&mut self) {
        let levels = self.range.lo >= 0 && self.range.bits() <= 10;
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
        if self.range.lo < 0 || self.range.bits() > 10 {
            self.step();
        }
        let channels = self.values.dim().2;
        if channels >= 2 && self.random.within(0, 2) == 0 {
            self.push("sum", Layer::GlobalSum(GlobalSum));
        } else {
            let classes = self.random.within(2, self.options.max_channels.max(2));
            let dense = self.dense(classes);
            self.push("dense", Layer::Dense(dense));
        }
        let bias = (0..self.values.len()).map(|_| self.random.within(0, 60) as i32 - 30).collect();
        self.push("logits", Layer::Logits(Logits { bias, scale: 1.0 / 64.0 }));
    }

    fn push(&mut self, stem: &str, layer: Layer) {
        let name = if stem == "logits" { stem.into() } else { format!("{stem}{}", self.nodes.len()) };
        let inputs = vec![self.nodes.last().expect("the input is there").name.clone()];
        let shape = Shape::new(self.values.dim().0, self.values.dim().1, self.values.dim().2);
        let wire = crate::wire::Wire { shape, range: self.range };
        self.range = layer.kind().range(&[wire]).expect("drawn within the rules");
        self.values = layer.kind().eval(&[self.values.view()]);
        self.nodes.push(Node { name, layer, inputs });
    }

    fn conv(&mut self) -> Conv {
        let (height, width, channels) = self.values.dim();
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
        let dim = (outputs, self.values.len());
        let weights = Array2::from_shape_simple_fn(dim, || self.random.weight(weight_bits));
        Dense { weights, weight_bits }
    }

    fn window(&mut self) -> ([usize; 2], [usize; 2]) {
        let (height, width, _) = self.values.dim();
        let window = [self.random.within(1, height.min(3)), self.random.within(1, width.min(3))];
        (window, [self.random.within(1, 2), self.random.within(1, 3)])
    }

    /// Adds a step whose thresholds lie among the values that occur; some are always or never crossed.
    fn step(&mut self) {
        let bits = self.options.level_bits.unwrap_or_else(|| self.random.within(1, 8) as u8);
        let (channels, count) = (self.values.dim().2, (1usize << bits) - 1);
        let mut thresholds = Array2::zeros((channels, count));
        let mut surrogate =
            Surrogate { gain: vec![], open_lo: vec![], open_hi: vec![], unit: 1.0 / count as f64 };
        let mut dir = vec![];
        for c in 0..channels {
            let sign: i8 = if self.random.within(0, 3) == 0 { -1 } else { 1 };
            let range = self.range.directed(sign);
            let seen = self.values.slice(s![.., .., c]).mapv(|v| i64::from(v) * i64::from(sign));
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

/// SplitMix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
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
            let net = network(seed, &Options::default());
            assert_eq!(net, network(seed, &Options::default()), "seed {seed}");
            kinds.extend(net.nodes().iter().map(|n| n.layer.kind().name()));
            net.eval(image(seed, net.input_shape()).view());
        }
        assert_eq!(kinds.len(), 8, "{kinds:?}");
    }

    #[test]
    fn thresholds_are_crossed_by_some_values_and_not_by_others() {
        let (mut moved, mut count) = (0, 0);
        for seed in 0..50 {
            let net = network(seed, &Options::default());
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
