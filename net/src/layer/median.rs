//! Defines medians: smoothing by neighbours, as a front-end of the network (feature squeezing: Xu, Evans, Qi,
//! NDSS 2018). It runs on the chip like all other layers.

use super::kind::{FileForm, Kind};
use super::weights::check_levels;
use crate::motion::{Motion, Moves};
use crate::pack::NoFields;
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};

/// Takes, in each channel, the median of each pixel and the 3 pixels above it, to the left, and above to the
/// left: the lower of the two middle values. At the border the nearest pixel stands for the one outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Median;

impl Median {
    /// Returns the places whose median is that of pixel (y, x), in row-major order.
    pub fn taps(y: usize, x: usize) -> [(usize, usize); 4] {
        let (above, left) = (y.saturating_sub(1), x.saturating_sub(1));
        [(above, left), (above, x), (y, left), (y, x)]
    }

    /// Returns which of four values is the median: the first, in order, of those equal to the lower middle
    /// one (0 where there is none: NaN compares with nothing).
    pub fn choose<T: Copy + PartialOrd>(values: [T; 4]) -> usize {
        let count = |holds: &dyn Fn(T) -> bool| values.iter().filter(|&&v| holds(v)).count();
        let is_lower_middle = |&v: &T| count(&|other| other < v) <= 1 && count(&|other| other <= v) >= 2;
        values.iter().position(is_lower_middle).unwrap_or(0)
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
        check_levels(inputs[0].range)?;
        Ok(inputs[0].range)
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        let x = inputs[0];
        Array3::from_shape_fn(x.dim(), |(y, column, c)| {
            let values = Self::taps(y, column).map(|(y, column)| x[[y, column, c]]);
            values[Self::choose(values)]
        })
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        // The median moves no further than one of its four taps, and a pixel is a tap of four medians.
        motion.first().times(4)
    }

    fn unit(&self, inputs: &[Option<f64>], _: Shape) -> Option<f64> {
        inputs[0]
    }
}

impl FileForm for Median {
    type Form = NoFields;
    const SINCE: u32 = 2;

    fn to_form(&self, _: &[Wire]) -> NoFields {
        NoFields {}
    }

    fn from_form(_: NoFields) -> Result<Self, Fault> {
        Ok(Median)
    }
}
