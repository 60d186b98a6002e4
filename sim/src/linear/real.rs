//! Runs Conv and Dense as linear maps on real numbers, forward and transposed, for the backward pass, float
//! networks and norms.

use super::way::{Way, way};
use super::windows::{Frame, Phase, Windows};
use super::winograd::{Points, Target, Winograd};
use crate::buffers::{self, Reused};
use crate::kernel::real::{self, Element, Packed};
use crate::kernel::winograd::{Gather, Spread};
use crate::kernel::{Kernel, Rows, Runs, Session};
use dq_net::Shape;
use dq_net::layer::window::Axis;
use ndarray::{ArrayView2, ArrayView4};

/// Holds the weights of one group of a map, and makes products of them.
pub(crate) trait Factor: Sized {
    /// The type of a weight.
    type Weight;
    /// The type of an element of the input.
    type Value: Copy;
    /// The type of input maps with their border.
    type Framed;
    /// The type of an element of the output.
    type Sum: Reused;

    /// Packs `weight(output, run, tap)`.
    fn pack(outputs: usize, runs: Runs, weight: impl Fn(usize, usize, usize) -> Self::Weight) -> Self;

    /// Gives maps their border.
    fn frame(frame: &Frame, values: &[Self::Value]) -> Self::Framed;

    /// Takes them back.
    fn give(framed: Self::Framed);

    /// Computes `out[r·stride + o]`: the sum for output `o` of the window at `rows[r]`.
    fn product(&self, session: &mut Session, framed: &Self::Framed, rows: &[usize], out: Rows<Self::Sum>);

    /// Says how a whole layer is multiplied.
    fn way(_windows: &Windows) -> Way {
        Way::Windows
    }

    /// Prepares a layer of `weight(output, row, column, channel)` by points of tiles, if it can go so.
    fn by_points(
        _windows: &Windows,
        _weight: impl Fn(usize, usize, usize, usize) -> Self::Weight,
    ) -> Option<Box<dyn ByPoints<Self>>> {
        None
    }
}

/// Computes a layer by points of tiles.
pub(crate) trait ByPoints<F: Factor>: Send + Sync {
    /// Returns how its input lies in memory.
    fn windows(&self) -> &Windows;

    /// Computes `count` maps.
    fn run(&self, session: &mut Session, framed: &F::Framed, count: usize, out: &mut [F::Sum]);
}

impl<T> ByPoints<Packed<T>> for Winograd<Packed<T>, T, T::Sum>
where
    T: Element + Spread + Points,
    T::Sum: Gather,
{
    fn windows(&self) -> &Windows {
        self.windows()
    }

    fn run(&self, session: &mut Session, framed: &Vec<T>, count: usize, out: &mut [T::Sum]) {
        self.run(session, framed, count, Target::Map(out));
    }
}

impl<T> Factor for Packed<T>
where
    T: Element + Spread + Points,
    T::Sum: Gather,
{
    type Weight = T;
    type Value = T;
    type Framed = Vec<T>;
    type Sum = T::Sum;

    fn pack(outputs: usize, runs: Runs, weight: impl Fn(usize, usize, usize) -> T) -> Self {
        Packed::new(outputs, runs, weight)
    }

    fn frame(frame: &Frame, values: &[T]) -> Vec<T> {
        frame.lay(values, T::default(), |v| v)
    }

    fn give(framed: Vec<T>) {
        buffers::give(framed);
    }

    fn product(&self, session: &mut Session, framed: &Vec<T>, rows: &[usize], out: Rows<T::Sum>) {
        real::product(session.kernel(), framed, rows, self, out);
    }

    fn way(windows: &Windows) -> Way {
        way(windows, T::TAPS)
    }

    fn by_points(
        windows: &Windows,
        weight: impl Fn(usize, usize, usize, usize) -> T,
    ) -> Option<Box<dyn ByPoints<Self>>> {
        Some(Box::new(Winograd::<Self, T, T::Sum>::real(windows, weight)?))
    }
}

/// Holds a linear map over windows: forward, or the transpose of one.
pub(crate) struct LinearMap<F: Factor> {
    parts: Vec<Part<F>>,
    output: Shape,
}

/// Says how values are multiplied by weights.
enum Product<F> {
    /// Window by window, with the weights of each group.
    Windows(Vec<F>),
    /// By points of tiles.
    Points(Box<dyn ByPoints<F>>),
}

/// Holds a linear map in f32, f64 or 16-bit fixed point.
pub(crate) type RealLinear<T> = LinearMap<Packed<T>>;

/// Holds a part of a map, which gives all of the output, or one phase of it.
struct Part<F: Factor> {
    windows: Windows,
    product: Product<F>,
    /// Shape of the whole output.
    output: Shape,
    /// Row and column of the part's first pixel in the output, and the distance from one to the next.
    first: [usize; 2],
    apart: [usize; 2],
}

impl<F: Factor> LinearMap<F>
where
    F::Weight: Copy + Default,
{
    /// Prepares a convolution; `weights` is output × row × column × input channel of the group.
    pub fn conv(
        weights: ArrayView4<F::Weight>,
        input: Shape,
        output: Shape,
        axes: (Axis, Axis),
        groups: usize,
    ) -> Self {
        let windows = Windows::conv(input, output, axes, groups);
        let per_group = windows.group_outputs();
        Self::whole(windows, axes, |group, o, y, x, c| weights[[group * per_group + o, y, x, c]])
    }

    /// Prepares the transpose of that convolution.
    pub fn conv_transposed(
        weights: ArrayView4<F::Weight>,
        input: Shape,
        output: Shape,
        axes: (Axis, Axis),
        groups: usize,
    ) -> Self {
        let strides = [axes.0.stride, axes.1.stride];
        let phases =
            if groups == 1 && strides != [1, 1] { Windows::phases(input, output, axes) } else { None };
        if let Some(phases) = phases {
            let part = |(windows, phase): (Windows, Phase)| {
                let (rows, columns) = windows.kernel();
                let last = [rows - 1, columns - 1];
                let tap = |axis: usize, at: usize| phase.remainder[axis] + (last[axis] - at) * strides[axis];
                let groups = pack(&windows, columns, |_, c, y, x, o| weights[[o, tap(0, y), tap(1, x), c]]);
                let product = Product::Windows(groups);
                Part { windows, product, output: input, first: phase.first, apart: strides }
            };
            return Self { parts: phases.into_iter().map(part).collect(), output: input };
        }
        let windows = Windows::transposed(input, output, axes, groups);
        let (rows, columns) = (axes.0.kernel - 1, axes.1.kernel - 1);
        let per_group = output.channels / groups;
        Self::whole(windows, axes, |group, c, y, x, o| {
            weights[[group * per_group + o, rows - y, columns - x, c]]
        })
    }

    /// Prepares a fully connected layer; `weights` is output × input element.
    pub fn dense(weights: ArrayView2<F::Weight>) -> Self {
        let (outputs, elements) = weights.dim();
        let windows = Windows::dense(Shape::new(1, 1, elements), outputs);
        let unit = Axis { kernel: 1, stride: 1, before: 0, after: 0 };
        Self::whole(windows, (unit, unit), |_, o, _, _, i| weights[[o, i]])
    }

    fn whole(
        windows: Windows,
        axes: (Axis, Axis),
        weight: impl Fn(usize, usize, usize, usize, usize) -> F::Weight,
    ) -> Self {
        let whole = |windows: Windows, product: Product<F>| {
            let output = windows.output;
            let part = Part { windows, product, output, first: [0, 0], apart: [1, 1] };
            Self { parts: vec![part], output }
        };
        let way = F::way(&windows);
        if let Way::Columns(columns) = way
            && let Some(wide) = windows.widened(columns)
        {
            let (outputs, kernel) = (windows.output.channels, axes.1.kernel);
            let groups = pack(&wide, kernel + columns - 1, |group, o, y, x, c| {
                let within = x.checked_sub(o / outputs).filter(|&x| x < kernel);
                within.map_or(F::Weight::default(), |x| weight(group, o % outputs, y, x, c))
            });
            return whole(wide, Product::Windows(groups));
        }
        let points = (way == Way::Points).then(|| F::by_points(&windows, |o, y, x, c| weight(0, o, y, x, c)));
        match points.flatten() {
            Some(by_points) => whole(by_points.windows().clone(), Product::Points(by_points)),
            None => {
                let groups = pack(&windows, axes.1.kernel, weight);
                whole(windows, Product::Windows(groups))
            }
        }
    }

    /// Applies the map to `count` images.
    pub fn run(&self, kernel: Kernel, input: &[F::Value], count: usize) -> Vec<F::Sum> {
        let mut session = Session::new(kernel);
        let mut out = buffers::stale(self.output.len() * count);
        for part in &self.parts {
            part.run(&mut session, input, count, &mut out);
        }
        out
    }
}

impl<F: Factor> Part<F> {
    fn run(&self, session: &mut Session, input: &[F::Value], count: usize, out: &mut [F::Sum]) {
        let framed = F::frame(&self.windows.frame, input);
        match &self.product {
            Product::Windows(groups) => self.by_windows(groups, session, (&framed, count), out),
            Product::Points(by_points) => by_points.run(session, &framed, count, out),
        }
        F::give(framed);
    }

    /// Computes `count` maps window by window.
    fn by_windows(
        &self,
        groups: &[F],
        session: &mut Session,
        (framed, count): (&F::Framed, usize),
        out: &mut [F::Sum],
    ) {
        let tile = session.kernel().windows();
        let channels = self.output.channels;
        let pixels = self.windows.pixels() * count;
        let mut starts = Vec::with_capacity(tile);
        let mut compute = |first: usize, tile: &mut [F::Sum]| {
            self.windows.starts(first..first + tile.len() / channels, &mut starts);
            for (group, weights) in groups.iter().enumerate() {
                let tile = &mut tile[group * self.windows.group_outputs()..];
                weights.product(session, framed, &starts, Rows { sums: tile, stride: channels });
            }
        };
        if self.apart == [1, 1] {
            out.chunks_mut(tile * channels).enumerate().for_each(|(t, sums)| compute(t * tile, sums));
            return;
        }
        let mut sums = buffers::stale(tile * channels);
        for first in (0..pixels).step_by(tile) {
            let rows = tile.min(pixels - first);
            compute(first, &mut sums[..rows * channels]);
            for (row, sums) in sums[..rows * channels].chunks_exact(channels).enumerate() {
                let to = self.place(first + row) * channels;
                out[to..to + channels].copy_from_slice(sums);
            }
        }
        buffers::give(sums);
    }

    /// Returns the output's pixel that pixel `at` of this part is, both counted through all images.
    fn place(&self, at: usize) -> usize {
        let (pixels, width) = (self.windows.pixels(), self.windows.output.width);
        let (image, y, x) = (at / pixels, at % pixels / width, at % width);
        let (y, x) = (self.first[0] + y * self.apart[0], self.first[1] + x * self.apart[1]);
        (image * self.output.height + y) * self.output.width + x
    }
}

/// Packs the weights of each group; the kernel has so many `columns`.
fn pack<F: Factor>(
    windows: &Windows,
    columns: usize,
    weight: impl Fn(usize, usize, usize, usize, usize) -> F::Weight,
) -> Vec<F> {
    let group = |group: usize| {
        let weight = |o: usize, s: usize, k: usize| {
            let (y, x, c) = windows.tap(s, k, columns);
            weight(group, o, y, x, c)
        };
        F::pack(windows.group_outputs(), windows.group_runs(group), weight)
    };
    (0..windows.groups).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    /// ⟨A·x, u⟩ = ⟨x, Aᵀ·u⟩, in integers that f64 holds exactly, for every stride and padding of a few
    /// kernels.
    #[test]
    fn the_transpose_is_the_transpose_whatever_the_stride() {
        let (mut by_phases, mut by_columns) = (0, 0);
        let number = |i: usize| ((i * 7_919 + 13) % 23) as f64 - 11.0;
        for (kernel, stride, before, after, side) in (1..5)
            .flat_map(|kernel| (1..4).map(move |stride| (kernel, stride)))
            .flat_map(|(k, s)| [(0, 0), (k / 2, k / 2), (0, k - 1)].map(|(b, a)| (k, s, b, a)))
            .flat_map(|(k, s, b, a)| [7, 8].map(|side| (k, s, b, a, side)))
        {
            let axis = Axis { kernel, stride, before, after };
            let outputs = axis.output(side, "test").unwrap();
            let (input, output) = (Shape::new(side, side, 3), Shape::new(outputs, outputs, 5));
            let weights = Array4::from_shape_fn((5, kernel, kernel, 3), |(o, y, x, c)| {
                number(o + y * 5 + x * 31 + c * 97)
            });
            let forward = RealLinear::<f64>::conv(weights.view(), input, output, (axis, axis), 1);
            let back = RealLinear::<f64>::conv_transposed(weights.view(), input, output, (axis, axis), 1);
            by_phases += usize::from(back.parts.len() > 1);
            by_columns += usize::from(back.parts[0].windows.output.channels > 3);
            let x: Vec<f64> = (0..2 * input.len()).map(number).collect();
            let u: Vec<f64> = (0..2 * output.len()).map(|i| number(i + 5)).collect();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let (ax, atu) = (forward.run(Kernel::Portable, &x, 2), back.run(Kernel::Portable, &u, 2));
            assert_eq!(dot(&ax, &u), dot(&x, &atu), "{axis:?} on {side}");
        }
        assert!(by_phases > 10, "{by_phases} by phases");
        assert!(by_columns > 3, "{by_columns} by columns");
    }
}
