//! Conv and Dense as real linear maps, forward and transposed: the backward pass, float networks and norms.

use crate::kernel::Kernel;
use crate::kernel::real::{PackedReal, Real, product};
use crate::windows::Windows;
use dq_net::Shape;
use dq_net::layer::window::Axis;
use ndarray::{ArrayView2, ArrayView4};

/// Pixels computed at a time.
const TILE: usize = 48;

/// A linear map over windows: forward, or the transpose of one.
pub(crate) struct RealLinear<T> {
    windows: Windows,
    groups: Vec<(Vec<usize>, PackedReal<T>)>,
}

impl<T: Real> RealLinear<T> {
    /// A convolution; `weights`: output × row × column × input channel of the group.
    pub fn conv(
        weights: ArrayView4<T>,
        input: Shape,
        output: Shape,
        axes: (Axis, Axis),
        groups: usize,
    ) -> Self {
        let windows = Windows::conv(input, output, axes, groups);
        let per_group = windows.group_outputs();
        Self::pack(windows, axes, |group, o, y, x, c| weights[[group * per_group + o, y, x, c]])
    }

    /// The transpose of that convolution.
    pub fn conv_transposed(
        weights: ArrayView4<T>,
        input: Shape,
        output: Shape,
        axes: (Axis, Axis),
        groups: usize,
    ) -> Self {
        let windows = Windows::transposed(input, output, axes, groups);
        let (rows, columns) = (axes.0.kernel - 1, axes.1.kernel - 1);
        let per_group = output.channels / groups;
        Self::pack(windows, axes, |group, c, y, x, o| {
            weights[[group * per_group + o, rows - y, columns - x, c]]
        })
    }

    /// A fully connected layer; `weights`: output × input element.
    pub fn dense(weights: ArrayView2<T>) -> Self {
        let (outputs, elements) = weights.dim();
        let windows = Windows::dense(Shape::new(1, 1, elements), outputs);
        let unit = Axis { kernel: 1, stride: 1, before: 0, after: 0 };
        Self::pack(windows, (unit, unit), |_, o, _, _, i| weights[[o, i]])
    }

    fn pack(
        windows: Windows,
        axes: (Axis, Axis),
        weight: impl Fn(usize, usize, usize, usize, usize) -> T,
    ) -> Self {
        let groups = (0..windows.groups)
            .map(|group| {
                let weight = |o: usize, s: usize, k: usize| {
                    let (y, x, c) = windows.tap(s, k, axes.1.kernel);
                    weight(group, o, y, x, c)
                };
                let packed =
                    PackedReal::new(windows.group_outputs(), windows.run_count(), windows.run, weight);
                (windows.group_runs(group), packed)
            })
            .collect();
        Self { windows, groups }
    }

    /// Applies the map to `count` images.
    pub fn run(&self, kernel: Kernel, input: &[T], count: usize) -> Vec<T> {
        let mut framed = self.windows.frame.buffer(count);
        self.windows.frame.place(input, &mut framed, |v| v);
        let channels = self.windows.output.channels;
        let pixels = self.windows.pixels() * count;
        let mut out = vec![T::default(); pixels * channels];
        let mut starts = Vec::with_capacity(TILE);
        for (t, tile) in out.chunks_mut(TILE * channels).enumerate() {
            self.windows.starts(t * TILE..pixels.min((t + 1) * TILE), &mut starts);
            for (group, (runs, weights)) in self.groups.iter().enumerate() {
                let tile = &mut tile[group * self.windows.group_outputs()..];
                product(kernel, &framed, &starts, runs, weights, tile, channels);
            }
        }
        out
    }
}
