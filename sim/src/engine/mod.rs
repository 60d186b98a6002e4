//! Runs the fast engine: the same integers as [`Network::eval`], batched, on all cores, by the best
//! instructions of the machine. Never decides what a layer means, has no float in its forward pass, and knows
//! no gradient.
//!
//! A step or a rescale runs on accumulators as they are computed, tile by tile, where it is their only
//! reader.

mod bounds;
mod compare;
mod linear_bounds;
mod near;
mod registers;
mod trace;

pub(crate) use bounds::IntervalBounds;
pub use compare::Difference;
pub(crate) use linear_bounds::{LinearBounds, Verdict};
pub(crate) use near::NearImage;
pub(crate) use trace::Trace;

use crate::kernel::Kernel;
use crate::kind::{Feed, Forward, Locality, Site, kind};
use crate::tensor::Tensor;
use dq_net::Network;
use dq_net::layer::Logits;
use ndarray::{Array2, Array4, ArrayView4, Axis, s};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Most images that one task carries through the network together.
const BLOCK: usize = 4;
/// Memory, in bytes, that the values of one block should stay below.
const BLOCK_BYTES: usize = 32 << 20;

/// Holds a network with its weights in the order in which the kernels read them.
pub struct Engine {
    network: Network,
    kernel: Kernel,
    nodes: Vec<Node>,
    block: usize,
    /// What the nodes say of their locality, prepared when it is first asked for.
    localities: OnceLock<Vec<Locality>>,
}

/// Says which nodes' outputs outlive their last reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// None but the last.
    Last,
    /// All that are stored at all: those that are not fused.
    Stored,
    /// All, so that none is fused.
    All,
}

/// Holds a prepared node.
struct Node {
    site: Site,
    forward: Box<dyn Forward>,
    /// Whether the node's accumulators go to its only reader tile by tile and are not stored.
    is_fused: bool,
    /// Whether that reader says where slopes pass, so that the way back needs no accumulators either.
    is_gated: bool,
    /// Index of the last node that needs this one's value: its reader, or the reader of a fused reader.
    needed_until: usize,
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
        let bytes: usize = (0..count).map(|i| network.wire(i).shape.len() * 4).sum();
        let block = (BLOCK_BYTES / bytes).clamp(1, BLOCK);
        let (network, nodes) = (network.clone(), prepare(network, kernel));
        Self { network, kernel, nodes, block, localities: OnceLock::new() }
    }

    /// Returns the network that it runs.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the kernel that it runs on.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Computes the scores of a batch of images (batch × height × width × channels): batch × classes.
    ///
    /// # Panics
    /// If the images are not of the network's input shape, or have levels that its input has not.
    pub fn scores(&self, images: ArrayView4<u8>) -> Array2<i32> {
        let mut scores = Array2::zeros((images.dim().0, self.network.classes()));
        self.blocks(images).zip(scores.axis_chunks_iter_mut(Axis(0), self.block).into_par_iter()).for_each(
            |(images, mut scores)| {
                let mut values = self.execute(images, Keep::Last);
                let last = values.pop().flatten().expect("the last node is kept").into_words();
                scores.iter_mut().zip(last).for_each(|(to, score)| *to = score);
            },
        );
        scores
    }

    /// Computes the labels of a batch of images: the arg max of the scores, the lowest index on ties.
    pub fn labels(&self, images: ArrayView4<u8>) -> Vec<usize> {
        self.scores(images).rows().into_iter().map(|row| Logits::label(row.iter().copied())).collect()
    }

    /// Computes every node's output for a batch of images, in node order: for comparing engines.
    pub fn nodes(&self, images: ArrayView4<u8>) -> Vec<Array4<i32>> {
        let shape = |i: usize| self.network.wire(i).shape;
        let mut all: Vec<Array4<i32>> = (0..self.nodes.len())
            .map(|i| {
                let (height, width, channels) = shape(i).dim();
                Array4::zeros((images.dim().0, height, width, channels))
            })
            .collect();
        let blocks: Vec<_> = self.blocks(images).map(|images| self.values(images)).collect();
        for (b, values) in blocks.into_iter().enumerate() {
            for (i, value) in values.into_iter().enumerate() {
                let first = b * self.block;
                let count = (all[i].dim().0 - first).min(self.block);
                let value = value.into_array(count, shape(i));
                all[i].slice_mut(s![first..first + count, .., .., ..]).assign(&value);
            }
        }
        all
    }

    /// Returns the number of images in a block.
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// Returns the surroundings of node `i`.
    pub(crate) fn site(&self, i: usize) -> &Site {
        &self.nodes[i].site
    }

    /// Cuts the batch into blocks of at most [`Engine::block`] images.
    pub(crate) fn blocks<'a>(
        &self,
        images: ArrayView4<'a, u8>,
    ) -> impl IndexedParallelIterator<Item = ArrayView4<'a, u8>> + use<'a> {
        let (_, height, width, channels) = images.dim();
        assert_eq!((height, width, channels), self.network.input_shape().dim(), "image shape");
        self.network.input().check_images(images).unwrap_or_else(|fault| panic!("{fault}"));
        let (block, count) = (self.block, images.dim().0);
        (0..count.div_ceil(block)).into_par_iter().map(move |b| {
            let end = count.min((b + 1) * block);
            images.slice_move(s![b * block..end, .., .., ..])
        })
    }

    /// Runs one block and returns every node's output.
    pub(crate) fn values(&self, images: ArrayView4<u8>) -> Vec<Tensor> {
        self.execute(images, Keep::All).into_iter().map(|value| value.expect("all are kept")).collect()
    }

    /// Returns what the nodes say of their locality.
    fn localities(&self) -> &[Locality] {
        self.localities.get_or_init(|| {
            let nodes = self.network.nodes().iter().zip(&self.nodes);
            nodes.map(|(node, own)| kind(&node.layer).locality(&own.site)).collect()
        })
    }

    /// Runs one block.
    fn execute(&self, images: ArrayView4<u8>, keep: Keep) -> Vec<Option<Tensor>> {
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let is_fused = keep != Keep::All && node.is_fused;
            let value = if is_fused { None } else { Some(self.run_node(i, images, &values)) };
            values.push(value);
            if keep == Keep::Last {
                self.give_read(i, &mut values);
            }
        }
        values
    }

    /// Gives back the values that no node after node `i` reads, so that the next nodes find their memory in the
    /// cache. The value of `i` itself stays.
    fn give_read(&self, i: usize, values: &mut [Option<Tensor>]) {
        let read = self.nodes[..i].iter().zip(values).filter(|(node, _)| node.needed_until <= i);
        read.filter_map(|(_, value)| value.take()).for_each(Tensor::give);
    }

    /// Computes node `i` of one block from the values of its inputs.
    fn run_node(&self, i: usize, images: ArrayView4<u8>, values: &[Option<Tensor>]) -> Tensor {
        let Node { site, forward, .. } = &self.nodes[i];
        let feeds: Vec<Feed> = match self.network.sources(i) {
            [] => vec![Feed::Images(images)],
            sources => sources.iter().map(|&source| self.feed(source, values)).collect(),
        };
        forward.run(site, &feeds, images.dim().0)
    }

    /// Returns what a reader of node `source` gets: the value that is kept, or the way to compute it.
    fn feed<'v>(&'v self, source: usize, values: &'v [Option<Tensor>]) -> Feed<'v> {
        if let Some(values) = &values[source] {
            return Feed::Values(values);
        }
        let linear = self.nodes[source].forward.linear();
        let input = values[self.network.sources(source)[0]].as_ref();
        let (linear, input) = linear.zip(input).expect("a value is kept until its last reader");
        Feed::Tiles(linear, input)
    }
}

/// Prepares every node of `network`.
fn prepare(network: &Network, kernel: Kernel) -> Vec<Node> {
    let mut nodes: Vec<Node> = (0..network.nodes().len())
        .map(|i| {
            let site = Site::new(network, i, kernel);
            let forward = kind(&network.nodes()[i].layer).forward(&site);
            Node { site, forward, is_fused: false, is_gated: false, needed_until: i }
        })
        .collect();
    for i in 0..nodes.len() {
        if let &[reader] = network.readers(i) {
            let forward = &nodes[reader].forward;
            let gated = forward.gate().is_some();
            nodes[i].is_fused = nodes[i].forward.linear().is_some() && forward.reads_tiles();
            nodes[i].is_gated = nodes[i].is_fused && gated;
        }
    }
    let run_at = |i: usize| if nodes[i].is_fused { network.readers(i)[0] } else { i };
    let last_reader = |i: usize| network.readers(i).iter().map(|&reader| run_at(reader)).max().unwrap_or(i);
    let needed_until: Vec<usize> = (0..nodes.len()).map(last_reader).collect();
    nodes.iter_mut().zip(needed_until).for_each(|(node, until)| node.needed_until = until);
    nodes
}
