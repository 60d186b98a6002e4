//! Views the windows of pools and convolutions, tap by tap. Nothing is padded here.

use tch::Tensor;

/// Describes windows over a map of `height` × `width`.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// Pixels from one window to the next, down and across.
    pub stride: [usize; 2],
    /// Rows and columns of the output.
    pub output: [usize; 2],
}

impl Windows {
    /// Returns the number of taps of a window.
    pub fn len(&self) -> usize {
        self.window[0] * self.window[1]
    }

    /// Views, for each tap in row-major order, the elements of `map` under it: one per window.
    pub fn taps(&self, map: &Tensor) -> impl Iterator<Item = Tensor> + use<> {
        let Self { window, stride, output } = *self;
        let along = move |map: &Tensor, axis: usize, tap: usize| {
            let (first, step) = (tap as i64, stride[axis] as i64);
            let end = first + step * (output[axis] as i64 - 1) + 1;
            map.slice(axis as i64 - 2, first, end, step)
        };
        let map = map.shallow_clone();
        let places = (0..window[0]).flat_map(move |row| (0..window[1]).map(move |column| (row, column)));
        places.map(move |(row, column)| along(&along(&map, 0, row), 1, column))
    }

    /// Adds, for each tap in row-major order, its slopes to the elements of `into` under it.
    pub fn add(&self, into: &Tensor, slopes: impl Iterator<Item = Tensor>) {
        self.taps(into).zip(slopes).for_each(|(mut to, slopes)| {
            let _ = to.g_add_(&slopes);
        });
    }

    /// Returns a map of zeros of the size of `map`, for slopes.
    pub fn zeros(map: &Tensor) -> Tensor {
        Tensor::zeros(map.size(), (tch::Kind::Float, map.device()))
    }
}
