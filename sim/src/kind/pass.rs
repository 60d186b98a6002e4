//! Defines what a kind of layer answers about one of its nodes, and what passes through a node in either
//! direction.

use super::relax::Relax;
use crate::kernel::Kernel;
use crate::linear::{Linear, Precision};
use crate::region::Region;
use crate::tensor::Tensor;
use dq_net::float::layer as float;
use dq_net::layer::window::Axis;
use dq_net::{FloatLayer, Network, Wire};
use ndarray::ArrayView4;

/// Describes the surroundings of one node: the instruction set that it runs on, and the wires on either side
/// of it.
#[derive(Clone)]
pub(crate) struct Site {
    pub kernel: Kernel,
    /// One wire per input.
    pub inputs: Vec<Wire>,
    pub output: Wire,
}

impl Site {
    /// Describes node `i` of `network`.
    pub fn new(network: &Network, i: usize, kernel: Kernel) -> Self {
        let inputs = network.sources(i).iter().map(|&source| network.wire(source)).collect();
        Self { kernel, inputs, output: network.wire(i) }
    }

    /// Returns the wire of the first input.
    pub fn input(&self) -> Wire {
        self.inputs[0]
    }
}

/// Answers for a kind of layer. Bounds and linear bounds have no default: a kind that is silent about them
/// does not compile, since a wrong guess would make certificates false.
pub(crate) trait Kind {
    /// Prepares the node's forward pass.
    fn forward(&self, site: &Site) -> Box<dyn Forward>;

    /// Says how bounds of the output follow from bounds of the inputs, soundly for the exact integers.
    fn bounds(&self, site: &Site) -> Bounds;

    /// Says how linear bounds go back through the node, soundly for the exact integers; none where they end,
    /// at the images.
    fn relaxation(&self, site: &Site) -> Option<Box<dyn Relax>>;

    /// Prepares the node's straight-through backward pass, summed in numbers of `precision`.
    fn backward(&self, site: &Site, precision: Precision) -> Box<dyn Backward>;

    /// Returns what the node would compute if nothing were rounded.
    fn twin(&self, site: &Site) -> Twin;

    /// Says which pixels of the output some pixels of the inputs reach: all of them, unless the kind knows
    /// better.
    fn locality(&self, _site: &Site) -> Locality {
        Locality::Whole
    }

    /// Returns the gradient with respect to each weight (row-major), given the node's `input` and the slopes
    /// of its output, summed over all images; it is empty for a kind without weights.
    fn weight_slopes(&self, _site: &Site, _input: &Tensor, _slopes: &[f32]) -> Vec<f32> {
        vec![]
    }
}

/// Computes one node's forward pass.
pub(crate) trait Forward: Send + Sync {
    /// Computes the output for `count` images.
    fn run(&self, site: &Site, inputs: &[Feed], count: usize) -> Tensor;

    /// Returns the layer whose accumulators can be computed tile by tile, where the node is one.
    fn linear(&self) -> Option<&Linear> {
        None
    }

    /// Returns whether the node takes its input tile by tile, so that a layer with weights before it need not
    /// be stored.
    fn reads_tiles(&self) -> bool {
        false
    }

    /// Returns the node as one that says where slopes pass, if it can: what is before it need not be stored
    /// for the backward pass then.
    fn gate(&self) -> Option<&dyn Gate> {
        None
    }
}

/// Computes one node's forward pass, and where slopes pass back through it.
pub(crate) trait Gate {
    /// Computes the output for `count` images, and for each element of the input whether a slope passes (1)
    /// or not (0), which the backward pass is told as [`Flow::open`].
    fn run(&self, site: &Site, input: &Feed, count: usize) -> (Tensor, Vec<u8>);
}

/// Says which pixels of a node's output depend on which pixels of its inputs.
pub(crate) enum Locality {
    /// Any pixel may depend on any other.
    Whole,
    /// A pixel depends on the pixels in the same place alone, and the forward pass runs on parts of maps.
    Pixels,
    /// A pixel depends on a window of the one input.
    Windows {
        /// Rows and columns of the windows.
        axes: (Axis, Axis),
        /// Computes some pixels of the output.
        part: Box<dyn Part>,
    },
}

/// Computes a part of one node's output.
pub(crate) trait Part: Send + Sync {
    /// Computes the pixels `region` of the output, of one image, from the whole input.
    fn run(&self, site: &Site, input: &Tensor, region: &Region) -> Tensor;
}

/// Holds what a node reads for a block of images.
pub(crate) enum Feed<'a> {
    /// The images themselves, for the Input.
    Images(ArrayView4<'a, u8>),
    /// Another node's values.
    Values(&'a Tensor),
    /// The accumulators of a layer with weights, not stored but computed from that layer's own input when
    /// they are read.
    Tiles(&'a Linear, &'a Tensor),
}

impl Feed<'_> {
    /// Returns the values.
    ///
    /// # Panics
    /// If they are not stored, which the engine leaves out only where [`Forward::reads_tiles`] allows it.
    pub fn values(&self) -> &Tensor {
        match self {
            Feed::Values(values) => values,
            Feed::Images(_) | Feed::Tiles(..) => unreachable!("a value is kept until its last reader"),
        }
    }

    /// Hands `sink(first element, values)` all values in order, as one piece or tile by tile.
    pub fn tiles(&self, kernel: Kernel, count: usize, mut sink: impl FnMut(usize, &[i32])) {
        match self {
            Feed::Tiles(linear, input) => {
                linear.run(kernel, input, count, |first, tile| sink(first * linear.channels(), tile));
            }
            _ => sink(0, &self.values().words()),
        }
    }
}

/// Says how the bounds of a node's output follow from those of its inputs.
pub(crate) enum Bounds {
    /// No output falls where an input rises: the forward pass of all lower ends gives the lower ends, and of
    /// all upper ends the upper ones.
    Rising,
    /// Each output depends on one input alone and rises or falls with it, depending on the channel: the
    /// forward passes of both ends are put in order.
    Monotone,
    /// Every output rises with each input for which this is true, and falls with the others: the lower ends
    /// come from the lower ends of the former and the upper ends of the latter.
    Directed(Vec<bool>),
    /// The node is a layer with weights, as two layers: one of the positive weights, whose output rises with
    /// its input, and one of the negative weights, whose output falls.
    Signed(Box<[Linear; 2]>),
    /// The node is a layer with weights, as two layers: itself, of the sums of both ends, and one of the
    /// weights' sizes, of their differences. Half their difference and half their sum are the ends: half as
    /// many products, or three quarters where sums of both ends are no bytes.
    Centred(Box<[Linear; 2]>),
}

/// Computes one node's backward pass.
pub(crate) trait Backward: Send + Sync {
    /// Adds the gradient of one of the node's inputs to `into`.
    fn run(&self, site: &Site, flow: &Flow, into: &mut [f32]);

    /// Computes the gradient of one of the node's inputs, which has `length` elements: what [`Backward::run`]
    /// adds to zeros, but for the sign of a zero.
    fn alone(&self, site: &Site, flow: &Flow, length: usize) -> Vec<f32> {
        let mut into = vec![0.0; length];
        self.run(site, flow, &mut into);
        into
    }
}

/// Holds what flows back into a node.
pub(crate) struct Flow<'a> {
    /// The slope of each value of the node's output.
    pub slopes: &'a [f32],
    /// The values of the node's inputs in the forward pass; empty where `open` says what is needed of them.
    pub inputs: &'a [&'a Tensor],
    /// Where slopes pass, of a node that is a [`Gate`].
    pub open: Option<&'a [u8]>,
    /// The input whose gradient is asked for.
    pub port: usize,
    /// Number of images in the batch.
    pub count: usize,
}

impl Flow<'_> {
    /// Returns the values of the input whose gradient is asked for.
    pub fn values(&self) -> &Tensor {
        self.inputs[self.port]
    }
}

/// Computes the backward pass of a node whose output moves as much as its input, times a factor.
pub(crate) struct Through(pub f32);

impl Backward for Through {
    fn run(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        into.iter_mut().zip(flow.slopes).for_each(|(to, slope)| *to += slope * self.0);
    }
}

/// Holds what stands for a node in the float twin of its network.
pub(crate) struct Twin {
    /// The layer that each input passes before; empty where none does.
    pub before: Vec<FloatLayer>,
    /// One layer or several, each of which reads the one before it.
    pub layers: Vec<FloatLayer>,
}

impl Twin {
    /// Makes a twin of one layer alone.
    pub fn one(layer: FloatLayer) -> Self {
        Self::chain(vec![layer])
    }

    /// Makes a twin of layers that follow one another.
    pub fn chain(layers: Vec<FloatLayer>) -> Self {
        Self { before: vec![], layers }
    }

    /// Returns a layer that multiplies each of `channels` channels by `factor`.
    pub fn times(factor: f64, channels: usize) -> FloatLayer {
        FloatLayer::Affine(float::Affine { scale: vec![factor as f32; channels], bias: vec![0.0; channels] })
    }
}
