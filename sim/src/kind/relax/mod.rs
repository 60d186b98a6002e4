//! Defines what a kind of layer answers about linear bounds from below: how one of a function of a node's
//! output becomes one of a function of its inputs, on a box of images. CROWN (Zhang, Weng, Chen, Hsieh,
//! Daniel, NeurIPS 2018) in whole numbers.

pub(super) mod lines;
pub(super) mod pools;
pub(super) mod shares;
pub(super) mod weights;

use super::Site;
use crate::rows::{Ends, Floor, Rows};
use crate::tensor::Tensor;
use std::sync::Arc;

/// Prepares a kind of layer for boxes of images.
pub(crate) trait Relax: Send + Sync {
    /// Prepares the node for one box, whose `inputs` and `output` lie between these ends.
    fn on<'a>(&'a self, site: &'a Site, inputs: &[&Arc<Ends>], output: &Arc<Ends>) -> Box<dyn Descend + 'a>;

    /// Returns the elements of the one input whose ends, were they tighter, would make these bounds tighter.
    fn loose(&self, _: &Site, _input: &Ends) -> Vec<usize> {
        vec![]
    }
}

/// Carries bounds from a node's output to its inputs, on one box.
pub(crate) trait Descend: Send + Sync {
    /// Returns rows for each input, and adds to `floors` (one per row), so that the sum of all is at most
    /// what `rows` are of the node's output, for every image of the box.
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows>;

    /// Turns what is free in these bounds towards what is best where the inputs have these values, by one of
    /// `parts` of the way. They hold whatever is chosen.
    fn turn(&mut self, _inputs: &[&Tensor], _parts: i64) {}

    /// Returns where a cut of the one input's elements would take most off what these bounds lose on the first of
    /// `rows`: that loss, the element, and the largest value of the lower part. It guides a search and proves
    /// nothing. None where nothing is lost, or no cut of one element helps.
    fn cut(&self, _rows: &Rows) -> Option<(f64, usize, i64)> {
        None
    }
}
