//! Defines mixes: the residual's convex combination of two streams, in fixed point.

use super::kind::{Kind, own_form};
use super::stream::{check_bits, one_shape, saturate};
use crate::draw::Random;
use crate::motion::{Motion, Moves, staircase};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3, Zip};
use serde::{Deserialize, Serialize};

/// Computes `sat((a·x + b·y + half) >> shift)` with `a + b = 2^shift` exactly and `half = 2^(shift − 1)` (0
/// where `shift` is 0): a convex pair stays convex in fixed point. The shift rounds down; the result is
/// clipped to `bits` bits, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Share of the first input, in units of `1/2^shift`.
    pub a: i32,
    /// Share of the second input, in the same unit.
    pub b: i32,
    /// Bits that are shifted out, at most [`Mix::MAX_SHIFT`]; the two shares add up to `2^shift`.
    pub shift: u8,
    /// Bits of the result, two's complement, 2 to 16.
    pub bits: u8,
}

impl Mix {
    /// Largest [`shift`](Mix::shift).
    pub const MAX_SHIFT: u8 = 15;

    /// Returns what is added before the shift, so that it rounds to the nearest.
    pub fn half(&self) -> i64 {
        (1 << self.shift) >> 1
    }

    /// Returns the sum before the shift.
    pub fn sum(&self, x: i32, y: i32) -> i64 {
        i64::from(self.a) * i64::from(x) + i64::from(self.b) * i64::from(y) + self.half()
    }

    /// Returns the result for one pair of values.
    pub fn value(&self, x: i32, y: i32) -> i32 {
        saturate(self.sum(x, y) >> self.shift, self.bits)
    }
}

impl Kind for Mix {
    fn name(&self) -> &'static str {
        "mix"
    }

    fn arity(&self) -> usize {
        2
    }

    fn check(&self) -> Result<(), Fault> {
        if self.shift > Self::MAX_SHIFT {
            return Err(Fault::new("shift", format!("0 to {}", Self::MAX_SHIFT), self.shift));
        }
        check_bits(self.bits)?;
        let whole = 1i64 << self.shift;
        if self.a < 0 || self.b < 0 || i64::from(self.a) + i64::from(self.b) != whole {
            let rule = format!("shares of at least 0 that add up to 2^shift = {whole}");
            return Err(Fault::new("a, b", rule, format!("{} and {}", self.a, self.b)));
        }
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        one_shape(inputs)
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        // Both shares are at least 0, so the ends of the inputs give the ends of the result.
        let end = |x: i64, y: i64| {
            let sum = i64::from(self.a) * x + i64::from(self.b) * y + self.half();
            saturate(sum >> self.shift, self.bits).into()
        };
        let (x, y) = (inputs[0].range, inputs[1].range);
        Ok(Range::new(end(x.lo, y.lo), end(x.hi, y.hi)))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        Zip::from(inputs[0]).and(inputs[1]).map_collect(|&x, &y| self.value(x, y))
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        let sum = motion.sum(&[self.a, self.b].map(|share| share.unsigned_abs().into()))?;
        let lines = staircase::shift(1, self.shift, motion.steps);
        motion.staircase(&sum, &vec![lines; sum.channels()])
    }

    fn unit(&self, inputs: &[Option<f64>], _: Shape) -> Option<f64> {
        inputs[0]
    }
}

own_form!(Mix, 2);

impl Mix {
    /// Draws shares and bits.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let shift = random.within(0, 6) as u8;
        let a = random.within(0, 1 << shift) as i32;
        Mix { a, b: (1 << shift) - a, shift, bits: random.within(3, 14) as u8 }
    }
}
