//! Defines what every kind of float layer answers: its forward and its backward pass in f32.

use crate::kernel::Kernel;
use dq_net::{FloatNetwork, Shape};

/// Describes the surroundings of one node: the instruction set that it runs on, and the shapes on either side
/// of it.
pub(super) struct Site {
    pub kernel: Kernel,
    /// Shape of its first input.
    pub from: Shape,
    pub to: Shape,
}

impl Site {
    /// Describes node `i` of `network`.
    pub fn new(network: &FloatNetwork, i: usize, kernel: Kernel) -> Self {
        let source = network.sources(i).first().copied().unwrap_or(i);
        Self { kernel, from: network.shape(source), to: network.shape(i) }
    }
}

/// Computes one prepared node in either direction. Values are batch × height × width × channels.
pub(super) trait Op: Send + Sync {
    /// Computes the output for `count` images.
    fn forward(&self, site: &Site, inputs: &[&[f32]], count: usize) -> Vec<f32>;

    /// Adds the gradient of one of the node's inputs to `into`.
    fn backward(&self, site: &Site, flow: &Flow, into: &mut [f32]);
}

/// Holds what flows back into a node.
pub(super) struct Flow<'a> {
    /// The slope of each value of the node's output.
    pub slopes: &'a [f32],
    /// The values of the input whose gradient is asked for, in the forward pass.
    pub input: &'a [f32],
    /// The number of that input.
    pub port: usize,
    /// Number of images in the batch.
    pub count: usize,
}
