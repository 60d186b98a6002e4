//! Compares the engine with the reference, value by value.

use super::Engine;
use ndarray::{ArrayView4, Axis};
use rayon::prelude::*;

/// Holds the first value in which engine and reference differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The node's name.
    pub node: String,
    /// Position of the image among those that were compared.
    pub image: usize,
    /// Row, column and channel of the value.
    pub element: (usize, usize, usize),
    /// The reference's value.
    pub reference: i32,
    /// The engine's value.
    pub engine: i32,
}

impl Difference {
    /// Says where the difference is, for images that people call `what` and count from `first`.
    pub fn told(&self, what: &str, first: usize) -> String {
        let Self { node, image, element, reference, engine } = self;
        let image = first + image;
        format!(
            "node `{node}`, {what} {image}, element {element:?}: the reference has {reference}, the engine \
             {engine}"
        )
    }
}

impl Engine {
    /// Compares every node's output for `images` (batch × height × width × channels) with that of
    /// [`dq_net::Network::eval_nodes`]. Returns how many values are equal: all of them.
    ///
    /// # Errors
    /// If a value differs: the first one.
    ///
    /// # Panics
    /// If the images are not of the network's input shape.
    pub fn compare(&self, images: ArrayView4<u8>) -> Result<u64, Difference> {
        let fast = self.nodes(images);
        let slow: Vec<_> = (0..images.dim().0)
            .into_par_iter()
            .map(|i| self.network.eval_nodes(images.index_axis(Axis(0), i)))
            .collect();
        let mut compared = 0;
        for (image, nodes) in slow.iter().enumerate() {
            for (n, expected) in nodes.iter().enumerate() {
                let found = fast[n].index_axis(Axis(0), image);
                compared += expected.len() as u64;
                if let Some((element, &reference)) =
                    expected.indexed_iter().find(|&(at, &value)| found[at] != value)
                {
                    let node = self.network.nodes()[n].name.clone();
                    return Err(Difference { node, image, element, reference, engine: found[element] });
                }
            }
        }
        Ok(compared)
    }
}
