//! Computes natural corruptions: the kinds of CIFAR-10-C (Hendrycks, Dietterich, ICLR 2019), with its
//! parameters for images of 32 pixels and five severities. Frost is left out, which is made of photographs.
//! The images are not those of the published set, whose random numbers are its own. Corruptions are never
//! adversarial: none looks at a network.

mod blur;
mod digital;
mod noise;
pub(crate) mod plane;
mod weather;

use super::{Stopped, Watch};
use crate::attack::suite::Judge;
use crate::random::Random;
use crate::report::{Model, Tally};
use dq_data::Images;
use ndarray::{Array3, Array4, ArrayView4, Axis};
use rayon::prelude::*;
use serde::Serialize;

/// Lists every corruption with its name, in the published order.
const ALL: &[(&str, Corruption)] = &[
    ("gaussian-noise", noise::gaussian),
    ("shot-noise", noise::shot),
    ("impulse-noise", noise::impulse),
    ("defocus-blur", blur::defocus),
    ("glass-blur", blur::glass),
    ("motion-blur", blur::motion),
    ("zoom-blur", blur::zoom),
    ("snow", weather::snow),
    ("fog", weather::fog),
    ("brightness", weather::brightness),
    ("contrast", digital::contrast),
    ("elastic", digital::elastic),
    ("pixelate", digital::pixelate),
    ("jpeg", digital::jpeg),
];

/// Lists the names of the corruptions, in the published order.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// Changes an image (height × width × channels, 0 to 1; not yet clipped) by severity 0 to 4.
type Corruption = fn(Array3<f32>, usize, &mut Random) -> Array3<f32>;

/// Says which corrupted images are classified.
#[derive(Clone, Debug)]
pub struct Corruptions {
    /// Names of the corruptions.
    pub kinds: Vec<String>,
    /// Severities, 1 to 5.
    pub severities: Vec<u8>,
}

/// Holds what one network made of the corrupted images.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The network.
    pub model: Model,
    /// Accuracy on the images as they are.
    pub clean: Tally,
    /// One row per corruption.
    pub kinds: Vec<Row>,
    /// Mean error over kinds and severities.
    pub mean_error: f64,
}

/// Describes the results under one corruption.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the corruption.
    pub kind: String,
    /// Accuracy at each severity.
    pub accuracy: Vec<Tally>,
}

/// Classifies `images`, as they are and corrupted, by each of `targets`. `corrupted` gives the images at
/// consecutive positions under a corruption of a severity, such as [`corrupt`] computes them. Ticks once per
/// corrupted image.
///
/// # Errors
/// The inner error is that of `corrupted`.
pub fn measure<E>(
    targets: &[&dyn Judge],
    images: &Images,
    corruptions: &Corruptions,
    mut corrupted: impl FnMut(&str, u8, &[usize]) -> Result<Array4<u8>, E>,
    watch: Watch,
) -> Result<Result<Vec<Found>, E>, Stopped> {
    let as_they_are = |block: &[usize]| Ok(images.pixels.select(Axis(0), block));
    let clean = match count(targets, images, as_they_are, watch)? {
        Ok(clean) => clean,
        Err(error) => return Ok(Err(error)),
    };
    let mut found: Vec<Found> = targets
        .iter()
        .zip(clean)
        .map(|(target, clean)| Found { model: target.model(), clean, kinds: vec![], mean_error: 0.0 })
        .collect();
    for kind in &corruptions.kinds {
        found.iter_mut().for_each(|found| found.kinds.push(Row { kind: kind.clone(), accuracy: vec![] }));
        for &severity in &corruptions.severities {
            let changed = |block: &[usize]| {
                (watch.tick)(block.len() as u64);
                corrupted(kind, severity, block)
            };
            let tallies = match count(targets, images, changed, watch)? {
                Ok(tallies) => tallies,
                Err(error) => return Ok(Err(error)),
            };
            for (found, tally) in found.iter_mut().zip(tallies) {
                found.kinds.last_mut().expect("just added").accuracy.push(tally);
            }
        }
    }
    for found in &mut found {
        let errors = found.kinds.iter().flat_map(|row| &row.accuracy).map(|tally| 1.0 - tally.accuracy);
        found.mean_error =
            errors.sum::<f64>() / (corruptions.kinds.len() * corruptions.severities.len()) as f64;
    }
    Ok(Ok(found))
}

/// Counts each target's right labels of the pixels that `shown` gives for each block of positions.
fn count<E>(
    targets: &[&dyn Judge],
    images: &Images,
    mut shown: impl FnMut(&[usize]) -> Result<Array4<u8>, E>,
    watch: Watch,
) -> Result<Result<Vec<Tally>, E>, Stopped> {
    let mut right = vec![0; targets.len()];
    let indices: Vec<usize> = (0..images.len()).collect();
    for block in indices.chunks(256) {
        watch.check()?;
        let pixels = match shown(block) {
            Ok(pixels) => pixels,
            Err(error) => return Ok(Err(error)),
        };
        for (target, right) in targets.iter().zip(&mut right) {
            let verdicts = target.judge(pixels.view());
            let labels = verdicts.iter().zip(block);
            *right += labels.filter(|(v, i)| v.label == usize::from(images.labels[**i])).count();
        }
    }
    Ok(Ok(right.into_iter().map(|right| Tally::new(right, images.len())).collect()))
}

/// Corrupts `images` (batch × height × width × channels) by severity 1 to 5. What becomes of an image is a
/// function of `seed`, the corruption, the severity and the image's place in `indices` alone.
///
/// # Panics
/// If no corruption has this name, or the severity is another.
pub fn corrupt(images: ArrayView4<u8>, indices: &[usize], name: &str, severity: u8, seed: u64) -> Array4<u8> {
    let (_, corruption) = ALL.iter().find(|(known, _)| *known == name).expect("a corruption of ALL");
    assert!((1..=5).contains(&severity), "severity 1 to 5");
    let mut all = Array4::zeros(images.raw_dim());
    let rows = all.axis_iter_mut(Axis(0)).into_par_iter().zip(images.axis_iter(Axis(0)).into_par_iter());
    rows.zip(indices).for_each(|((mut to, image), &index)| {
        let mut random = Random::keyed(seed, name, severity, index as u64);
        let image = image.mapv(|pixel| f32::from(pixel) / 255.0);
        let found = corruption(image, usize::from(severity) - 1, &mut random);
        to.zip_mut_with(&found, |to, &v| *to = (v.clamp(0.0, 1.0) * 255.0).round() as u8);
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_data::{Split, load};

    fn mean_distance(a: &Array4<u8>, b: ArrayView4<u8>) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
    }

    #[test]
    fn every_corruption_changes_images_more_with_severity_and_the_same_way_each_time() {
        let images = load("signs", None, Split::Test).unwrap().take(24);
        let indices: Vec<usize> = (0..images.len()).collect();
        for (name, _) in ALL {
            let distances: Vec<f64> = (1..=5)
                .map(|severity| {
                    let found = corrupt(images.pixels.view(), &indices, name, severity, 1);
                    assert_eq!(found, corrupt(images.pixels.view(), &indices, name, severity, 1));
                    mean_distance(&found, images.pixels.view())
                })
                .collect();
            assert!(distances[0] > 0.1 && distances[4] < 110.0, "{name}: {distances:?}");
            // Neighbouring severities may change several parameters at once, the ends are far apart. Elastic
            // distortion goes from shifting the whole to bending parts, which moves fewer pixels.
            assert!(*name == "elastic" || distances[4] > 1.1 * distances[0], "{name}: {distances:?}");
        }
    }

    #[test]
    fn an_image_is_corrupted_alone_and_grey_ones_too() {
        let images = load("signs", None, Split::Test).unwrap().take(6);
        let grey = images.pixels.slice(ndarray::s![.., ..28, ..28, ..1]);
        for (name, _) in ALL {
            let all = corrupt(grey, &[0, 1, 2, 3, 4, 5], name, 3, 7);
            let one = corrupt(grey.slice(ndarray::s![4..5, .., .., ..]), &[4], name, 3, 7);
            assert_eq!(all.index_axis(Axis(0), 4), one.index_axis(Axis(0), 0), "{name}");
        }
    }
}
