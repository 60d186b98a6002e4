//! Draws `signs`: photographs of ten traffic signs, 32×32 RGB, so that everything runs with nothing
//! downloaded.
//!
//! Image `i` of a split is a pure function of (seed, split, i), on every platform and thread count: the
//! arithmetic is f64 with + − × ÷ and sqrt alone, which IEEE 754 rounds exactly; sines and cosines are
//! rational or constants. A mirrored sign is not the sign (a turn to the right, digits), so training must not
//! flip these images. No file is read.

mod faces;
mod random;
mod scene;
mod view;

use ndarray::Array4;
use rayon::prelude::*;

use crate::{Images, Split};
use random::Random;

/// Height and width of an image, in pixels.
pub const SIDE: usize = 32;
/// The seed of the images that [`load`](crate::load) gives.
pub const SEED: u64 = 0x5167_4e53;
/// How many images [`load`](crate::load) gives for training.
pub const TRAIN: usize = 8_000;
/// How many images [`load`](crate::load) gives for testing.
pub const TEST: usize = 2_000;

const SET: &str = "signs";
const CLASSES: usize = faces::NAMES.len();

/// Holds a colour or the light in it: red, green, blue; 0 is black and 255 is white, before the camera clips.
type Rgb = [f64; 3];
/// Holds an image that is being drawn, row-major.
type Canvas = [Rgb; SIDE * SIDE];

/// Draws the split that this data set stands for: [`TRAIN`] or [`TEST`] images with [`SEED`].
pub(super) fn load(split: Split) -> Images {
    match split {
        Split::Train => draw(SEED, split, TRAIN),
        Split::Test => draw(SEED, split, TEST),
    }
}

/// Draws the first `count` images of a split. Each block of ten consecutive images has every class once.
///
/// The splits of one seed share no random stream, and neither do two seeds.
pub fn draw(seed: u64, split: Split, count: usize) -> Images {
    let stream = match split {
        Split::Train => 1,
        Split::Test => 2,
    };
    let faces = faces::paint_all();
    let mut pixels = vec![0; count * SIDE * SIDE * 3];
    let mut labels = vec![0; count];
    pixels.par_chunks_exact_mut(SIDE * SIDE * 3).zip(labels.par_iter_mut()).enumerate().for_each(
        |(index, (image, label))| {
            let class = class_of(seed, stream, index);
            let mut random = Random::new([seed, stream, index as u64, 1]);
            let canvas = photograph(&faces[class], &mut random);
            for (bytes, light) in image.chunks_exact_mut(3).zip(canvas) {
                for (byte, light) in bytes.iter_mut().zip(light) {
                    *byte = (light + 0.5) as u8; // `as` saturates: the camera clips
                }
            }
            *label = class as u8;
        },
    );
    Images {
        name: SET.to_owned(),
        pixels: Array4::from_shape_vec((count, SIDE, SIDE, 3), pixels)
            .expect("three bytes were laid out for each pixel of each image"),
        labels,
        classes: faces::NAMES.map(str::to_owned).to_vec(),
    }
}

/// Returns the class of an image: each block of ten images holds the classes in a random order.
fn class_of(seed: u64, stream: u64, index: usize) -> usize {
    let mut random = Random::new([seed, stream, (index / CLASSES) as u64, 0]);
    let mut order: [usize; CLASSES] = std::array::from_fn(|class| class);
    for last in (1..CLASSES).rev() {
        order.swap(last, random.below(last + 1));
    }
    order[index % CLASSES]
}

/// Draws one photograph of a sign: background, pole, sign, what hides a part of it, light and camera.
fn photograph(variants: &[faces::Face], random: &mut Random) -> Canvas {
    let mut canvas = scene::background(random);
    let pose = view::Pose::random(random);
    scene::pole(&mut canvas, &pose, random);
    view::mount(&mut canvas, &variants[random.below(variants.len())], &pose, random);
    if random.chance(0.4) {
        scene::occlude(&mut canvas, &pose, random);
    }
    view::expose(&mut canvas, random);
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixels_are_pinned() {
        let digests = [Split::Train, Split::Test].map(|split| load(split).digest());
        assert_eq!(
            digests,
            [
                "0d446a22a8e81a1477566e42bb64ba8244524b9e87c9f79ac61c222e3998e376",
                "0c72cc3f4b7b7e1efe901466bf7808df8475a0d056adcc96224f93c098b40102",
            ]
        );
    }

    #[test]
    fn an_image_depends_on_seed_split_and_index_alone() {
        let all = draw(3, Split::Train, 40);
        assert_eq!(draw(3, Split::Train, 15), all.take(15));
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one.install(|| draw(3, Split::Train, 40)), all);
        for other in [draw(4, Split::Train, 40), draw(3, Split::Test, 40)] {
            let shared = (0..40).flat_map(|i| (0..40).map(move |j| (i, j))).filter(|&(i, j)| {
                all.pixels.index_axis(ndarray::Axis(0), i) == other.pixels.index_axis(ndarray::Axis(0), j)
            });
            assert_eq!(shared.count(), 0);
        }
    }

    #[test]
    fn classes_are_balanced_in_blocks_of_ten() {
        for block in draw(5, Split::Test, 50).labels.chunks(10) {
            let mut sorted = block.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
    }

    #[test]
    fn images_have_contrast_and_no_colour_is_stuck() {
        let images = draw(6, Split::Train, 200);
        for (index, image) in images.pixels.outer_iter().enumerate() {
            let (low, high) = image.iter().fold((255, 0), |(low, high), &p| (p.min(low), p.max(high)));
            assert!(high - low > 40, "image {index} spans only {low} to {high}");
        }
        for channel in 0..3 {
            let plane = images.pixels.slice(ndarray::s![.., .., .., channel]);
            let mean = plane.iter().map(|&p| f64::from(p)).sum::<f64>() / plane.len() as f64;
            assert!((70.0..150.0).contains(&mean), "channel {channel}: mean {mean}");
        }
    }
}
