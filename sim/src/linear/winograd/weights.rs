//! Transforms the weights of Winograd's convolutions. Never packs them.

use super::super::windows::Windows;
use crate::kernel::winograd::POINTS;
use std::ops::{Add, Sub};

/// Is a type of values whose weights can be transformed.
pub(crate) trait Points: Copy + Default {
    /// Returns a transformed weight, given four times it.
    fn weight(fourfold: f64) -> Self;

    /// Returns a weight as it is.
    fn whole(self) -> f64;
}

/// Defines transformed weights of reals, whose fourth is exact.
macro_rules! real {
    ($($element:ty),+) => {$(
        impl Points for $element {
            fn weight(fourfold: f64) -> Self {
                (fourfold * 0.25) as $element
            }

            fn whole(self) -> f64 {
                self.into()
            }
        }
    )+};
}

real!(f32, f64);

/// Sums are four times too large. A transformed weight of 8 bits is far from one of 16.
impl Points for i16 {
    fn weight(fourfold: f64) -> i16 {
        fourfold as i16
    }

    fn whole(self) -> f64 {
        self.into()
    }
}

/// Holds transformed weights, scaled by 4.
pub(super) struct Transformed<T> {
    /// Output × channel × point.
    pub all: Vec<T>,
    channels: usize,
}

impl<T: Copy> Transformed<T> {
    /// Returns one of them.
    pub fn at(&self, point: usize, output: usize, channel: usize) -> T {
        self.all[(output * self.channels + channel) * POINTS + point]
    }
}

/// Transforms all weights: 2·G of the paper on both sides.
pub(super) fn transformed<T>(
    windows: &Windows,
    weight: impl Fn(usize, usize, usize, usize) -> T,
) -> Transformed<T>
where
    T: Copy + Add<Output = T> + Sub<Output = T>,
{
    let line = |a: T, b: T, c: T| [a + a, a + b + c, a - b + c, c + c];
    let (outputs, channels) = (windows.output.channels, windows.frame.source.channels);
    let mut all = Vec::with_capacity(outputs * channels * POINTS);
    for o in 0..outputs {
        for c in 0..channels {
            let rows = [0, 1, 2].map(|y| line(weight(o, y, 0, c), weight(o, y, 1, c), weight(o, y, 2, c)));
            let columns = [0, 1, 2, 3].map(|x| line(rows[0][x], rows[1][x], rows[2][x]));
            (0..POINTS).for_each(|point| all.push(columns[point % 4][point / 4]));
        }
    }
    Transformed { all, channels }
}
