//! Compares scores and nodes with the reference, bit for bit.

use dq_data::Split;
use dq_net::random::{self, Options};
use dq_net::{Layer, Network};
use dq_sim::Engine;
use dq_sim::attack::suite::Circuit;
use dq_torch::TorchEngine;
use ndarray::Axis;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use tch::Device;

/// Returns the folder of the shipped networks.
pub fn models() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// Puts a network on the CPU of libtorch. One thread is the fastest for networks this small.
pub fn on_cpu(network: &Network) -> TorchEngine {
    tch::set_num_threads(1);
    TorchEngine::new(network, Device::Cpu).unwrap_or_else(|error| panic!("{}: {error}", network.name))
}

/// Compares every node of `count` images with the reference.
fn agrees(network: &Network, count: usize, seed: u64) {
    let images = random::images(seed * 1000, count, network.input());
    let engine = on_cpu(network);
    let (scores, nodes) = (engine.scores(images.view()), engine.nodes(images.view()));
    for (b, image) in images.outer_iter().enumerate() {
        let wanted = network.eval_nodes(image);
        for ((node, found), wanted) in network.nodes().iter().zip(&nodes).zip(&wanted) {
            assert_eq!(found.index_axis(Axis(0), b), wanted, "seed {seed}, node {}", node.name);
        }
        assert_eq!(scores.row(b).to_vec(), network.eval(image), "seed {seed}");
    }
}

#[test]
fn random_networks_of_every_kind_of_layer_are_the_reference() {
    let mut kinds = BTreeSet::new();
    for seed in 0..150 {
        let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
        // More images than a block holds, so that the last block is a part of one.
        agrees(&network, 11, seed);
        kinds.extend(network.nodes().iter().map(|node| node.layer.kind().name()));
    }
    assert_eq!(kinds.len(), Layer::KINDS.len(), "{kinds:?}");
}

#[test]
fn every_width_is_the_reference() {
    for bits in 1..=8 {
        for seed in 0..6 {
            let options = Options {
                max_channels: 40,
                max_layers: 8,
                weight_bits: Some(bits),
                level_bits: Some(9 - bits),
                residuals: seed % 2 == 1,
                ..Options::default()
            };
            agrees(&random::network(seed, &options), 3, seed);
            agrees(&random::network(seed, &Options { level_bits: Some(bits), ..options }), 3, seed);
        }
    }
}

#[test]
fn no_images_have_no_scores() {
    let network = random::network(5, &Options::default());
    let none = random::images(0, 0, network.input());
    assert_eq!(on_cpu(&network).scores(none.view()).dim(), (0, network.classes()));
}

/// Shipped networks have the engine's scores on test images, where the data set is at hand.
#[test]
fn shipped_networks_are_the_engine() {
    let mut sets = vec![("signs", None, "signs-tiny-dq/model.json", 300)];
    match std::env::var_os("DQ_DATA").map(PathBuf::from) {
        Some(data) => sets.extend([
            ("cifar10", Some(data.join("cifar-10")), "cifar10-vgg-small-w4a4-dq.json", 200),
            ("mnist", Some(data.join("mnist")), "mnist-mlp-certified.json", 500),
        ]),
        // This is not `eprintln!`, which the test harness swallows where a test passes.
        None => writeln!(std::io::stderr(), "\nSKIPPED networks: DQ_DATA names no folder with data sets")
            .expect("standard error is open"),
    }
    for (set, folder, model, count) in sets {
        let network = dq_net::read_network(&models().join(model)).expect("shipped");
        let images = dq_data::load(set, folder.as_deref(), Split::Test).expect("published files").take(count);
        let found = on_cpu(&network).scores(images.pixels.view());
        assert_eq!(found, Engine::new(&network).scores(images.pixels.view()), "{model}");
    }
}
