//! Defines rectangles of a feature map's pixels, and takes them out of a map and puts them back. Maps are of
//! one image: height × width × channels.

use crate::tensor::Tensor;
use dq_net::Shape;
use dq_net::layer::window::Axis;
use std::ops::Range;

/// Names the pixels of some rows and columns; there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

impl Region {
    /// Returns all pixels of a map.
    pub fn whole(map: Shape) -> Self {
        Self { rows: 0..map.height, columns: 0..map.width }
    }

    /// Returns the number of pixels.
    pub fn pixels(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Returns the shape of the part of a map with so many channels.
    pub fn shape(&self, channels: usize) -> Shape {
        Shape::new(self.rows.len(), self.columns.len(), channels)
    }

    /// Returns the smallest region that holds both.
    pub fn join(&self, other: &Self) -> Self {
        let both = |a: &Range<usize>, b: &Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        Self { rows: both(&self.rows, &other.rows), columns: both(&self.columns, &other.columns) }
    }

    /// Returns the pixels of `output` whose windows have a pixel of this region; `None` if there is none.
    pub fn seen_by(&self, rows: Axis, columns: Axis, output: Shape) -> Option<Self> {
        let along = |axis: Axis, from: &Range<usize>, length: usize| {
            let Axis { kernel, stride, before, .. } = axis;
            let first = (from.start + before + 1).saturating_sub(kernel).div_ceil(stride);
            let end = ((from.end - 1 + before) / stride + 1).min(length);
            (first < end).then_some(first..end)
        };
        let rows = along(rows, &self.rows, output.height)?;
        Some(Self { rows, columns: along(columns, &self.columns, output.width)? })
    }

    /// Returns the pixels of the input under this region's windows, where nothing is padded.
    pub fn under(&self, rows: Axis, columns: Axis) -> Self {
        let along =
            |axis: Axis, to: &Range<usize>| to.start * axis.stride..(to.end - 1) * axis.stride + axis.kernel;
        Self { rows: along(rows, &self.rows), columns: along(columns, &self.columns) }
    }

    /// Takes the region's values out of a map of `shape`.
    pub fn of(&self, shape: Shape, map: &Tensor) -> Tensor {
        match map {
            Tensor::Bytes(map) => Tensor::Bytes(self.copied(shape, map)),
            Tensor::Words(map) => Tensor::Words(self.copied(shape, map)),
        }
    }

    /// Puts the region's values into a map of `shape`. Returns the smallest region in which they differ from
    /// what was there, if they do.
    ///
    /// # Panics
    /// If one holds bytes and the other words.
    pub fn put(&self, shape: Shape, map: &mut Tensor, part: &Tensor) -> Option<Self> {
        match (map, part) {
            (Tensor::Bytes(map), Tensor::Bytes(part)) => self.paste(shape, map, part),
            (Tensor::Words(map), Tensor::Words(part)) => self.paste(shape, map, part),
            _ => panic!("a node's values are stored in one way"),
        }
    }

    /// Lists the elements of the region's rows in a map of `shape`.
    fn runs(&self, shape: Shape) -> impl Iterator<Item = Range<usize>> + use<> {
        let (columns, channels) = (self.columns.clone(), shape.channels);
        self.rows.clone().map(move |y| {
            let row = y * shape.width;
            (row + columns.start) * channels..(row + columns.end) * channels
        })
    }

    fn copied<T: Copy>(&self, shape: Shape, map: &[T]) -> Vec<T> {
        let mut found = Vec::with_capacity(self.pixels() * shape.channels);
        self.runs(shape).for_each(|run| found.extend_from_slice(&map[run]));
        found
    }

    fn paste<T: Copy + PartialEq>(&self, shape: Shape, map: &mut [T], part: &[T]) -> Option<Self> {
        let mut differing: Option<Self> = None;
        let length = self.columns.len() * shape.channels;
        for ((y, run), part) in self.rows.clone().zip(self.runs(shape)).zip(part.chunks_exact(length)) {
            let to = &mut map[run];
            if *to == *part {
                continue;
            }
            let first = first_difference(to, part) / shape.channels;
            let last = last_difference(to, part) / shape.channels;
            let (start, end) = (self.columns.start + first, self.columns.start + last + 1);
            let row = Self { rows: y..y + 1, columns: start..end };
            differing = Some(differing.map_or(row.clone(), |found| found.join(&row)));
            to.copy_from_slice(part);
        }
        differing
    }
}

/// Elements that are compared at a time.
const COMPARED: usize = 16;

/// Returns the place of the first element in which two slices of one length differ, which they do.
fn first_difference<T: Copy + PartialEq>(a: &[T], b: &[T]) -> usize {
    let chunks = a.as_chunks::<COMPARED>().0.iter().zip(b.as_chunks::<COMPARED>().0);
    let same = chunks.take_while(|(a, b)| a == b).count() * COMPARED;
    same + a[same..].iter().zip(&b[same..]).position(|(a, b)| a != b).expect("they differ")
}

/// Returns the place of the last one.
fn last_difference<T: Copy + PartialEq>(a: &[T], b: &[T]) -> usize {
    let chunks = a.as_rchunks::<COMPARED>().1.iter().zip(b.as_rchunks::<COMPARED>().1);
    let end = a.len() - chunks.rev().take_while(|(a, b)| a == b).count() * COMPARED;
    a[..end].iter().zip(&b[..end]).rposition(|(a, b)| a != b).expect("they differ")
}
