//! Squeezes batches of images, fast, as [`Squeezing`] says, and carries slopes back through it.

use crate::kind::median::{medians, taps};
use dq_net::layer::Median;
use dq_net::{Shape, Squeezing};
use ndarray::{Array4, ArrayView4};

/// Squeezes `images` (batch × height × width × channels).
pub fn apply(squeezing: Squeezing, images: ArrayView4<u8>) -> Array4<u8> {
    let mut squeezed = images.as_standard_layout().into_owned();
    if squeezing.has_median() && !images.is_empty() {
        let pixels = squeezed.as_slice().expect("standard layout");
        let found = medians(pixels, shape(images));
        squeezed = Array4::from_shape_vec(squeezed.raw_dim(), found).expect("as many pixels");
    }
    let table: [u8; 256] = std::array::from_fn(|pixel| squeezing.colour(pixel as u8));
    squeezed.mapv_inplace(|pixel| table[usize::from(pixel)]);
    squeezed
}

/// Carries the slopes of the squeezed images' pixels back to those of `images`: to the pixel that is the
/// median, and as if colours were not rounded (BPDA, Athalye, Carlini, Wagner, ICML 2018).
pub fn backward(squeezing: Squeezing, images: ArrayView4<u8>, slopes: Array4<f32>) -> Array4<f32> {
    if !squeezing.has_median() || images.is_empty() {
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

fn shape(images: ArrayView4<u8>) -> Shape {
    let (_, height, width, channels) = images.dim();
    Shape::new(height, width, channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::layer::Input;
    use dq_net::random;
    use ndarray::Axis;

    #[test]
    fn batches_are_squeezed_as_images_are() {
        for seed in 0..20 {
            let shape = Shape::new(1 + seed % 5, 1 + seed % 7, 1 + seed % 3);
            let images = random::images(seed as u64, 3, Input::pixels(shape));
            for squeezing in [format!("bits={}", 1 + seed % 7), "median".into(), "bits=3,median".into()] {
                let squeezing: Squeezing = squeezing.parse().unwrap();
                let found = apply(squeezing, images.view());
                for (found, image) in found.axis_iter(Axis(0)).zip(images.axis_iter(Axis(0))) {
                    assert_eq!(found, squeezing.eval(image), "seed {seed}");
                }
            }
        }
    }
}
