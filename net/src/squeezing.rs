//! Defines squeezing (feature squeezing: Xu, Evans, Qi, NDSS 2018): uint8 images become uint8 images with
//! fewer colours, smoothed, or both. A detector flags an image where the network's label of it differs from
//! that of its squeezed form. The layers of the same names leave levels; this leaves pixels, as the
//! network's input is.

use crate::layer::{BitDepth, Kind, Median};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Says how an image is squeezed. Rounding keeps the order of pixels, so that it does not matter whether the
/// median is taken before or after it. Files hold its text, such as `bits=5,median`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Squeezing {
    bits: Option<u8>,
    median: bool,
}

impl Squeezing {
    /// Returns the bits of each colour, 1 to 7; `None` where colours stay as they are.
    pub fn bits(self) -> Option<u8> {
        self.bits
    }

    /// Returns whether the 2 × 2 median is taken, as [`Median`] does.
    pub fn has_median(self) -> bool {
        self.median
    }

    /// Returns the pixel that a level of so many `bits` stands for: `round(level · 255 / (2^bits − 1))`. No
    /// level lies half way between two pixels.
    pub fn pixel(bits: u8, level: i32) -> u8 {
        let most = (1 << bits) - 1;
        ((2 * level * 255 + most) / (2 * most)) as u8
    }

    /// Returns what becomes of a pixel's colour: the level of [`BitDepth`] as a pixel.
    pub fn colour(self, pixel: u8) -> u8 {
        self.bits.map_or(pixel, |bits| Self::pixel(bits, BitDepth { bits }.level(pixel.into())))
    }

    /// Returns the squeezed form of an image (height × width × channels).
    pub fn eval(self, image: ArrayView3<u8>) -> Array3<u8> {
        let mut squeezed = image.mapv(i32::from);
        if self.median {
            squeezed = Median.eval(&[squeezed.view()]);
        }
        squeezed.mapv(|pixel| self.colour(pixel as u8))
    }
}

impl fmt::Display for Squeezing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.bits.map(|bits| format!("bits={bits}"));
        let parts: Vec<String> = bits.into_iter().chain(self.median.then(|| "median".to_owned())).collect();
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Squeezing {
    type Err = String;

    /// Reads `bits=5`, `median`, or both with a comma between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut found = Squeezing { bits: None, median: false };
        for part in text.split(',').map(str::trim) {
            let is_new = match part.split_once('=') {
                Some(("bits", bits)) => {
                    let known = bits.parse().ok().filter(|bits| (1..=7).contains(bits));
                    let bits = known.ok_or_else(|| format!("bits: expected 1 to 7, found `{bits}`"))?;
                    found.bits.replace(bits).is_none()
                }
                None if part == "median" => !std::mem::replace(&mut found.median, true),
                _ => {
                    return Err(format!(
                        "expected `bits=N`, `median` or both (`bits=5,median`), found `{part}`"
                    ));
                }
            };
            if !is_new {
                return Err(format!("`{part}`: expected once, found twice"));
            }
        }
        Ok(found)
    }
}

impl TryFrom<String> for Squeezing {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Squeezing> for String {
    fn from(squeezing: Squeezing) -> String {
        squeezing.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Input;
    use crate::{Shape, random};

    #[test]
    fn names_are_read_and_written() {
        for name in ["bits=5", "median", "bits=1,median"] {
            assert_eq!(name.parse::<Squeezing>().unwrap().to_string(), name);
        }
        assert_eq!("median, bits=7".parse::<Squeezing>().unwrap().to_string(), "bits=7,median");
        for (name, expected) in [
            ("", "expected `bits=N`"),
            ("blur", "found `blur`"),
            ("bits", "found `bits`"),
            ("bits=8", "expected 1 to 7, found `8`"),
            ("bits=0", "expected 1 to 7"),
            ("median,median", "found twice"),
            ("bits=3,bits=4", "`bits=4`: expected once"),
        ] {
            let error = name.parse::<Squeezing>().unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
        assert_eq!(serde_json::to_string(&"bits=5".parse::<Squeezing>().unwrap()).unwrap(), "\"bits=5\"");
        assert!(serde_json::from_str::<Squeezing>("\"bits=9\"").is_err());
    }

    /// The squeezed image is that of the layers, in either order.
    #[test]
    fn images_are_squeezed_as_the_layers_do_it() {
        for seed in 0..20 {
            let shape = Shape::new(1 + seed % 5, 1 + seed % 7, 1 + seed % 3);
            let image = random::image(seed as u64, Input::pixels(shape));
            let bits = 1 + (seed % 7) as u8;
            let squeezing: Squeezing = format!("bits={bits},median").parse().unwrap();
            let found = squeezing.eval(image.view());
            let words = image.mapv(i32::from);
            let median = |x: ArrayView3<i32>| Median.eval(&[x]);
            let level = |x: ArrayView3<i32>| BitDepth { bits }.eval(&[x]);
            let most = f64::from((1u32 << bits) - 1);
            for levels in [level(median(words.view()).view()), median(level(words.view()).view())] {
                let pixels = levels.mapv(|level| (f64::from(level) * 255.0 / most).round() as u8);
                assert_eq!(found, pixels, "seed {seed}");
            }
        }
    }
}
