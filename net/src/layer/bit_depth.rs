//! Defines bit depth: coarser colours, as a front-end of the network (feature squeezing: Xu, Evans, Qi, NDSS
//! 2018). It runs on the chip like all other layers.

use super::kind::{Kind, own_form};
use crate::draw::Random;
use crate::motion::{Motion, Moves, staircase};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Rounds colours: pixel p of 0..=255 becomes `round(p·(2^bits − 1) / 255)`, a level of 0..=2^bits − 1 whose
/// unit is 1/(2^bits − 1). No pixel lies half way between two levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitDepth {
    /// Bits of a level, 1 to 8.
    pub bits: u8,
}

impl BitDepth {
    /// Returns the level of one pixel.
    pub fn level(&self, pixel: i32) -> i32 {
        let most = (1 << self.bits) - 1;
        (2 * pixel * most + 255) / 510
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

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        let moves = motion.first();
        let thresholds: Vec<i64> =
            (1..=255).filter(|&p| self.level(p) > self.level(p - 1)).map(i64::from).collect();
        let lines = |c| staircase::lines(&thresholds, moves.reach(c), motion.steps);
        motion.staircase(moves, &(0..moves.channels()).map(lines).collect::<Vec<_>>())
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        Some(1.0 / f64::from((1i32 << self.bits) - 1))
    }
}

own_form!(BitDepth, 2);

impl BitDepth {
    /// Draws the bits.
    pub(crate) fn draw(random: &mut Random) -> Self {
        BitDepth { bits: random.within(1, 8) as u8 }
    }
}
