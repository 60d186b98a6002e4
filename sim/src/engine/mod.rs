//! The fast engine: the same integers as [`Network::eval`], batched, on all cores, by the best instructions of the
//! machine. Never decides what a layer means, and has no float in its forward pass.

mod bounds;
mod linear;
pub(crate) mod pool;
mod step;
pub(crate) mod stream;
mod tensor;

pub(crate) use bounds::Bounds;

use crate::gradient::{Backward, Precision};
use crate::kernel::Kernel;
use dq_net::layer::{BitDepth, Layer, Logits};
use dq_net::{Network, Range, Shape};
use linear::Linear;
use ndarray::{Array2, Array3, Array4, ArrayView3, ArrayView4, Axis, s};
use rayon::prelude::*;
use std::sync::OnceLock;
use step::FastStep;
use stream::{FastMix, FastRescale};
pub(crate) use tensor::Tensor;

/// Most images that one task carries through the network together.
const BLOCK: usize = 4;
/// Memory that the values of one block should stay below.
const BLOCK_BYTES: usize = 32 << 20;

/// A network with its weights in the order the kernels read them.
pub struct Engine {
    network: Network,
    kernel: Kernel,
    nodes: Vec<Op>,
    /// Layers whose accumulators a Step or a Rescale takes tile by tile, where it is their only reader.
    fused: Vec<bool>,
    /// The last node that needs each node's value: as its reader, or as the reader of a fused one.
    needed_until: Vec<usize>,
    block: usize,
    pub(crate) precision: Precision,
    /// Packed on the first call that asks for a gradient.
    backward: OnceLock<Vec<Backward>>,
}

enum Op {
    Input,
    Linear(Linear),
    Step(FastStep),
    MaxPool { window: [usize; 2], stride: [usize; 2] },
    SumPool { window: [usize; 2], stride: [usize; 2] },
    GlobalSum,
    Mix(FastMix),
    Rescale(FastRescale),
    BitDepth(BitDepth),
    Median,
    Logits(Vec<i32>),
}

impl Engine {
    /// Prepares `network` for the best kernel of this machine.
    pub fn new(network: &Network) -> Self {
        Self::with_kernel(network, Kernel::best())
    }

    /// Prepares `network` for a given kernel.
    ///
    /// # Panics
    /// If the machine cannot run `kernel` (see [`Kernel::available`]).
    pub fn with_kernel(network: &Network, kernel: Kernel) -> Self {
        assert!(
            Kernel::available().contains(&kernel),
            "this machine cannot run the {} kernel",
            kernel.name()
        );
        let count = network.nodes().len();
        let is_fused = |i: usize| match network.readers(i) {
            &[reader] => {
                matches!(network.nodes()[i].layer, Layer::Conv(_) | Layer::Dense(_))
                    && matches!(network.nodes()[reader].layer, Layer::Step(_) | Layer::Rescale(_))
            }
            _ => false,
        };
        let fused: Vec<bool> = (0..count).map(is_fused).collect();
        let run_at = |i: usize| if fused[i] { network.readers(i)[0] } else { i };
        let needed_until =
            (0..count).map(|i| network.readers(i).iter().map(|&reader| run_at(reader)).max().unwrap_or(i));
        let needed_until: Vec<usize> = needed_until.collect();
        let bytes: usize = (0..count).map(|i| network.wire(i).shape.len() * 4).sum();
        let block = (BLOCK_BYTES / bytes).clamp(1, BLOCK);
        let nodes = (0..count).map(|i| prepare(network, i, kernel)).collect();
        Self {
            network: network.clone(),
            kernel,
            nodes,
            fused,
            needed_until,
            block,
            precision: Precision::default(),
            backward: OnceLock::new(),
        }
    }

    /// The same, with gradients summed in other numbers. Scores and labels are as before.
    pub fn with_gradients(self, precision: Precision) -> Self {
        Self { precision, backward: OnceLock::new(), ..self }
    }

    /// The network it runs.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The kernel it runs on.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Scores of a batch of images (batch × height × width × channels): batch × classes.
    ///
    /// # Panics
    /// If the images are not of the network's input shape.
    pub fn scores(&self, images: ArrayView4<u8>) -> Array2<i32> {
        let mut scores = Array2::zeros((images.dim().0, self.network.classes()));
        self.blocks(images).zip(scores.axis_chunks_iter_mut(Axis(0), self.block).into_par_iter()).for_each(
            |(images, mut scores)| {
                let mut values = self.execute(images, false);
                let last = values.pop().flatten().expect("the last node is kept").into_words();
                scores.iter_mut().zip(last).for_each(|(to, score)| *to = score);
            },
        );
        scores
    }

    /// Labels of a batch of images: the arg max of the scores, the lowest index on ties.
    pub fn labels(&self, images: ArrayView4<u8>) -> Vec<usize> {
        self.scores(images).rows().into_iter().map(|row| Logits::label(row.iter().copied())).collect()
    }

    /// Every node's output for a batch of images, in node order: for comparing engines.
    pub fn nodes(&self, images: ArrayView4<u8>) -> Vec<Array4<i32>> {
        let shape = |i: usize| self.network.wire(i).shape;
        let mut all: Vec<Array4<i32>> = (0..self.nodes.len())
            .map(|i| {
                let (height, width, channels) = shape(i).dim();
                Array4::zeros((images.dim().0, height, width, channels))
            })
            .collect();
        let blocks: Vec<_> = self.blocks(images).map(|images| self.execute(images, true)).collect();
        for (b, values) in blocks.into_iter().enumerate() {
            for (i, value) in values.into_iter().enumerate() {
                let first = b * self.block;
                let count = (all[i].dim().0 - first).min(self.block);
                let value = value.expect("all are kept").into_array(count, shape(i));
                all[i].slice_mut(s![first..first + count, .., .., ..]).assign(&value);
            }
        }
        all
    }

    /// Scores of a block of images where `change(image, values)` has changed the output of node `node` (height × width ×
    /// channels of each image). What does not fit the bits of a wire wraps, as in a register of that width.
    pub(crate) fn changed_scores(
        &self,
        images: ArrayView4<u8>,
        node: usize,
        change: impl Fn(usize, &mut [i32]),
    ) -> Vec<i32> {
        let count = images.dim().0;
        let mut values = self.execute(images, true);
        let mut words = values[node].take().expect("all are kept").into_words();
        let length = self.network.wire(node).shape.len();
        words.chunks_exact_mut(length).enumerate().for_each(|(image, values)| change(image, values));
        // Whether a node's values are others than they were, and whether they left its range.
        let (mut changed, mut astray) = (vec![false; values.len()], vec![false; values.len()]);
        (values[node], astray[node]) = self.registers(node, words);
        changed[node] = true;
        for i in node + 1..values.len() {
            let sources = self.network.sources(i);
            changed[i] = sources.iter().any(|&source| changed[source]);
            if !changed[i] {
                continue;
            }
            if !sources.iter().any(|&source| astray[source]) {
                values[i] = Some(self.node(i, images, &values, count));
                continue;
            }
            // The fast layers count on their inputs' ranges: the meaning itself does not.
            let mut words = Vec::with_capacity(count * self.network.wire(i).shape.len());
            for image in 0..count {
                let inputs: Vec<Array3<i32>> = sources
                    .iter()
                    .map(|&source| {
                        let shape = self.network.wire(source).shape;
                        let value = values[source].as_ref().expect("all are kept");
                        let at = image * shape.len();
                        let elements = (at..at + shape.len()).map(|at| value.get(at)).collect();
                        Array3::from_shape_vec(shape.dim(), elements).expect("counted")
                    })
                    .collect();
                let views: Vec<ArrayView3<i32>> = inputs.iter().map(|input| input.view()).collect();
                words.extend(self.network.nodes()[i].layer.kind().eval(&views));
            }
            (values[i], astray[i]) = self.registers(i, words);
        }
        values.pop().flatten().expect("the last node is kept").into_words()
    }

    /// `words` as registers of node `i`'s wire hold them, and whether any lies outside its range.
    fn registers(&self, i: usize, mut words: Vec<i32>) -> (Option<Tensor>, bool) {
        let range = self.network.wire(i).range;
        let up = 32 - range.bits();
        for word in &mut words {
            let low = (*word as u32) << up;
            *word = if range.signed() { low as i32 >> up } else { (low >> up) as i32 };
        }
        let astray = words.iter().any(|&word| !range.contains(word.into()));
        (Some(if astray { Tensor::Words(words) } else { Tensor::narrow(words, range) }), astray)
    }

    /// Images in a block.
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// The backward pass of node `i`.
    pub(crate) fn backward_node(&self, i: usize) -> &Backward {
        let prepare = || {
            (0..self.nodes.len())
                .map(|i| Backward::new(&self.network, i, self.kernel, self.precision))
                .collect()
        };
        &self.backward.get_or_init(prepare)[i]
    }

    /// The batch in blocks of at most `block` images.
    pub(crate) fn blocks<'a>(
        &self,
        images: ArrayView4<'a, u8>,
    ) -> impl IndexedParallelIterator<Item = ArrayView4<'a, u8>> + use<'a> {
        let (_, height, width, channels) = images.dim();
        assert_eq!((height, width, channels), self.network.input_shape().dim(), "image shape");
        let (block, count) = (self.block, images.dim().0);
        (0..count.div_ceil(block)).into_par_iter().map(move |b| {
            let end = count.min((b + 1) * block);
            images.slice_move(s![b * block..end, .., .., ..])
        })
    }

    /// Runs one block. Keeps every node's output, or only what is still to be read.
    pub(crate) fn execute(&self, images: ArrayView4<u8>, keep: bool) -> Vec<Option<Tensor>> {
        let count = images.dim().0;
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(self.nodes.len());
        for i in 0..self.nodes.len() {
            let fused = !keep && self.fused[i];
            let value = if fused { None } else { Some(self.node(i, images, &values, count)) };
            values.push(value);
            if !keep {
                let read: Vec<usize> = (0..i).filter(|&j| self.needed_until[j] <= i).collect();
                read.into_iter().for_each(|j| values[j] = None);
            }
        }
        values
    }

    fn node(&self, i: usize, images: ArrayView4<u8>, values: &[Option<Tensor>], count: usize) -> Tensor {
        let output = self.network.wire(i);
        let Some(&source) = self.network.sources(i).first() else {
            return Tensor::Bytes(images.iter().copied().collect());
        };
        let input_shape: Shape = self.network.wire(source).shape;
        let input = values[source].as_ref();
        let kept = || input.expect("a value is kept until its last reader");
        match &self.nodes[i] {
            Op::Input => unreachable!("an input reads nothing"),
            Op::Linear(linear) => {
                let mut sums = vec![0; count * output.shape.len()];
                linear.run(self.kernel, kept(), count, |first, tile| {
                    sums[first * linear.channels()..][..tile.len()].copy_from_slice(tile);
                });
                Tensor::narrow(sums, output.range)
            }
            Op::Step(step) => {
                let mut levels = vec![0; count * output.shape.len()];
                self.accumulators(source, values, count, |first, sums| {
                    step.run(self.kernel, sums, &mut levels[first..][..sums.len()]);
                });
                Tensor::Bytes(levels)
            }
            Op::Rescale(rescale) => {
                let mut stream = vec![0; count * output.shape.len()];
                self.accumulators(source, values, count, |first, sums| {
                    rescale.run(self.kernel, sums, &mut stream[first..][..sums.len()]);
                });
                Tensor::narrow(stream, output.range)
            }
            Op::MaxPool { window, stride } => match kept() {
                Tensor::Bytes(v) => Tensor::Bytes(pool::max(v, input_shape, output.shape, *window, *stride)),
                Tensor::Words(v) => Tensor::Words(pool::max(v, input_shape, output.shape, *window, *stride)),
            },
            Op::SumPool { window, stride } => {
                sum(kept(), input_shape, output.shape, *window, *stride, output.range)
            }
            Op::GlobalSum => {
                let window = [input_shape.height, input_shape.width];
                sum(kept(), input_shape, output.shape, window, [1, 1], output.range)
            }
            Op::Mix(mix) => {
                let other = values[self.network.sources(i)[1]].as_ref();
                let other = other.expect("a value is kept until its last reader");
                Tensor::narrow(mix.run(self.kernel, kept(), other), output.range)
            }
            Op::BitDepth(depth) => {
                Tensor::Bytes(stream::bit_depth(*depth, kept(), count * output.shape.len()))
            }
            Op::Median => match kept() {
                Tensor::Bytes(v) => Tensor::Bytes(stream::median(v, output.shape)),
                Tensor::Words(v) => Tensor::Words(stream::median(v, output.shape)),
            },
            Op::Logits(bias) => {
                let classes = bias.len();
                let scores = (0..count * classes).map(|at| kept().get(at) + bias[at % classes]);
                Tensor::Words(scores.collect())
            }
        }
    }

    /// Hands node `source`'s values to `sink(first element, values)`: tile by tile as they are computed where the node
    /// is fused, else all that are kept.
    fn accumulators(
        &self,
        source: usize,
        values: &[Option<Tensor>],
        count: usize,
        mut sink: impl FnMut(usize, &[i32]),
    ) {
        match (&values[source], &self.nodes[source]) {
            (Some(kept), _) => sink(0, &kept.words()),
            (None, Op::Linear(linear)) => {
                let before = values[self.network.sources(source)[0]].as_ref();
                let before = before.expect("kept for the fused layer");
                linear.run(self.kernel, before, count, |first, tile| sink(first * linear.channels(), tile));
            }
            (None, _) => unreachable!("a value is kept until its last reader"),
        }
    }
}

fn sum(
    input: &Tensor,
    from: Shape,
    to: Shape,
    window: [usize; 2],
    stride: [usize; 2],
    range: Range,
) -> Tensor {
    let sums = match input {
        Tensor::Bytes(v) => pool::sum(v, from, to, window, stride),
        Tensor::Words(v) => pool::sum(v, from, to, window, stride),
    };
    Tensor::narrow(sums, range)
}

fn prepare(network: &Network, i: usize, kernel: Kernel) -> Op {
    let input = network.sources(i).first().map(|&s| network.wire(s));
    let input = || input.expect("checked: only the input reads nothing");
    match &network.nodes()[i].layer {
        Layer::Input(_) => Op::Input,
        Layer::Conv(conv) => Op::Linear(Linear::conv(kernel, conv, input(), network.wire(i).shape)),
        Layer::Dense(dense) => Op::Linear(Linear::dense(kernel, dense, input())),
        Layer::Step(step) => Op::Step(FastStep::new(step, input().range)),
        Layer::MaxPool(pool) => Op::MaxPool { window: pool.window, stride: pool.stride },
        Layer::SumPool(pool) => Op::SumPool { window: pool.window, stride: pool.stride },
        Layer::GlobalSum(_) => Op::GlobalSum,
        Layer::Mix(mix) => {
            let [x, y] = [0, 1].map(|port| network.wire(network.sources(i)[port]).range);
            Op::Mix(FastMix::new(mix, x, y))
        }
        Layer::Rescale(rescale) => Op::Rescale(FastRescale::new(rescale, input().range)),
        Layer::BitDepth(depth) => Op::BitDepth(*depth),
        Layer::Median(_) => Op::Median,
        Layer::Logits(logits) => Op::Logits(logits.bias.clone()),
    }
}
