//! Runs medians: the lower middle one of four neighbours.

use super::pass::{Kind, Pass, Site, where_open};
use super::window::Windows;
use dq_net::layer::Median;
use tch::Tensor;

/// Dimensions of rows and columns.
const AXES: [i64; 2] = [2, 3];

/// Holds nothing: a median has no parameters.
struct Neighbours;

impl Kind for Median {
    fn pass(&self, _: &Site) -> Box<dyn Pass> {
        Box::new(Neighbours)
    }
}

/// Returns `map` moved by one along `axis`; the first line stays and stands for the one before it.
fn before(map: &Tensor, axis: i64) -> Tensor {
    let lines = map.size()[axis as usize];
    Tensor::cat(&[map.narrow(axis, 0, 1), map.narrow(axis, 0, lines - 1)], axis)
}

/// Returns the slopes of a map whose lines moved as by [`before`].
fn back(slopes: &Tensor, axis: i64) -> Tensor {
    let lines = slopes.size()[axis as usize];
    let into = Windows::zeros(slopes);
    let _ = into.narrow(axis, 0, lines - 1).g_add_(&slopes.narrow(axis, 1, lines - 1));
    let _ = into.narrow(axis, 0, 1).g_add_(&slopes.narrow(axis, 0, 1));
    into
}

/// Returns the neighbours of each pixel: above to the left, above, to the left, and itself.
fn neighbours(map: &Tensor) -> [Tensor; 4] {
    let above = before(map, AXES[0]);
    [before(&above, AXES[1]), above, before(map, AXES[1]), map.shallow_clone()]
}

/// Returns the second smallest of four.
fn lower_middle([a, b, c, d]: &[Tensor; 4]) -> Tensor {
    a.minimum(b).maximum(&c.minimum(d)).minimum(&a.maximum(b).minimum(&c.maximum(d)))
}

impl Pass for Neighbours {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        lower_middle(&neighbours(inputs[0]))
    }

    /// Gives the slope to the first neighbour that is the median, in row-major order.
    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], _: usize) -> Tensor {
        let all = neighbours(inputs[0]);
        let median = lower_middle(&all);
        let mut is_left = median.ones_like().to_kind(tch::Kind::Bool);
        let [of_both, of_above, of_left, own] = all.map(|one| {
            let is_chosen = one.eq_tensor(&median).logical_and(&is_left);
            is_left = is_left.logical_and(&is_chosen.logical_not());
            where_open(slopes.shallow_clone(), &is_chosen)
        });
        let above = back(&of_both, AXES[1]) + of_above;
        back(&above, AXES[0]) + back(&of_left, AXES[1]) + own
    }
}
