//! Defines rescales: an affine function per channel, from accumulators or levels into the fixed-point
//! residual stream.
//!
//! The residual stream is fixed point: a rescale enters it, a mix combines two with shares that add up
//! to a power of two, a step reads it. Plain addition is the mix with shares n/(n+1) and 1/(n+1): a
//! running mean, whose real value is n+1 times as much, which its readers know.

use super::kind::{Kind, own_form};
use super::stream::{check_bits, saturate};
use crate::draw::Draw;
use crate::motion::{Motion, Moves, staircase};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Computes `sat((x·mul[c] + add[c]) >> shift)`: the shift rounds down (`add` holds what makes it round to
/// nearest), and the result is clipped to `bits` bits, signed. No sum passes 49 bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rescale {
    /// Factor per channel, whose magnitude is below 2^[`Rescale::MUL_BITS`].
    pub mul: Vec<i32>,
    /// Offset per channel before the shift, whose magnitude is below 2^[`Rescale::ADD_BITS`].
    pub add: Vec<i64>,
    /// Bits that are shifted out, at most [`Rescale::MAX_SHIFT`].
    pub shift: u8,
    /// Bits of the result, two's complement, 2 to 16.
    pub bits: u8,
    /// Real value of one unit of the result. People and norms read it; the meaning never depends on it.
    pub unit: f64,
}

impl Rescale {
    /// Bits of a factor's magnitude.
    pub const MUL_BITS: u32 = 17;
    /// Bits of an offset's magnitude.
    pub const ADD_BITS: u32 = 47;
    /// Largest [`shift`](Rescale::shift).
    pub const MAX_SHIFT: u8 = 31;

    /// Returns the sum of `channel` before the shift.
    pub fn sum(&self, channel: usize, x: i64) -> i64 {
        x * i64::from(self.mul[channel]) + self.add[channel]
    }

    /// Returns the result for one value of `channel`.
    pub fn value(&self, channel: usize, x: i32) -> i32 {
        saturate(self.sum(channel, x.into()) >> self.shift, self.bits)
    }
}

impl Kind for Rescale {
    fn name(&self) -> &'static str {
        "rescale"
    }

    fn check(&self) -> Result<(), Fault> {
        check_bits(self.bits)?;
        if self.shift > Self::MAX_SHIFT {
            return Err(Fault::new("shift", format!("0 to {}", Self::MAX_SHIFT), self.shift));
        }
        if self.add.len() != self.mul.len() {
            return Err(Fault::new(
                "add",
                format!("{} entries, one per channel", self.mul.len()),
                self.add.len(),
            ));
        }
        if let Some(c) = self.mul.iter().position(|mul| mul.unsigned_abs() >> Self::MUL_BITS != 0) {
            return Err(Fault::new(format!("mul[{c}]"), "a size below 2^17", self.mul[c]));
        }
        if let Some(c) = self.add.iter().position(|add| add.unsigned_abs() >> Self::ADD_BITS != 0) {
            return Err(Fault::new(format!("add[{c}]"), "a size below 2^47", self.add[c]));
        }
        if !(self.unit.is_finite() && self.unit > 0.0) {
            return Err(Fault::new("unit", "finite and above 0", self.unit));
        }
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        if inputs[0].channels != self.mul.len() {
            return Err(Fault::new("mul", format!("{} channels", inputs[0].channels), self.mul.len()));
        }
        Ok(inputs[0])
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        let Range { lo, hi } = inputs[0].range;
        let ends = (0..self.mul.len()).flat_map(|c| [self.sum(c, lo), self.sum(c, hi)]);
        let ends = ends.map(|sum| i64::from(saturate(sum >> self.shift, self.bits)));
        let (least, most) = ends.fold((i64::MAX, i64::MIN), |(a, b), end| (a.min(end), b.max(end)));
        Ok(Range::new(least, most))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        let x = inputs[0];
        Array3::from_shape_fn(x.dim(), |(y, column, c)| self.value(c, x[[y, column, c]]))
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        let lines = |mul: &i32| staircase::shift(mul.unsigned_abs().into(), self.shift, motion.steps);
        motion.staircase(motion.first(), &self.mul.iter().map(lines).collect::<Vec<_>>())
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        Some(self.unit)
    }
}

own_form!(Rescale, 2);

impl Rescale {
    /// Draws a rescale into a stream that the values seen fill and sometimes leave.
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let Draw { random, input, .. } = draw;
        let bits = random.within(3, 14) as u8;
        let shift = random.within(0, 12) as u8;
        let most = input.values.iter().map(|v| i64::from(v.abs())).max().unwrap_or(0) + 1;
        let whole = (1i64 << (bits - 1)) << shift;
        let limit = (1i64 << Rescale::MUL_BITS) - 1;
        let channels = input.values.dim().2;
        let mul = (0..channels).map(|_| {
            let size = (whole * random.between(40, 150) / 100 / most).clamp(1, limit);
            (if random.within(0, 3) == 0 { -size } else { size }) as i32
        });
        let mul = mul.collect();
        let add = (0..channels).map(|_| random.between(-whole / 4, whole / 4)).collect();
        Rescale { mul, add, shift, bits, unit: 0.01 }
    }
}
