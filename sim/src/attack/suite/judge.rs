//! Defines who judges: a network under attack, by its own label alone.

use crate::detector::Guard;
use crate::gradient::{GradientSource, WhiteBox};
use crate::report::Model;
use dq_net::layer::Logits;
use ndarray::{Array2, ArrayView1, ArrayView4};

/// A judge is a network under attack; its own label decides whether an attack succeeded.
pub trait Judge: GradientSource {
    /// Computes the label of each image (batch × height × width × channels), and whether its two largest
    /// scores tie.
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict>;

    /// Returns what a report says of the network.
    fn model(&self) -> Model;

    /// Returns what a report says of the network's detector, if it has one.
    fn guard(&self) -> Option<Guard> {
        None
    }
}

/// A circuit is an integer network under attack, whatever computes it.
pub trait Circuit: Judge {
    /// Computes the scores of a batch of images (batch × height × width × channels): batch × classes, equal to
    /// those of [`dq_net::Network::eval`].
    ///
    /// # Panics
    /// If the images are not of the network's input shape, or have levels that its input has not.
    fn scores(&self, images: ArrayView4<u8>) -> Array2<i32>;
}

/// Holds what a network says of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Class with the largest score, the lowest index on ties.
    pub label: usize,
    /// Whether another class has the same score, with a detector in either pass.
    pub tie: bool,
    /// The label of the squeezed image, where the network has a detector.
    pub squeezed: Option<usize>,
}

impl Verdict {
    /// Returns what an integer network without a detector says by its `scores`.
    pub fn of(scores: ArrayView1<i32>) -> Self {
        let label = Logits::label(scores.iter().copied());
        let tie = scores.iter().filter(|score| **score == scores[label]).count() > 1;
        Self { label, tie, squeezed: None }
    }

    /// Returns whether a detector flags the image.
    pub fn is_flagged(&self) -> bool {
        self.squeezed.is_some_and(|label| label != self.label)
    }
}

impl Judge for WhiteBox {
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict> {
        self.scores(images).rows().into_iter().map(Verdict::of).collect()
    }

    fn model(&self) -> Model {
        Model::of(self.network())
    }
}

impl Circuit for WhiteBox {
    fn scores(&self, images: ArrayView4<u8>) -> Array2<i32> {
        self.engine().scores(images)
    }
}
