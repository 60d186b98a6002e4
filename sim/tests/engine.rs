//! Compares the fast engine with the reference: every node of random networks, on every kernel.

use dq_net::random::{self, Options};
use dq_sim::{Engine, Kernel};
use ndarray::{Array4, Axis};

/// Draws `count` random images for `network`.
fn images(network: &dq_net::Network, count: usize, seed: u64) -> Array4<u8> {
    let (height, width, channels) = network.input_shape().dim();
    let mut images = Array4::zeros((count, height, width, channels));
    for (i, mut image) in images.outer_iter_mut().enumerate() {
        image.assign(&random::image(seed * 1000 + i as u64, network.input()));
    }
    images
}

fn agrees(seed: u64, options: &Options) {
    let network = random::network(seed, options);
    let images = images(&network, 11, seed);
    for kernel in Kernel::available() {
        let engine = Engine::with_kernel(&network, kernel);
        let (scores, nodes) = (engine.scores(images.view()), engine.nodes(images.view()));
        for (b, image) in images.outer_iter().enumerate() {
            let wanted = network.eval_nodes(image);
            for (i, wanted) in wanted.iter().enumerate() {
                let name = &network.nodes()[i].name;
                assert_eq!(nodes[i].index_axis(Axis(0), b), wanted, "seed {seed}, {kernel:?}, node {name}");
            }
            let wanted = network.eval(image);
            assert_eq!(scores.row(b).to_vec(), wanted, "seed {seed}, {kernel:?}");
        }
    }
}

#[test]
fn random_networks_agree_on_every_kernel() {
    for seed in 0..400 {
        agrees(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
    }
}

#[test]
fn every_width_agrees_on_every_kernel() {
    for bits in 1..=8 {
        for seed in 0..12 {
            let options = Options {
                max_channels: 40,
                max_layers: 8,
                weight_bits: Some(bits),
                level_bits: Some(9 - bits),
                residuals: seed % 2 == 1,
                ..Options::default()
            };
            agrees(seed, &options);
            agrees(seed, &Options { level_bits: Some(bits), ..options });
        }
    }
}

/// Levels and weights of one bit, of which there are as many as are counted in words, and a few more.
#[test]
fn one_bit_agrees_on_every_kernel() {
    for seed in 0..12 {
        let options = Options {
            max_channels: 140,
            max_layers: 5,
            weight_bits: Some(1),
            level_bits: Some(1),
            residuals: seed % 3 == 1,
            ..Options::default()
        };
        agrees(seed, &options);
    }
}

#[test]
fn views_that_are_not_contiguous_and_empty_batches() {
    let network = random::network(5, &Options::default());
    let engine = Engine::new(&network);
    let images = images(&network, 9, 5);
    let all = engine.scores(images.view());
    let mut reversed = images.view();
    reversed.invert_axis(Axis(0));
    let mut scores = engine.scores(reversed);
    scores.invert_axis(Axis(0));
    assert_eq!(scores, all);
    assert_eq!(engine.scores(images.slice(ndarray::s![..0, .., .., ..])).dim().0, 0);
}
