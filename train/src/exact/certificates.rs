//! Holds bounds of training against the exact graph and against integer certificates: tests alone.

use std::sync::atomic::AtomicBool;

use dq_data::Images;
use dq_sim::WhiteBox;
use dq_sim::study::certify::{Certifier, Outcome};
use ndarray::{Array4, Axis};
use tch::{Device, Kind, Tensor, no_grad};

use super::evaluation::Evaluation;
use super::export::integer;
use crate::fit::batch::Source;
use crate::fit::certified::{around, bounded, certified};
use crate::fit::model::Model;
use crate::graph;
use crate::node::ends::Ends;
use crate::node::kind::Mode;
use crate::random::{Stream, bits, normal};
use crate::recipe::Recipe;

const ALL: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Makes a network of `model` with random gains and biases, gains of both signs, and the statistics of `images`.
fn network(model: &str, seed: u64, images: &Images) -> Model {
    let text = format!("data.set = \"cifar10\"\ntrain.seed = {seed}\n{model}");
    let recipe = Recipe::parse(&text, "test", &[]).unwrap();
    let nodes = graph::build(&recipe.model, recipe.squeeze, &recipe.bits, images.shape(), 4).unwrap();
    let model = Model::new(nodes, &recipe.bits, seed, Device::Cpu);
    no_grad(|| {
        for (k, (name, tensor)) in (0..).zip(&model.values.parameters) {
            let draw = |i| normal(seed, Stream::Probe(k), i) as f32;
            let drawn: Vec<f32> = (0..tensor.numel() as u64).map(draw).collect();
            if name.ends_with(".gain") || name.ends_with(".bias") {
                tensor.shallow_clone().copy_(&(tensor + Tensor::from_slice(&drawn) * 0.7));
            }
        }
        (0..60).for_each(|_| drop(model.forward(&pixels(images), true)));
    });
    model
}

/// Draws images: smooth, so that small balls do not reach from one end of every quantizer to the other.
fn images(seed: u64, [height, width, channels]: [usize; 3]) -> Images {
    let pixel = |(n, y, x, c): (usize, usize, usize, usize)| {
        let wave = (y * (n % 4 + 1) + x * (n / 4 + 1)) as f64 * 0.7 + c as f64;
        (120.0 + 90.0 * wave.sin() + (bits(seed, Stream::Probe(n as u64), (y * 31 + x) as u64) % 20) as f64)
            as u8
    };
    let n = ALL.len();
    let pixels = Array4::from_shape_fn((n, height, width, channels), pixel);
    Images {
        name: "waves".into(),
        pixels,
        labels: (0..n).map(|i| (i % 4) as u8).collect(),
        classes: (0..4).map(|c| c.to_string()).collect(),
    }
}

fn pixels(images: &Images) -> Tensor {
    Source::new(images, Kind::Float, Device::Cpu).pixels(&ALL)
}

/// Returns whole pixels inside `ends`, at the ends of the box or anywhere between.
fn inside(ends: &Ends, seed: u64) -> Tensor {
    let draw = |i| (bits(seed, Stream::Noise(1), i) % 5) as f32 / 4.0;
    let share: Vec<f32> = (0..ends.low.numel() as u64).map(draw).collect();
    let share = Tensor::from_slice(&share).reshape(ends.low.size());
    (&ends.low + (&ends.high - &ends.low) * share).round()
}

const NETWORKS: [&str; 7] = [
    "model = {architecture = \"strided\", blocks = [[5, 4], [6]], dense = [7]}",
    "model = {architecture = \"vgg\", blocks = [[5], [6]], activation = \"tanh\"}\nsqueeze.bits = 5",
    "model = {architecture = \"mlp\", dense = [9]}\nbits = {weights = 2, activations = 3}",
    "model = {architecture = \"vgg\", blocks = [[5], [6]], normalization = \"aol\", lipschitz = 500}",
    "model = {architecture = \"strided\", blocks = [[4]]}\nbits = {activation_step = \"learned\"}",
    "model = {architecture = \"wrn\", depth = 10, width = 0.25}\nsqueeze.median = true",
    "model = {architecture = \"resnet\", depth = 8, width = 0.25, residual = \"add\"}",
];
/// Number of those, from the first, that have no residual streams.
const CHAINS: usize = 5;

/// Whatever lies in the box has every node's output within its bounds, and leads as far as they say.
#[test]
fn bounds_hold_for_every_image_of_the_box() {
    for (network_text, seed) in NETWORKS.iter().flat_map(|text| (1..=4).map(move |seed| (text, seed))) {
        let data = images(seed, [8, 9, 2]);
        let model = network(network_text, seed, &data);
        let (x, labels) = (pixels(&data), Source::new(&data, Kind::Float, Device::Cpu).labels(&ALL));
        let ends = around(&x, [1.0, 4.0, 20.0, 255.0][seed as usize - 1]);
        let mut bounds: Vec<(Tensor, Tensor)> = vec![];
        let found = no_grad(|| {
            bounded(&model, (&x, &labels), &ends, Mode::Evaluate, |_, _, ends| {
                bounds.push((ends.low.copy(), ends.high.copy()));
            })
        });
        for tried in 0..6 {
            let x = inside(&ends, 10 * seed + tried);
            let mut bounds = bounds.iter();
            let own = around(&x, 0.0);
            let other = no_grad(|| {
                bounded(&model, (&x, &labels), &own, Mode::Evaluate, |name, output, point| {
                    let (low, high) = bounds.next().expect("one per node");
                    let ends = Ends::new(low.shallow_clone(), high.shallow_clone());
                    // The scores are sums of real numbers.
                    let slack = if name == "logits" { 1e-3 } else { 0.0 };
                    let apart = (&ends.low - output).maximum(&(output - &ends.high)).max().double_value(&[]);
                    assert!(apart <= slack, "{network_text}, seed {seed}, `{name}`: {apart} outside");
                    // A box of one image has its values as bounds.
                    let width = (&point.high - &point.low).abs().max().double_value(&[]);
                    assert!(width <= slack, "{network_text}, seed {seed}, `{name}`: width {width}");
                })
            });
            let scores = other.scores;
            let leads = scores.gather(1, &labels.unsqueeze(1), false) - scores;
            let short = (&found.leads - leads).max().double_value(&[]);
            assert!(short < 1e-3, "{network_text}, seed {seed}: leads {short} less than its bound");
        }
    }
}

/// In training bounds and images are normalized alike: nearly no value lies outside, where a rounding of batch
/// norm falls to the other side of a threshold.
#[test]
fn bounds_of_training_follow_the_batch() {
    for network_text in NETWORKS {
        let data = images(3, [8, 9, 2]);
        let model = network(network_text, 3, &data);
        let (x, labels) = (pixels(&data), Source::new(&data, Kind::Float, Device::Cpu).labels(&ALL));
        let (mut outside, mut all) = (0, 0);
        no_grad(|| {
            bounded(&model, (&x, &labels), &around(&x, 2.0), Mode::Train, |_, output, ends| {
                let below =
                    ends.low.gt_tensor(&(output + 1e-3)).logical_or(&ends.high.lt_tensor(&(output - 1e-3)));
                outside += below.sum(Kind::Int64).int64_value(&[]);
                all += output.numel() as i64;
            })
        });
        assert!(outside * 1000 < all, "{network_text}: {outside} of {all}");
    }
}

/// Of an exported network with the same statistics the integer bounds prove the same images. Residual streams
/// are left out: their shares and gains are fixed-point numbers in an exported network alone.
#[test]
fn verdicts_are_those_of_integer_certificates() {
    let (mut certified_by, mut open) = (0, 0);
    for (network_text, seed) in
        NETWORKS[..CHAINS].iter().flat_map(|text| (1..=4).map(move |seed| (text, seed)))
    {
        let data = images(seed, [8, 9, 2]);
        let model = network(network_text, seed, &data);
        let statistics =
            model.values.statistics.iter().map(|(name, t)| (name.clone(), t.to_kind(Kind::Double))).collect();
        let evaluation = Evaluation::new(&model, &statistics, data.shape(), Device::Cpu).unwrap();
        let network = integer("test", &evaluation).unwrap();
        let white_box = WhiteBox::new(&network);
        let stop = AtomicBool::new(false);
        let certifier = Certifier::new(&white_box, &stop);
        let x = pixels(&data);
        // The labels are the network's own, so that there is something to prove.
        let own = white_box.engine().labels(data.pixels.view());
        let labels = Tensor::from_slice(&own.iter().map(|&label| label as i64).collect::<Vec<_>>());
        for eps in [0u8, 1, 2, 4] {
            let ends = around(&x, eps.into());
            let verdicts = no_grad(|| {
                let found = bounded(&model, (&x, &labels), &ends, Mode::Evaluate, |_, _, _| {});
                Vec::<bool>::try_from(certified(&found.leads, &labels)).unwrap()
            });
            for ((image, &label), verdict) in data.pixels.axis_iter(Axis(0)).zip(&own).zip(verdicts) {
                let (outcome, _) = certifier.certify(image, label as u8, eps, 1);
                assert_eq!(verdict, outcome == Outcome::Certified, "{network_text}, seed {seed}, eps {eps}");
                if verdict { certified_by += usize::from(eps > 0) } else { open += 1 }
            }
        }
    }
    assert!(certified_by > 50 && open > 50, "{certified_by} certified, {open} open");
}
