//! Feature squeezing (Xu, Evans, Qi, NDSS 2018) as a front-end of the network: coarser colours, and a median of
//! neighbours. On the chip like all the rest.

use super::Kind;
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};

/// Colour depth: pixel p of 0..=255 becomes `round(p·(2^bits − 1) / 255)`, a level of 0..=2^bits − 1 whose unit is
/// 1/(2^bits − 1). No pixel lies half way between two levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitDepth {
    /// Bits of a level, 1 to 8.
    pub bits: u8,
}

/// Median of the 2 × 2 pixels above and left of each pixel and itself, in each channel: the lower of the two middle
/// values. At the border the nearest pixel stands for the one outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Median;

impl BitDepth {
    /// The level of one pixel.
    pub fn level(&self, pixel: i32) -> i32 {
        let most = (1 << self.bits) - 1;
        (2 * pixel * most + 255) / 510
    }
}

impl Median {
    /// The places that the median of pixel (y, x) is taken of, in row-major order.
    pub fn taps(y: usize, x: usize) -> [(usize, usize); 4] {
        let (above, left) = (y.saturating_sub(1), x.saturating_sub(1));
        [(above, left), (above, x), (y, left), (y, x)]
    }

    /// Which of four values is the median: the first, in order, of those equal to the lower middle one (0 where there is
    /// none: what is no number compares with nothing).
    pub fn choose<T: Copy + PartialOrd>(values: [T; 4]) -> usize {
        let count = |holds: &dyn Fn(T) -> bool| values.iter().filter(|&&v| holds(v)).count();
        let is_lower_middle = |&v: &T| count(&|other| other < v) <= 1 && count(&|other| other <= v) >= 2;
        values.iter().position(is_lower_middle).unwrap_or(0)
    }
}

impl Kind for BitDepth {
    fn name(&self) -> &'static str {
        "bit_depth"
    }

    fn check(&self) -> Result<(), Fault> {
        if (1..=8).contains(&self.bits) { Ok(()) } else { Err(Fault::new("bits", "1 to 8", self.bits)) }
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        Ok(inputs[0])
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        let Range { lo, hi } = inputs[0].range;
        if lo < 0 || hi > 255 {
            return Err(Fault::new("inputs", "pixels of 0 to 255", format!("a wire of {}", inputs[0].range)));
        }
        Ok(Range::levels(self.bits))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        inputs[0].mapv(|pixel| self.level(pixel))
    }
}

impl Kind for Median {
    fn name(&self) -> &'static str {
        "median"
    }

    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        Ok(inputs[0])
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        super::check_levels(inputs[0].range)?;
        Ok(inputs[0].range)
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        let x = inputs[0];
        Array3::from_shape_fn(x.dim(), |(y, column, c)| {
            let values = Self::taps(y, column).map(|(y, column)| x[[y, column, c]]);
            values[Self::choose(values)]
        })
    }
}
