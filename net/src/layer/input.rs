//! Defines the input: the image as the camera or host sends it.

use super::kind::{Kind, own_form};
use crate::draw::{Options, Random};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Gives uint8 pixels, row-major, channels fastest. A pixel's real value is pixel / 255.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Shape of the image.
    pub shape: Shape,
}

impl Kind for Input {
    fn name(&self) -> &'static str {
        "input"
    }

    fn arity(&self) -> usize {
        0
    }

    fn check(&self) -> Result<(), Fault> {
        let rule = "height, width and channels of at least 1, at most 2^26 pixels";
        self.shape.checked_len().map(|_| ()).ok_or_else(|| Fault::new("shape", rule, self.shape))
    }

    fn shape(&self, _: &[Shape]) -> Result<Shape, Fault> {
        Ok(self.shape)
    }

    fn range(&self, _: &[Wire]) -> Result<Range, Fault> {
        Ok(Range::levels(8))
    }

    fn eval(&self, _: &[ArrayView3<i32>]) -> Array3<i32> {
        panic!("an input's values are given, not computed")
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        Some(1.0 / 255.0)
    }
}

own_form!(Input, 1);

impl Input {
    /// Draws an image's shape.
    pub(crate) fn draw(random: &mut Random, options: &Options) -> Self {
        let (height, width) = (random.within(1, options.max_side), random.within(1, options.max_side));
        Input { shape: Shape::new(height, width, random.within(1, options.max_channels.min(5))) }
    }
}
