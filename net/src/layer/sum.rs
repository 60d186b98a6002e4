//! Defines Sum: it adds two streams exactly, each times a whole number.

use super::kind::{Kind, own_form};
use super::stream::one_shape;
use crate::draw::Random;
use crate::motion::{Motion, Moves};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3, Zip};
use serde::{Deserialize, Serialize};

/// Computes `factors[0]·x + factors[1]·y`, without a shift and without a clip: a residual of two streams
/// whose scales are whole multiples of one scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Factor of each input; none is 0.
    pub factors: [i32; 2],
}

impl Sum {
    /// Returns the sum of one pair of values. The ranges of a network's wires keep it within an `i32`; of
    /// values beyond them, as faults make them, it is the sum modulo 2^32.
    pub fn value(&self, x: i32, y: i32) -> i32 {
        let [a, b] = self.factors;
        a.wrapping_mul(x).wrapping_add(b.wrapping_mul(y))
    }
}

impl Kind for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn arity(&self) -> usize {
        2
    }

    fn check(&self) -> Result<(), Fault> {
        match self.factors.iter().position(|&factor| factor == 0) {
            Some(at) => Err(Fault::new(format!("factors[{at}]"), "a factor other than 0", 0)),
            None => Ok(()),
        }
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        one_shape(inputs)
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        let [x, y] = [0, 1].map(|port| {
            let (factor, Range { lo, hi }) = (i64::from(self.factors[port]), inputs[port].range);
            let ends = [factor * lo, factor * hi];
            Range::new(ends[0].min(ends[1]), ends[0].max(ends[1]))
        });
        Ok(Range::new(x.lo + y.lo, x.hi + y.hi))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        Zip::from(inputs[0]).and(inputs[1]).map_collect(|&x, &y| self.value(x, y))
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        motion.sum(&self.factors.map(|factor| factor.unsigned_abs().into()))
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        None
    }
}

own_form!(Sum, 3);

impl Sum {
    /// Largest size of a sum that is drawn, since what follows may add up many of them.
    const MOST_DRAWN: i64 = 1 << 16;

    /// Draws a sum of `inputs`, half of the time, and none where it would be large.
    pub(crate) fn draw(random: &mut Random, inputs: &[Wire]) -> Option<Self> {
        let is_drawn = random.within(0, 1) == 0;
        let factors = [0, 1].map(|_| {
            let size = random.between(1, 5) as i32;
            if random.within(0, 2) == 0 { -size } else { size }
        });
        let sum = Sum { factors };
        let Range { lo, hi } = sum.range(inputs).expect("two wires");
        (is_drawn && lo >= -Self::MOST_DRAWN && hi <= Self::MOST_DRAWN).then_some(sum)
    }
}
