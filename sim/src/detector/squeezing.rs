//! Squeezes images (feature squeezing: Xu, Evans, Qi, NDSS 2018): uint8 images become uint8 images with fewer
//! colours, smoothed, or both.

use crate::kind::median::{medians, taps};
use dq_net::Shape;
use dq_net::layer::{BitDepth, Median};
use ndarray::{Array4, ArrayView4};
use std::fmt;
use std::str::FromStr;

/// Says how an image is squeezed. Rounding keeps the order of pixels, so that it does not matter whether the
/// median is taken before or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Squeezing {
    /// Bits of each colour, 1 to 7; `None` leaves colours as they are.
    bits: Option<u8>,
    /// Whether the 2 × 2 median is taken, as [`Median`] does.
    median: bool,
}

impl Squeezing {
    /// Returns what becomes of a pixel's colour: the level of [`BitDepth`] as a pixel, `round(level · 255 /
    /// (2^bits − 1))`. No level lies half way between two pixels.
    fn colour(self, pixel: u8) -> u8 {
        let Some(bits) = self.bits else { return pixel };
        let most = (1 << bits) - 1;
        let level = BitDepth { bits }.level(pixel.into());
        ((2 * level * 255 + most) / (2 * most)) as u8
    }

    /// Squeezes `images` (batch × height × width × channels).
    pub fn apply(self, images: ArrayView4<u8>) -> Array4<u8> {
        let mut squeezed = images.as_standard_layout().into_owned();
        if self.median && !images.is_empty() {
            let pixels = squeezed.as_slice().expect("standard layout");
            let found = medians(pixels, shape(images));
            squeezed = Array4::from_shape_vec(squeezed.raw_dim(), found).expect("as many pixels");
        }
        let table: [u8; 256] = std::array::from_fn(|pixel| self.colour(pixel as u8));
        squeezed.mapv_inplace(|pixel| table[usize::from(pixel)]);
        squeezed
    }

    /// Carries the slopes of the squeezed images' pixels back to those of `images`: to the pixel that is the
    /// median, and as if colours were not rounded (BPDA, Athalye, Carlini, Wagner, ICML 2018).
    pub(super) fn backward(self, images: ArrayView4<u8>, slopes: Array4<f32>) -> Array4<f32> {
        if !self.median || images.is_empty() {
            return slopes;
        }
        let pixels = images.as_standard_layout();
        let pixels = pixels.as_slice().expect("standard layout");
        let mut found = Array4::zeros(images.raw_dim());
        let into: &mut [f32] = found.as_slice_mut().expect("standard layout");
        for (at, &slope) in slopes.iter().enumerate() {
            let taps = taps(at, shape(images));
            into[taps[Median::choose(taps.map(|tap| pixels[tap]))]] += slope;
        }
        found
    }
}

fn shape(images: ArrayView4<u8>) -> Shape {
    let (_, height, width, channels) = images.dim();
    Shape::new(height, width, channels)
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

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::layer::Input;
    use dq_net::random;
    use ndarray::{ArrayView3, Axis};

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
    }

    /// The squeezed image is that of the layers of `net`, in either order.
    #[test]
    fn images_are_squeezed_as_the_layers_do_it() {
        use dq_net::layer::Kind;
        for seed in 0..20 {
            let shape = Shape::new(1 + seed % 5, 1 + seed % 7, 1 + seed % 3);
            let image = random::image(seed as u64, Input::pixels(shape));
            let bits = 1 + (seed % 7) as u8;
            let squeezing: Squeezing = format!("bits={bits},median").parse().unwrap();
            let found = squeezing.apply(image.view().insert_axis(Axis(0)));
            let words = image.mapv(i32::from);
            let median = |x: ArrayView3<i32>| Median.eval(&[x]);
            let level = |x: ArrayView3<i32>| BitDepth { bits }.eval(&[x]);
            let most = f64::from((1u32 << bits) - 1);
            for levels in [level(median(words.view()).view()), median(level(words.view()).view())] {
                let pixels = levels.mapv(|level| (f64::from(level) * 255.0 / most).round() as u8);
                assert_eq!(found.index_axis(Axis(0), 0), pixels, "seed {seed}");
            }
        }
    }
}
