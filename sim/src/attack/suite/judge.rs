//! Defines who judges: a network under attack, by its own label alone.

use crate::detector::Guard;
use crate::gradient::{GradientSource, WhiteBox};
use crate::report::Model;
use dq_net::layer::Logits;
use ndarray::{ArrayView1, ArrayView4};

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
    /// Returns whether a detector flags the image.
    pub fn is_flagged(&self) -> bool {
        self.squeezed.is_some_and(|label| label != self.label)
    }
}

impl Judge for WhiteBox {
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict> {
        let scores = self.engine().scores(images);
        let verdict = |row: ArrayView1<i32>| {
            let label = Logits::label(row.iter().copied());
            Verdict {
                label,
                tie: row.iter().filter(|score| **score == row[label]).count() > 1,
                squeezed: None,
            }
        };
        scores.rows().into_iter().map(verdict).collect()
    }

    fn model(&self) -> Model {
        Model {
            name: self.network().name.clone(),
            kind: "integer".into(),
            content_hash: dq_net::content_hash(self.network()),
        }
    }
}
