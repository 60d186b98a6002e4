//! Compares the engine's straight-through gradient with libtorch's autograd on the trained run: attacks
//! follow the slope of the very model that was trained.
#![cfg(feature = "train")]

use crate::run::root;
use dq_data::{Images, Split, load};
use dq_net::{AnyNetwork, Network};
use dq_sim::{GradientSource, Loss, WhiteBox};
use dq_train::{Compute, Evaluation, Options, Recipe};
use ndarray::Array4;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The device where libtorch computes, with the same results on every run.
const CPU: Compute = Compute::one_thread();

/// Number of test images that are compared: 48 × 32 × 32 × 3 pixels.
const IMAGES: usize = 48;

#[test]
fn the_engines_gradient_is_autograds() {
    let run = root().join("models/signs-tiny-dq");
    let network = dq_net::read_network(&run.join("model.json")).unwrap();
    let images = load("signs", None, Split::Test).unwrap().take(IMAGES);
    let evaluation = dq_train::evaluation(&run, None, None, CPU).unwrap();
    let found = compare(&evaluation, &network, &images);
    // Slopes by the wrong label differ, so equality is no accident of the comparison.
    let wrong: Vec<u8> = images.labels.iter().map(|label| (label + 1) % images.classes.len() as u8).collect();
    let other = WhiteBox::new(&network).loss_gradient(images.pixels.view(), &wrong, Loss::CrossEntropy);
    assert_ne!(other.gradient, found);
}

/// Residual streams, other activations, learned steps, squeezed inputs: networks of every kind, trained for a
/// few steps.
#[test]
fn so_it_is_for_networks_of_every_kind() {
    let data = load("signs", None, Split::Train).unwrap().take(460);
    for settings in [
        ["model.architecture=\"wrn\"", "model.depth=10", "squeeze.median=true", "bits.weights=3"],
        [
            "model.architecture=\"resnet\"",
            "model.depth=8",
            "model.residual=\"add\"",
            "model.activation=\"relu1\"",
        ],
        ["model.architecture=\"cnv\"", "model.activation=\"tanh\"", "bits.activations=2", "squeeze.bits=5"],
        [
            "model.architecture=\"mlp\"",
            "model.dense=[12]",
            "bits.activation_step=\"learned\"",
            "bits.weights=2",
        ],
        [
            "model.architecture=\"vgg\"",
            "model.activation=\"sign\"",
            "bits.activations=1",
            "model.blocks=[[8],[8]]",
        ],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut overrides: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        overrides.extend(["model.width=0.25", "data.holdout=50", "train.epochs=3"].map(str::to_owned));
        let recipe = Recipe::parse("train.batch = 41", "test", &overrides).unwrap();
        let (run, stop) = (folder.path(), AtomicBool::new(false));
        let options =
            Options { run, resume: false, init: None, compute: CPU, save_every: Duration::MAX, stop: &stop };
        dq_train::train(&recipe, &data, &options, |_| {}).unwrap();
        let AnyNetwork::Integer(network) =
            dq_train::export(run, None, Some(&data), dq_train::Keep::InRun, CPU).unwrap()
        else {
            panic!("{settings:?}: not an integer network")
        };
        let evaluation = dq_train::evaluation(run, None, None, CPU).unwrap();
        compare(&evaluation, &network, &steep(&evaluation, &data));
    }
}

/// Returns the first images of `data` whose loss has a slope. How many have none depends on the weights, and
/// those on the processor that trained them.
fn steep(evaluation: &Evaluation, data: &Images) -> Images {
    let mut chosen = Vec::new();
    let all: Vec<usize> = (0..data.len()).collect();
    for indices in all.chunks(IMAGES) {
        let (_, slopes) = evaluation.loss_gradient(&data.select(indices));
        let steep =
            indices.iter().zip(slopes.outer_iter()).filter(|(_, image)| image.iter().any(|&s| s != 0.0));
        chosen.extend(steep.map(|(&i, _)| i));
        if chosen.len() >= IMAGES {
            return data.select(&chosen[..IMAGES]);
        }
    }
    panic!("only {} of {} images have a slope", chosen.len(), data.len());
}

/// Losses and slopes of both, image by image; gives the engine's slopes.
fn compare(evaluation: &Evaluation, network: &Network, images: &Images) -> Array4<f32> {
    let name = network.nodes()[1].name.clone();
    let (losses, slopes) = evaluation.loss_gradient(images);
    let found =
        WhiteBox::new(network).loss_gradient(images.pixels.view(), &images.labels, Loss::CrossEntropy);
    for (i, (found, wanted)) in found.losses.iter().zip(&losses).enumerate() {
        assert!(
            (found - wanted).abs() <= 1e-9 * (1.0 + wanted),
            "{name}, image {i}: loss {found}, autograd's {wanted}"
        );
    }
    let (mut alive, mut same_sign) = (0, 0);
    for (i, (found, wanted)) in found.gradient.outer_iter().zip(slopes.outer_iter()).enumerate() {
        // Rounding errors are relative to the terms of a pixel's sum, which are of the size of the image's
        // largest slopes.
        let largest = wanted.iter().fold(0f64, |most, slope| most.max(slope.abs()));
        alive += usize::from(largest > 0.0);
        for (at, &wanted) in wanted.indexed_iter() {
            let found = f64::from(found[at]);
            let error = (found - wanted).abs();
            assert!(error <= 1e-5 * largest, "{name}, image {i}, {at:?}: {found:e}, autograd's {wanted:e}");
            same_sign += usize::from(sign(found) == sign(wanted));
        }
    }
    assert_eq!(alive, IMAGES, "{name}: an image without any slope says nothing");
    let share = same_sign as f64 / slopes.len() as f64;
    assert!(share >= 0.9999, "{name}: only {:.4} % of the pixels have autograd's sign", 100.0 * share);
    found.gradient
}

/// Returns −1, 0 or +1: what FGSM and its kin read of a slope.
fn sign(slope: f64) -> i8 {
    i8::from(slope > 0.0) - i8::from(slope < 0.0)
}
