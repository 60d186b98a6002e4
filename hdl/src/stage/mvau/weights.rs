//! Reads the weights of a matrix-vector unit, one by one: those of a convolution, or of a dense layer, which
//! is one over the whole map.

use super::shape::Mvau;
use crate::stage::dot::Dot;
use crate::stage::word::rom_words;
use dq_net::Shape;
use dq_net::layer::{Conv, Dense};
use std::sync::Arc;

/// Holds the layer to which the weights belong.
#[derive(Clone, Debug)]
pub enum Weights {
    /// A convolution's.
    Conv(Arc<Conv>),
    /// A dense layer's, with the shape of the map that it reads.
    Dense(Arc<Dense>, Shape),
}

/// Says what a beat of levels is multiplied with: a row and column of the kernel, and the first of its
/// channels.
#[derive(Clone, Copy)]
pub struct Tap {
    row: usize,
    column: usize,
    channel: usize,
}

impl Weights {
    /// Returns what beat number `tap` of a fold, of `simd` channels, is multiplied with: chunks of channels,
    /// kernel rows, kernel columns, the last fastest.
    pub fn tap(&self, tap: usize, simd: usize) -> Tap {
        let (rows, columns) = match self {
            Weights::Conv(conv) => (conv.weights.dim().1, conv.weights.dim().2),
            Weights::Dense(_, map) => (map.height, map.width),
        };
        let (chunk, at) = (tap / (rows * columns), tap % (rows * columns));
        Tap { row: at / columns, column: at % columns, channel: chunk * simd }
    }

    /// Returns the weight of `output` for input `i` of a beat.
    pub fn at(&self, output: usize, tap: Tap, i: usize) -> i64 {
        let Tap { row, column, channel } = tap;
        match self {
            Weights::Conv(conv) => conv.weights[[output, row, column, channel + i]].into(),
            Weights::Dense(dense, map) => {
                dense.weights[[output, (row * map.width + column) * map.channels + channel + i]].into()
            }
        }
    }

    /// Returns the weights of `output` for the `simd` inputs of a beat.
    pub fn beat(&self, output: usize, tap: Tap, simd: usize) -> Vec<i64> {
        (0..simd).map(|i| self.at(output, tap, i)).collect()
    }

    /// Returns the words that `mvau` uses, one per beat: fold, chunk, kernel row, kernel column; PE 0 and
    /// input 0 in the low bits. −1/+1 is 0/1.
    pub fn words(&self, mvau: &Mvau, dot: Dot) -> Vec<u64> {
        let Mvau { pe, simd, taps, folds, weight_bits, .. } = *mvau;
        let places = (0..folds).flat_map(|fold| (0..taps).map(move |tap| (fold, tap)));
        let rows = places.map(|(fold, tap)| {
            let tap = self.tap(tap, simd);
            let of_pe = |p: usize| {
                let bits = |value: i64| if weight_bits == 1 { i64::from(value > 0) } else { value };
                let mut values = self.beat(fold * pe + p, tap, simd);
                values.iter_mut().for_each(|value| *value = bits(*value));
                dot.recode(&mut values);
                values
            };
            (0..pe).flat_map(of_pe).map(|value| (value, weight_bits)).collect()
        });
        rom_words(mvau.word(), rows)
    }
}
