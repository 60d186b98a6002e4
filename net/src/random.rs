//! Draws small valid networks by seed: the cases on which every engine is tested against the reference. They
//! cover all kinds of layer, all bit widths, odd shapes, groups, strides, paddings, residuals and both
//! directions. They are not trained, so their labels mean nothing.

pub use crate::draw::Options;

use crate::draw::{Draw, Point, Random};
use crate::layer::{
    BitDepth, Concat, Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Median, Mix, Rescale, Step, Sum,
    SumPool,
};
use crate::{network::Network, network::Node, range::Range, wire::Wire};
use ndarray::{Array3, Array4};

/// Returns a random network. Equal arguments give equal networks, on every machine.
pub fn network(seed: u64, options: &Options) -> Network {
    let mut random = Random::new(seed);
    let (later, mut beside) = (Random::new(!seed), Random::new(seed ^ (1 << 63)));
    let mut input = Input::draw(&mut random, options);
    if options.residuals {
        input = input.with_drawn_levels(&mut beside);
    }
    let probe = image(random.word(), input).mapv(i32::from);
    let nodes = vec![Node { name: "input".into(), layer: Layer::Input(input), inputs: vec![] }];
    let at = Point { name: "input".into(), values: probe, range: Range::new(0, input.top().into()) };
    let mut walk = Walk { random, later, beside, options, nodes, at };
    if options.residuals {
        walk.squeeze();
    }
    for _ in 0..walk.random.within(1, options.max_layers.max(1)) {
        walk.layer();
    }
    walk.head();
    Network::new(format!("random_{seed}"), walk.nodes).expect("drawn within the rules")
}

/// Returns a random image of `input`: one in four is mostly black and white, to reach the ends of ranges.
pub fn image(seed: u64, input: Input) -> Array3<u8> {
    let mut random = Random::new(seed);
    let extreme = random.within(0, 3) == 0;
    Array3::from_shape_simple_fn(input.shape.dim(), || {
        let word = random.word();
        if extreme && word & 7 != 0 {
            return if word & 8 == 0 { 0 } else { input.top() };
        }
        let pixel = (word >> 32) as u8;
        (u32::from(pixel) * u32::from(input.levels) / 256) as u8
    })
}

/// Returns `count` random images of `input`, those of the seeds from `first` on: image × height × width ×
/// channels.
pub fn images(first: u64, count: usize, input: Input) -> Array4<u8> {
    let shape = input.shape;
    let mut images = Array4::zeros((count, shape.height, shape.width, shape.channels));
    for (i, mut drawn) in images.outer_iter_mut().enumerate() {
        drawn.assign(&image(first.wrapping_add(i as u64), input));
    }
    images
}

/// Holds a network that is being drawn.
struct Walk<'a> {
    random: Random,
    /// Numbers for what was added later ([`Draw::later`]).
    later: Random,
    /// Numbers for what was added after that.
    beside: Random,
    options: &'a Options,
    nodes: Vec<Node>,
    /// The node that the next one reads.
    at: Point,
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
                self.add("conv", |draw| Layer::Conv(Conv::draw(draw)));
                if self.random.within(0, 5) > 0 {
                    self.step();
                }
            }
            4 if levels => {
                let outputs = self.random.within(1, self.options.max_channels);
                self.add("dense", |draw| Layer::Dense(Dense::draw(draw, outputs)));
            }
            5 | 6 => self.add("pool", |draw| Layer::MaxPool(MaxPool::draw(draw))),
            7 => self.add("pool", |draw| Layer::SumPool(SumPool::draw(draw))),
            _ => self.step(),
        }
    }

    /// Adds the scores, by a dense layer or by summing each channel.
    fn head(&mut self) {
        if !self.at.is_levels() {
            self.step();
        }
        let channels = self.at.values.dim().2;
        if channels >= 2 && self.random.within(0, 2) == 0 {
            self.add("sum", |_| Layer::GlobalSum(GlobalSum));
        } else {
            let classes = self.random.within(2, self.options.max_channels.max(2));
            self.add("dense", |draw| Layer::Dense(Dense::draw(draw, classes)));
        }
        self.add("logits", |draw| Layer::Logits(Logits::draw(draw)));
    }

    /// Adds sometimes what squeezes the image.
    fn squeeze(&mut self) {
        if self.random.within(0, 4) == 0 {
            self.add("depth", |draw| Layer::BitDepth(BitDepth::draw(draw.random)));
        }
        if self.random.within(0, 4) == 0 {
            self.add("median", |_| Layer::Median(Median));
        }
    }

    /// Adds a residual block: a branch of convolutions, and a skip that is the block's input or a 1 × 1
    /// convolution of it. They are mixed, summed, or put beside each other.
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
        let mix = Mix::draw(&mut self.random);
        let mut inputs = if self.random.within(0, 1) == 0 { [skip, branch] } else { [branch, skip] };
        let most = 2 * self.options.max_channels;
        if let Some(concat) = Concat::draw(&mut self.beside, &inputs.each_ref().map(Point::wire), most) {
            // Half of them join levels, which a convolution may read as they are.
            if self.beside.within(0, 1) == 0 {
                inputs = inputs.map(|point| self.stepped(point));
            }
            return self.join("concat", Layer::Concat(concat), &inputs);
        }
        match Sum::draw(&mut self.later, &inputs.each_ref().map(Point::wire)) {
            Some(sum) => self.join("sum", Layer::Sum(sum), &inputs),
            None => self.join("mix", Layer::Mix(mix), &inputs),
        }
    }

    /// Returns `point` where it is levels, else a step of it.
    fn stepped(&mut self, point: Point) -> Point {
        if !point.is_levels() {
            self.at = point;
            self.step();
            return self.at.clone();
        }
        point
    }

    /// Adds a convolution that keeps the map's size, except for its stride.
    fn same(&mut self, outputs: usize, stride: usize) {
        let kernel = 2 * self.random.within(0, 1) + 1;
        self.square(outputs, kernel, stride);
    }

    fn square(&mut self, outputs: usize, kernel: usize, stride: usize) {
        self.add("conv", |draw| Layer::Conv(Conv::draw_square(draw, outputs, kernel, stride)));
    }

    fn rescale(&mut self) {
        self.add("rescale", |draw| Layer::Rescale(Rescale::draw(draw)));
    }

    fn step(&mut self) {
        self.add("step", |draw| Layer::Step(Step::draw(draw)));
    }

    /// Adds a layer that reads the last one.
    fn add(&mut self, stem: &str, layer: impl FnOnce(&mut Draw) -> Layer) {
        let input = self.at.clone();
        let Walk { random, later, options, .. } = self;
        let layer = layer(&mut Draw { random, later, options, input: &input });
        self.join(stem, layer, &[input]);
    }

    /// Adds a layer that reads `inputs`.
    fn join(&mut self, stem: &str, layer: Layer, inputs: &[Point]) {
        let name = if stem == "logits" { stem.into() } else { format!("{stem}{}", self.nodes.len()) };
        let wires: Vec<Wire> = inputs.iter().map(Point::wire).collect();
        let range = layer.kind().range(&wires).expect("drawn within the rules");
        let values: Vec<_> = inputs.iter().map(|point| point.values.view()).collect();
        let values = layer.kind().eval(&values);
        self.at = Point { name: name.clone(), values, range };
        let inputs = inputs.iter().map(|point| point.name.clone()).collect();
        self.nodes.push(Node { name, layer, inputs });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_json;
    use sha2::{Digest, Sha256};
    use std::collections::BTreeSet;

    #[test]
    fn networks_are_valid_repeatable_and_cover_every_kind() {
        let mut kinds = BTreeSet::new();
        for seed in 0..200 {
            let options = Options { residuals: seed % 2 == 0, ..Options::default() };
            let net = network(seed, &options);
            assert_eq!(net, network(seed, &options), "seed {seed}");
            kinds.extend(net.nodes().iter().map(|n| n.layer.kind().name()));
            net.eval(image(seed, net.input()).view());
        }
        assert_eq!(kinds.len(), Layer::KINDS.len(), "{kinds:?}");
    }

    #[test]
    fn thresholds_are_crossed_by_some_values_and_not_by_others() {
        let (mut moved, mut count) = (0, 0);
        for seed in 0..50 {
            let net = network(seed, &Options { residuals: seed % 2 == 0, ..Options::default() });
            let values = net.eval_nodes(image(seed + 1000, net.input()).view());
            for (node, value) in net.nodes().iter().zip(&values) {
                if matches!(node.layer, Layer::Step(_)) && value.len() > 4 {
                    count += 1;
                    moved += usize::from(value.iter().any(|v| v != value.first().expect("not empty")));
                }
            }
        }
        assert!(moved * 10 > count * 8, "{moved} of {count} steps give more than one level");
    }

    /// Seeds stand in tests and bug reports of every crate: what they draw stays what it is.
    #[test]
    fn the_networks_of_seeds_are_pinned() {
        // Those of chains, and of networks with residuals.
        let mut hashes = [Sha256::new(), Sha256::new()];
        for seed in 0..100 {
            let bits = [None, Some(seed as u8 / 2 % 8 + 1)][seed as usize / 4 % 2];
            let options = Options {
                residuals: seed % 2 == 0,
                weight_bits: bits,
                level_bits: bits,
                max_side: 5 + seed as usize % 9,
                ..Options::default()
            };
            let network = network(seed, &options);
            let hash = &mut hashes[usize::from(options.residuals)];
            hash.update(to_json(&network));
            hash.update(image(seed, network.input()).as_slice().expect("contiguous"));
            (0..network.nodes().len()).for_each(|i| hash.update(format!("{:?}", network.unit(i))));
        }
        let found = hashes
            .map(|hash| -> String { hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect() });
        assert_eq!(
            found,
            [
                "ae8a91dca6736dadd2fb4d1c7133f0477fc90d2055cf810555f86dd5337431f5",
                "b64a13a69773f93ff094498e2ca3ae238b94d68494408f5e3a9428b8d06b1283",
            ]
        );
    }
}
