//! Chooses how a layer of real numbers or fixed point is multiplied, by a count of instructions.

use super::windows::Windows;
use super::winograd;
use crate::kernel::LANES;

/// Names how a whole layer is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Window by window.
    Windows,
    /// So many windows of a row at once, which fill more of a panel where outputs are few.
    Columns(usize),
    /// By points of tiles.
    Points,
}

/// Chooses the way of the fewest instructions, where a step of a product takes so many `taps`: the same for
/// every kernel.
pub(crate) fn way(windows: &Windows, taps: usize) -> Way {
    if windows.groups > 1 {
        return Way::Windows;
    }
    let columns = (2..=LANES / windows.output.channels)
        .filter_map(|columns| Some((windows.widened(columns)?.cost(taps), Way::Columns(columns))));
    let points = winograd::cost(windows, taps).map(|cost| (cost, Way::Points));
    let first = [(windows.cost(taps), Way::Windows)];
    let all = first.into_iter().chain(columns).chain(points);
    all.min_by_key(|(cost, _)| *cost).expect("windows at least").1
}
