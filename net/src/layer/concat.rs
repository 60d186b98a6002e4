//! Defines Concat: it puts the channels of two streams beside each other, as DenseNet and SqueezeNet join
//! them.

use super::kind::{FileForm, Kind};
use crate::draw::Random;
use crate::motion::{Motion, Moves};
use crate::pack::NoFields;
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};

/// Gives, at each pixel, all channels of the first input and behind them all channels of the second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat;

impl Kind for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn arity(&self) -> usize {
        2
    }

    fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let [x, y] = [inputs[0], inputs[1]];
        if (x.height, x.width) != (y.height, y.width) {
            return Err(Fault::new("inputs", "two of one height and width", format!("{x} and {y}")));
        }
        Ok(Shape { channels: x.channels + y.channels, ..x })
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        Ok(inputs[0].range.hull(inputs[1].range))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        let (x, y) = (inputs[0], inputs[1]);
        let (height, width, of_x) = x.dim();
        Array3::from_shape_fn((height, width, of_x + y.dim().2), |(row, column, c)| {
            if c < of_x { x[[row, column, c]] } else { y[[row, column, c - of_x]] }
        })
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        // Σ over the channels of both is at most 2.
        let squares =
            motion.from.iter().flat_map(|(_, moves)| (0..moves.channels()).map(|c| moves.square(c)));
        Moves::of(squares.collect()).times(2)
    }

    /// Returns the unit that both inputs have; none where they differ.
    fn unit(&self, inputs: &[Option<f64>], _: Shape) -> Option<f64> {
        inputs[0].filter(|_| inputs[0] == inputs[1])
    }
}

impl FileForm for Concat {
    type Form = NoFields;
    const SINCE: u32 = 4;

    fn to_form(&self, _: &[Wire]) -> NoFields {
        NoFields {}
    }

    fn from_form(_: NoFields) -> Result<Self, Fault> {
        Ok(Concat)
    }
}

impl Concat {
    /// Draws whether two streams are put beside each other; never where `most` channels would be passed.
    pub(crate) fn draw(random: &mut Random, inputs: &[Wire], most: usize) -> Option<Self> {
        let is_drawn = random.within(0, 2) == 0;
        let shape = Concat.shape(&[inputs[0].shape, inputs[1].shape]).expect("of one height and width");
        (is_drawn && shape.channels <= most).then_some(Concat)
    }
}
