//! Defines the input: the image as the camera or host sends it, or the levels of a quantizer that lies
//! outside of the circuit.

use super::kind::{FileForm, Kind};
use crate::draw::{Options, Random};
use crate::motion::{Motion, Moves};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3, ArrayView4};
use serde::{Deserialize, Serialize};

/// Number of levels of a uint8 pixel.
const PIXEL_LEVELS: u16 = 256;
/// Real value of one step of a uint8 pixel.
const PIXEL_UNIT: f64 = 1.0 / 255.0;
/// Largest magnitude of [`Input::lowest`].
const MOST_LOWEST: f64 = 32_768.0;

/// Gives levels, row-major, channels fastest. The real value of a level is `(level + lowest) · unit`: of a
/// uint8 pixel, which has 256 levels, pixel / 255.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Shape of the image.
    pub shape: Shape,
    /// Number of levels, 2 to 256: every element is below it.
    #[serde(default = "pixel_levels", skip_serializing_if = "has_pixel_levels")]
    pub levels: u16,
    /// What level 0 stands for, in units. People and importers read it; the meaning never depends on it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lowest: f64,
    /// Real value of one step between levels. The meaning never depends on it.
    #[serde(default = "pixel_unit", skip_serializing_if = "has_pixel_unit")]
    pub unit: f64,
}

fn pixel_levels() -> u16 {
    PIXEL_LEVELS
}

fn has_pixel_levels(levels: &u16) -> bool {
    *levels == PIXEL_LEVELS
}

fn is_zero(lowest: &f64) -> bool {
    *lowest == 0.0
}

fn pixel_unit() -> f64 {
    PIXEL_UNIT
}

fn has_pixel_unit(unit: &f64) -> bool {
    *unit == PIXEL_UNIT
}

impl Input {
    /// Makes an input of uint8 pixels.
    pub const fn pixels(shape: Shape) -> Self {
        Self { shape, levels: PIXEL_LEVELS, lowest: 0.0, unit: PIXEL_UNIT }
    }

    /// Returns whether its levels are those of uint8 pixels, whatever they stand for.
    pub const fn has_pixels(&self) -> bool {
        self.levels == PIXEL_LEVELS
    }

    /// Returns the largest level.
    pub const fn top(&self) -> u8 {
        (self.levels - 1) as u8
    }

    /// Checks that `images` (batch × height × width × channels) hold its levels alone. Their shape is not
    /// looked at.
    pub fn check_images(&self, images: ArrayView4<u8>) -> Result<(), Fault> {
        if self.has_pixels() {
            return Ok(());
        }
        match images.indexed_iter().find(|(_, level)| **level > self.top()) {
            Some(((n, ..), level)) => {
                Err(Fault::new(format!("images[{n}]"), format!("levels of 0 to {}", self.top()), level))
            }
            None => Ok(()),
        }
    }
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
        self.shape.checked_len().ok_or_else(|| Fault::new("shape", rule, self.shape))?;
        if !(2..=PIXEL_LEVELS).contains(&self.levels) {
            return Err(Fault::new("levels", format!("2 to {PIXEL_LEVELS}"), self.levels));
        }
        if self.lowest.is_nan() || self.lowest.abs() > MOST_LOWEST {
            return Err(Fault::new("lowest", format!("-{MOST_LOWEST} to {MOST_LOWEST}"), self.lowest));
        }
        if !(self.unit.is_finite() && self.unit > 0.0) {
            return Err(Fault::new("unit", "finite and above 0", self.unit));
        }
        Ok(())
    }

    fn shape(&self, _: &[Shape]) -> Result<Shape, Fault> {
        Ok(self.shape)
    }

    fn range(&self, _: &[Wire]) -> Result<Range, Fault> {
        Ok(Range::new(0, self.top().into()))
    }

    fn eval(&self, _: &[ArrayView3<i32>]) -> Array3<i32> {
        panic!("an input's values are given, not computed")
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        // It is given how far it moves, as it is given its values.
        Some(motion.first().clone())
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        Some(self.unit)
    }
}

impl FileForm for Input {
    type Form = Self;
    const SINCE: u32 = 1;

    fn since(&self) -> u32 {
        if *self == Self::pixels(self.shape) { Self::SINCE } else { 4 }
    }

    fn to_form(&self, _: &[Wire]) -> Self {
        *self
    }

    fn from_form(form: Self) -> Result<Self, Fault> {
        Ok(form)
    }
}

impl Input {
    /// Draws an image's shape.
    pub(crate) fn draw(random: &mut Random, options: &Options) -> Self {
        let (height, width) = (random.within(1, options.max_side), random.within(1, options.max_side));
        Self::pixels(Shape::new(height, width, random.within(1, options.max_channels.min(5))))
    }

    /// Draws, for one in four, fewer levels than those of pixels.
    pub(crate) fn with_drawn_levels(self, random: &mut Random) -> Self {
        if random.within(0, 3) > 0 {
            return self;
        }
        let levels = *random.one_of(&[2, 3, 4, 7, 16, 100]);
        Self { levels, lowest: -f64::from(levels / 2), unit: 0.25, ..self }
    }
}
