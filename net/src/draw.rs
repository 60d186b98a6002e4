//! Holds what random layers are drawn from: numbers, bounds, and the node that a layer reads. Each kind of
//! layer draws itself (`layer/`), and [`crate::random`] joins the layers to networks.

use crate::splitmix::SplitMix64;
use crate::{range::Range, shape::Shape, wire::Wire};
use ndarray::{Array, Array3, Dimension, ShapeBuilder};

/// Bounds what [`crate::random::network`] draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Largest image height and width; at least 1.
    pub max_side: usize,
    /// Largest number of channels; at least 2.
    pub max_channels: usize,
    /// Largest number of layers between the input and the head.
    pub max_layers: usize,
    /// Bits of every weight, 1 to 8; with `None` each layer draws its own.
    pub weight_bits: Option<u8>,
    /// Bits of every step's levels, 1 to 8; with `None` each layer draws its own.
    pub level_bits: Option<u8>,
    /// Whether the network may have residual blocks, squeeze its image, and pad with other levels than 0;
    /// otherwise it is a chain without any of these.
    pub residuals: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_side: 9,
            max_channels: 8,
            max_layers: 6,
            weight_bits: None,
            level_bits: None,
            residuals: false,
        }
    }
}

/// Holds what one layer is drawn from.
pub(crate) struct Draw<'a> {
    pub random: &'a mut Random,
    /// Numbers for what was added to networks later, apart from the others: all else that a seed draws is
    /// what it was.
    pub later: &'a mut Random,
    pub options: &'a Options,
    /// The node that the layer reads.
    pub input: &'a Point,
}

impl Draw<'_> {
    /// Draws weights of a shape, and their bits.
    pub fn weights<D: Dimension>(&mut self, shape: impl ShapeBuilder<Dim = D>) -> (Array<i8, D>, u8) {
        let bits = self.options.weight_bits.unwrap_or_else(|| self.random.within(1, 8) as u8);
        (Array::from_shape_simple_fn(shape, || self.random.weight(bits)), bits)
    }
}

/// Describes a node's output with its values for one random image, from which thresholds that matter are
/// chosen.
#[derive(Clone)]
pub(crate) struct Point {
    pub name: String,
    pub values: Array3<i32>,
    pub range: Range,
}

impl Point {
    /// Returns its wire.
    pub fn wire(&self) -> Wire {
        let (height, width, channels) = self.values.dim();
        Wire { shape: Shape::new(height, width, channels), range: self.range }
    }

    /// Returns whether a layer with weights can read it, and no accumulator grows too wide.
    pub fn is_levels(&self) -> bool {
        self.range.lo >= 0 && self.range.bits() <= 10
    }
}

/// Gives the random numbers that networks are drawn from.
pub(crate) struct Random(SplitMix64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(SplitMix64::new(seed))
    }

    pub fn word(&mut self) -> u64 {
        self.0.word()
    }

    /// Returns a uniform number in `lo..=hi`, up to a bias that does not matter for ranges this small.
    pub fn between(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.word() % (hi - lo + 1) as u64) as i64
    }

    /// Returns a uniform number in `lo..=hi`, as [`Random::between`].
    pub fn within(&mut self, lo: usize, hi: usize) -> usize {
        self.between(lo as i64, hi as i64) as usize
    }

    pub fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.within(0, items.len() - 1)]
    }

    /// Draws a weight as training quantizes it: ±1 at 1 bit, symmetric above.
    pub fn trained_weight(&mut self, bits: u8) -> i8 {
        let most = (1i64 << (bits - 1)) - 1;
        if bits == 1 { self.weight(1) } else { self.between(-most, most) as i8 }
    }

    /// Draws any weight: ±1 at 1 bit, two's complement above.
    pub fn weight(&mut self, bits: u8) -> i8 {
        let half = 1i64 << (bits - 1);
        match bits {
            1 => 2 * self.between(0, 1) as i8 - 1,
            _ => self.between(-half, half - 1) as i8,
        }
    }
}
