//! Says where the windows of a convolution lie in a bordered copy of its input, for the integer and float
//! forward passes, the backward pass and the norms. Never holds weights.
//!
//! Strided convolutions pass gradients by the phases of the stride, without the zeros between them, in
//! the same order of summation.

use crate::buffers::{self, Reused};
use crate::kernel::{LANES, Runs};
use dq_net::Shape;
use dq_net::layer::window::Axis;
use std::ops::Range;

/// Number of elements behind a bordered map that a kernel may read past its last run (their weights are
/// zero).
pub(super) const SLACK: usize = 64;

/// Places a feature map inside a larger one: pixel (y, x) goes to row `top + y·step`, column `left + x·step`.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub source: Shape,
    height: usize,
    width: usize,
    top: usize,
    left: usize,
    step: [usize; 2],
}

impl Frame {
    /// Returns the elements of one bordered map.
    pub fn len(&self) -> usize {
        self.height * self.width * self.source.channels
    }

    /// Returns the elements of a row of a bordered map.
    pub fn row(&self) -> usize {
        self.width * self.source.channels
    }

    /// Returns a zeroed buffer for `count` bordered maps.
    pub fn buffer<T: Clone + Default>(&self, count: usize) -> Vec<T> {
        vec![T::default(); count * self.len() + SLACK]
    }

    /// Returns a buffer for `count` maps whose borders hold pixels like `border`, a value per channel.
    pub fn bordered<T: Clone + Default + PartialEq>(&self, count: usize, border: &[T]) -> Vec<T> {
        if border.iter().all(|value| *value == T::default()) {
            return self.buffer(count);
        }
        let pixels = count * self.height * self.width;
        let mut buffer = Vec::with_capacity(count * self.len() + SLACK);
        (0..pixels).for_each(|_| buffer.extend_from_slice(border));
        buffer.resize(count * self.len() + SLACK, T::default());
        buffer
    }

    /// Returns the maps `source` (`source[i]` → `convert(source[i])`) with a border of one value.
    pub fn lay<S: Copy, T: Reused>(&self, source: &[S], border: T, convert: impl Fn(S) -> T) -> Vec<T> {
        let count = source.len() / self.source.len();
        let mut buffer = buffers::stale(count * self.len() + SLACK);
        let (maps, slack) = buffer.split_at_mut(count * self.len());
        slack.fill(T::default());
        maps.chunks_exact_mut(self.len()).for_each(|map| self.edge(map, border));
        self.place(source, &mut buffer, convert);
        buffer
    }

    /// Fills what maps leave free.
    fn edge<T: Copy>(&self, map: &mut [T], border: T) {
        if self.step != [1, 1] {
            return map.fill(border);
        }
        let (above, rest) = map.split_at_mut(self.top * self.row());
        let (rows, below) = rest.split_at_mut(self.source.height * self.row());
        above.fill(border);
        below.fill(border);
        let (left, width) = (self.left * self.source.channels, self.source.width * self.source.channels);
        for row in rows.chunks_exact_mut(self.row()) {
            row[..left].fill(border);
            row[left + width..].fill(border);
        }
    }

    /// Copies `count` maps (`source[i]` → `convert(source[i])`) into `buffer`, whose border is there already.
    #[inline(always)]
    pub fn place<S: Copy, T>(&self, source: &[S], buffer: &mut [T], convert: impl Fn(S) -> T) {
        let channels = self.source.channels;
        for (image, map) in source.chunks_exact(self.source.len()).enumerate() {
            for (y, row) in map.chunks_exact(self.source.width * channels).enumerate() {
                let start =
                    image * self.len() + ((self.top + y * self.step[0]) * self.width + self.left) * channels;
                if self.step[1] == 1 {
                    let to = &mut buffer[start..start + row.len()];
                    to.iter_mut().zip(row).for_each(|(to, &from)| *to = convert(from));
                    continue;
                }
                for (x, pixel) in row.chunks_exact(channels).enumerate() {
                    let at = start + x * self.step[1] * channels;
                    let to = &mut buffer[at..at + channels];
                    to.iter_mut().zip(pixel).for_each(|(to, &from)| *to = convert(from));
                }
            }
        }
    }
}

/// Describes the pixels of the input that one phase of a transposed convolution gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    /// Row and column of its first pixel; the next ones are a stride apart.
    pub first: [usize; 2],
    /// Row and column of its first tap in the kernel; the next ones are a stride apart.
    pub remainder: [usize; 2],
}

/// Describes one axis of a phase: inputs `first + n·stride` get gradients through taps `remainder +
/// j·stride`.
struct Line {
    remainder: usize,
    first: usize,
    count: usize,
    taps: usize,
    /// Number of zeros before the first gradient.
    border: usize,
}

impl Line {
    fn new(axis: Axis, remainder: usize, length: usize, outputs: usize) -> Option<Line> {
        let Axis { kernel, stride, before, .. } = axis;
        let taps = kernel.checked_sub(remainder).filter(|&left| left > 0)?.div_ceil(stride);
        // Input y = q·stride + remainder − before gets gradients q − taps + 1 ..= q.
        let q = before.saturating_sub(remainder).div_ceil(stride);
        let first = q * stride + remainder - before;
        let count = length.checked_sub(first).filter(|&left| left > 0)?.div_ceil(stride);
        let border = (taps - 1).checked_sub(q)?;
        let whole = border + outputs < count + taps;
        whole.then_some(Line { remainder, first, count, taps, border })
    }
}

/// Describes the windows of one layer: rows × runs of consecutive elements.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    pub frame: Frame,
    pub output: Shape,
    pub groups: usize,
    /// Runs of a window of group 0, as offsets from the window's start.
    runs: Vec<usize>,
    /// Number of elements in a run.
    run: usize,
    stride: [usize; 2],
}

impl Windows {
    /// Lays out the windows of a convolution from `input` to `output`.
    pub fn conv(input: Shape, output: Shape, axes: (Axis, Axis), groups: usize) -> Self {
        let (rows, columns) = axes;
        let frame = Frame {
            source: input,
            height: input.height + rows.before + rows.after,
            width: input.width + columns.before + columns.after,
            top: rows.before,
            left: columns.before,
            step: [1, 1],
        };
        Self::over(frame, output, [rows.kernel, columns.kernel], [rows.stride, columns.stride], groups)
    }

    /// Lays out one window over the whole map.
    pub fn dense(input: Shape, outputs: usize) -> Self {
        let flat = Shape::new(1, 1, input.len());
        let unit = Axis { kernel: 1, stride: 1, before: 0, after: 0 };
        Self::conv(flat, Shape::new(1, 1, outputs), (unit, unit), 1)
    }

    /// Lays out the windows of the transposed operator: from gradients of `output` to gradients of `input`.
    /// Kernels are flipped: tap (i, j) here is tap (rows − 1 − i, columns − 1 − j) of the forward window.
    pub fn transposed(input: Shape, output: Shape, axes: (Axis, Axis), groups: usize) -> Self {
        let (rows, columns) = axes;
        let frame = Frame {
            source: output,
            height: input.height + rows.kernel - 1,
            width: input.width + columns.kernel - 1,
            top: rows.kernel - 1 - rows.before,
            left: columns.kernel - 1 - columns.before,
            step: [rows.stride, columns.stride],
        };
        Self::over(frame, input, [rows.kernel, columns.kernel], [1, 1], groups)
    }

    /// Lays out the same by the phases of the stride, which leave out the zeros between gradients: one per
    /// remainder of the input's position. Returns none where a phase has no tap, or would read only a part of
    /// the gradients.
    pub fn phases(input: Shape, output: Shape, axes: (Axis, Axis)) -> Option<Vec<(Windows, Phase)>> {
        let (rows, columns) = axes;
        let lines = |axis: Axis, length: usize, outputs: usize| -> Option<Vec<Line>> {
            (0..axis.stride).map(|remainder| Line::new(axis, remainder, length, outputs)).collect()
        };
        let down = lines(rows, input.height, output.height)?;
        let across = lines(columns, input.width, output.width)?;
        let phase = |y: &Line, x: &Line| {
            let frame = Frame {
                source: output,
                height: y.count + y.taps - 1,
                width: x.count + x.taps - 1,
                top: y.border,
                left: x.border,
                step: [1, 1],
            };
            let shape = Shape::new(y.count, x.count, input.channels);
            let phase = Phase { first: [y.first, x.first], remainder: [y.remainder, x.remainder] };
            (Self::over(frame, shape, [y.taps, x.taps], [1, 1], 1), phase)
        };
        Some(down.iter().flat_map(|y| across.iter().map(move |x| phase(y, x))).collect())
    }

    /// Lays out the same with a border that whole tiles of 2×2 outputs need. Returns none where the layer is not
    /// 3×3 of stride 1 and ungrouped.
    pub fn tiled(&self) -> Option<Self> {
        let fits = self.groups == 1 && self.kernel() == (3, 3) && self.stride == [1, 1];
        let whole = |length: usize| length.next_multiple_of(2) + 2;
        let frame = Frame {
            height: whole(self.output.height),
            width: whole(self.output.width),
            ..self.frame.clone()
        };
        (fits && frame.step == [1, 1]).then(|| Self::over(frame, self.output, [3, 3], [1, 1], 1))
    }

    /// Counts the instructions of an ungrouped layer's products on AVX-512, where a step takes so many
    /// `taps`: half again as many as there are steps, for loads.
    pub fn cost(&self, taps: usize) -> usize {
        self.pixels() * self.output.channels.div_ceil(LANES) * self.runs.len() * self.run.div_ceil(taps) * 3
    }

    /// Lays out the same with windows that give `columns` pixels of a row at once: output `n·outputs + o` is
    /// output `o` of pixel `n`, whose kernel begins `n` columns to the right. Returns none where the layer is
    /// grouped or strided, or rows do not divide.
    pub fn widened(&self, columns: usize) -> Option<Self> {
        let fits = self.groups == 1 && self.stride == [1, 1] && self.frame.step == [1, 1];
        (fits && self.output.width.is_multiple_of(columns)).then(|| {
            let Shape { height, width, channels } = self.output;
            let output = Shape::new(height, width / columns, channels * columns);
            let (rows, across) = self.kernel();
            Self::over(self.frame.clone(), output, [rows, across + columns - 1], [1, columns], 1)
        })
    }

    /// Returns the number of tiles of 2×2 outputs in one image.
    pub fn tiles(&self) -> usize {
        self.output.height.div_ceil(2) * self.output.width.div_ceil(2)
    }

    /// Writes where the input of some tiles starts, tiles counted through all images of the buffer.
    pub fn tile_starts(&self, tiles: Range<usize>, starts: &mut Vec<usize>) {
        let across = self.output.width.div_ceil(2);
        starts.clear();
        starts.extend(tiles.map(|tile| {
            let (image, tile) = (tile / self.tiles(), tile % self.tiles());
            let (y, x) = (tile / across * 2, tile % across * 2);
            image * self.frame.len() + y * self.frame.row() + x * self.frame.source.channels
        }));
    }

    /// Writes where the first output pixel of some tiles lies in the output's maps, whose sides are even.
    pub fn tile_places(&self, tiles: Range<usize>, places: &mut Vec<usize>) {
        let Shape { width, channels, .. } = self.output;
        let across = width / 2;
        places.clear();
        places.extend(tiles.map(|tile| ((tile / across * 2) * width + tile % across * 2) * channels));
    }

    fn over(frame: Frame, output: Shape, kernel: [usize; 2], stride: [usize; 2], groups: usize) -> Self {
        let channels = frame.source.channels;
        let row = frame.row();
        let (runs, run) = if groups == 1 {
            ((0..kernel[0]).map(|y| y * row).collect(), kernel[1] * channels)
        } else {
            let taps = (0..kernel[0]).flat_map(|y| (0..kernel[1]).map(move |x| y * row + x * channels));
            (taps.collect(), channels / groups)
        };
        Self { frame, output, groups, runs, run, stride }
    }

    /// Returns the rows and columns of the kernel of an ungrouped layer.
    pub fn kernel(&self) -> (usize, usize) {
        (self.runs.len(), self.run / self.frame.source.channels)
    }

    /// Returns the runs of a window of `group`.
    pub fn group_runs(&self, group: usize) -> Runs {
        let first = group * self.run * usize::from(self.groups > 1);
        Runs { starts: self.runs.iter().map(|start| start + first).collect(), length: self.run }
    }

    /// Returns kernel row, kernel column and channel of the group of tap `k` of run `s`, for kernels
    /// `columns` wide.
    pub fn tap(&self, s: usize, k: usize, columns: usize) -> (usize, usize, usize) {
        if self.groups == 1 {
            (s, k / self.frame.source.channels, k % self.frame.source.channels)
        } else {
            (s / columns, s % columns, k)
        }
    }

    /// Returns the output channels of a group.
    pub fn group_outputs(&self) -> usize {
        self.output.channels / self.groups
    }

    /// Returns the output pixels of one image.
    pub fn pixels(&self) -> usize {
        self.output.height * self.output.width
    }

    /// Writes where the windows of output pixels `rows` start, counted through all images of the buffer.
    pub fn starts(&self, rows: Range<usize>, starts: &mut Vec<usize>) {
        starts.clear();
        let (pixels, width) = (self.pixels(), self.output.width);
        let channels = self.frame.source.channels;
        let down = self.stride[0] * self.frame.width * channels;
        let across = self.stride[1] * channels;
        // Only the first place is found by division; the others are counted from there.
        let (mut image, mut y, mut x) =
            (rows.start / pixels, rows.start % pixels / width, rows.start % width);
        for _ in rows {
            starts.push(image * self.frame.len() + y * down + x * across);
            x += 1;
            if x == width {
                (x, y) = (0, y + 1);
            }
            if y == self.output.height {
                (y, image) = (0, image + 1);
            }
        }
    }
}
