//! The engine's straight-through gradient against libtorch's autograd on the trained run: what attacks follow is the
//! slope of the very model that was trained.
#![cfg(feature = "train")]

use crate::run::root;
use dq_net::data::{Split, load};
use dq_sim::{Engine, GradientSource, Loss};

/// Test images compared: 48 × 32 × 32 × 3 pixels.
const IMAGES: usize = 48;

#[test]
fn the_engines_gradient_is_autograds() {
    let run = root().join("models/signs-tiny-dq");
    let network = dq_net::read_network(&run.join("model.json")).unwrap();
    let images = load("signs", None, Split::Test).unwrap().take(IMAGES);
    let evaluation = dq_train::evaluation(&run, None, None).unwrap();
    let (losses, slopes) = evaluation.loss_gradient(&images);
    let found = Engine::new(&network).loss_gradient(images.pixels.view(), &images.labels, Loss::CrossEntropy);

    for (i, (found, wanted)) in found.losses.iter().zip(&losses).enumerate() {
        assert!(
            (found - wanted).abs() <= 1e-9 * (1.0 + wanted),
            "image {i}: loss {found}, autograd's {wanted}"
        );
    }
    let (mut alive, mut same_sign) = (0, 0);
    for (i, (found, wanted)) in found.gradient.outer_iter().zip(slopes.outer_iter()).enumerate() {
        // Rounding errors are relative to the terms of a pixel's sum, which are of the size of the image's largest slopes.
        let largest = wanted.iter().fold(0f64, |most, slope| most.max(slope.abs()));
        alive += usize::from(largest > 0.0);
        for (at, &wanted) in wanted.indexed_iter() {
            let found = f64::from(found[at]);
            let error = (found - wanted).abs();
            assert!(error <= 1e-5 * largest, "image {i}, {at:?}: {found:e}, autograd's {wanted:e}");
            same_sign += usize::from(sign(found) == sign(wanted));
        }
    }
    assert_eq!(alive, IMAGES, "an image without any slope says nothing");
    let share = same_sign as f64 / slopes.len() as f64;
    assert!(share >= 0.9999, "only {:.4} % of the pixels have autograd's sign", 100.0 * share);
    // Slopes by the wrong label differ, so equality is no accident of the comparison.
    let wrong: Vec<u8> = images.labels.iter().map(|label| (label + 1) % images.classes.len() as u8).collect();
    let other = Engine::new(&network).loss_gradient(images.pixels.view(), &wrong, Loss::CrossEntropy);
    assert_ne!(other.gradient, found.gradient);
}

/// −1, 0 or +1: what FGSM and its kin read of a slope.
fn sign(slope: f64) -> i8 {
    i8::from(slope > 0.0) - i8::from(slope < 0.0)
}
