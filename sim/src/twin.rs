//! The float twin of an integer network: the same weights without quantizers, a second source of gradients. Where its
//! gradients break what the straight-through ones leave, the quantizers masked them. Never a judge.

use dq_net::layer::{Layer, Rescale, Step};
use dq_net::{FloatLayer, FloatNetwork, FloatNode, Network, NetworkError};
use ndarray::Array4;

/// The float network that computes what `network` would if nothing were rounded: every Step is the line through its
/// thresholds, clipped to its levels. Values are in the units of the integers, logits are real.
pub fn twin(network: &Network) -> Result<FloatNetwork, NetworkError> {
    let mut nodes: Vec<FloatNode> = vec![];
    // The name under which each node's value is read.
    let mut names: Vec<String> = vec![];
    for (i, node) in network.nodes().iter().enumerate() {
        let (shape, sources) = (network.wire(i).shape, network.sources(i));
        let input = || network.wire(sources[0]).shape;
        let times = |factor: f64| FloatLayer::Affine {
            scale: vec![factor as f32; shape.channels],
            bias: vec![0.0; shape.channels],
        };
        // A layer, and what follows it under the same name.
        let (first, then) = match &node.layer {
            Layer::Input(_) => (FloatLayer::Input { shape }, Some(times(255.0))),
            Layer::Conv(conv) => (
                FloatLayer::Conv {
                    weights: conv.weights.mapv(f32::from),
                    stride: conv.stride,
                    pad: conv.pad,
                    groups: conv.groups,
                },
                None,
            ),
            Layer::Dense(dense) => (FloatLayer::Dense { weights: dense.weights.mapv(f32::from) }, None),
            Layer::Step(step) => (ramp(step), None),
            Layer::MaxPool(pool) => (FloatLayer::MaxPool { window: pool.window, stride: pool.stride }, None),
            Layer::SumPool(pool) => {
                let weights = Array4::ones((shape.channels, pool.window[0], pool.window[1], 1));
                let (stride, pad, groups) = (pool.stride, [0; 4], shape.channels);
                (FloatLayer::Conv { weights, stride, pad, groups }, None)
            }
            Layer::GlobalSum(_) => {
                (FloatLayer::GlobalMean, Some(times((input().height * input().width) as f64)))
            }
            Layer::Mix(mix) => {
                let share = |n: i32| n as f32 / (1u32 << mix.shift) as f32;
                (FloatLayer::Mix { a: share(mix.a), b: share(mix.b) }, None)
            }
            Layer::Rescale(rescale) => (line(rescale), None),
            Layer::BitDepth(depth) => (times(f64::from((1u32 << depth.bits) - 1) / 255.0), None),
            Layer::Median(_) => (FloatLayer::Median, None),
            Layer::Logits(logits) => {
                let bias = logits.bias.iter().map(|&b| (f64::from(b) * logits.scale) as f32).collect();
                (times(logits.scale), Some(FloatLayer::Logits { bias }))
            }
        };
        let inputs = sources.iter().map(|&source| names[source].clone()).collect();
        nodes.push(FloatNode { name: node.name.clone(), layer: first, inputs });
        names.push(node.name.clone());
        if let Some(layer) = then {
            let taken = |name: &String| network.nodes().iter().any(|node| node.name == *name);
            let mut name = format!("{}_real", node.name);
            while taken(&name) {
                name.push('_');
            }
            nodes.push(FloatNode { name: name.clone(), layer, inputs: vec![node.name.clone()] });
            names[i] = name;
        }
    }
    FloatNetwork::new(format!("{}_twin", network.name), nodes)
}

/// The line through a step's thresholds, by its surrogate's slope, between its lowest and its highest level.
fn ramp(step: &Step) -> FloatLayer {
    let (channels, count) = step.thresholds.dim();
    let line = |c: usize| -> (f32, f32) {
        let (gain, row) = (step.surrogate.gain[c], step.thresholds.row(c));
        // The outermost stand for what is never or always crossed where several are equal.
        let inner: Vec<(usize, f64)> = (0..count)
            .filter(|&t| (t == 0 || row[t] > row[t - 1]) && (t + 1 == count || row[t] < row[t + 1]))
            .map(|t| (t, f64::from(row[t])))
            .collect();
        if gain == 0.0 || inner.is_empty() {
            return (0.0, step.level(c, 0) as f32);
        }
        // Level t + ½ lies half a unit below threshold t.
        let bias = inner.iter().map(|(t, at)| *t as f64 + 0.5 - gain.abs() * (at - 0.5)).sum::<f64>();
        (gain as f32, (bias / inner.len() as f64) as f32)
    };
    let (scale, bias) = (0..channels).map(line).unzip();
    FloatLayer::Activation { scale, bias, ceiling: count as f32, bits: None }
}

fn line(rescale: &Rescale) -> FloatLayer {
    let whole = f64::from(rescale.shift).exp2();
    FloatLayer::Affine {
        scale: rescale.mul.iter().map(|&mul| (f64::from(mul) / whole) as f32).collect(),
        // The shift rounds down: half a unit less on average.
        bias: rescale.add.iter().map(|&add| (add as f64 / whole - 0.5) as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, FloatEngine, GradientSource};
    use dq_data::{Split, load};
    use dq_net::random::{self, Options};
    use ndarray::Axis;

    #[test]
    fn every_kind_of_layer_has_a_twin() {
        for seed in 0..200 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let twin = twin(&network).unwrap();
            let image = random::image(seed, network.input_shape());
            let logits = twin.eval(image.view());
            assert!(logits.iter().all(|z| z.is_finite()), "seed {seed}");
            // Where nothing is quantized, the twin is the network.
            let plain = |node: &dq_net::Node| {
                !matches!(node.layer, Layer::Step(_) | Layer::Rescale(_) | Layer::Mix(_) | Layer::BitDepth(_))
            };
            if network.nodes().iter().all(plain) {
                let scale = network.logits().scale;
                for (z, score) in logits.iter().zip(network.eval(image.view())) {
                    let wanted = f64::from(score) * scale;
                    assert!(
                        (z - wanted).abs() <= 1e-4 * wanted.abs().max(scale),
                        "seed {seed}: {z} {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_twin_of_a_trained_network_labels_as_it_does() {
        for file in ["signs-tiny-dq/model.json", "cifar10-wrn-16-4-robust-w4a4.json"] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(file);
            let network = dq_net::read_network(&path).unwrap();
            let images = load("signs", None, Split::Test).unwrap().take(64);
            let engine = Engine::new(&network);
            let labels = engine.labels(images.pixels.view());
            let twin = twin(&network).unwrap();
            for rung in [FloatEngine::new(&twin), FloatEngine::softened(&twin)] {
                let logits = rung.real_logits(images.pixels.view());
                let same = logits
                    .axis_iter(Axis(0))
                    .zip(&labels)
                    .filter(|(z, label)| crate::gradient::arg_max(z.view()) == **label);
                let same = same.count();
                assert!(same > 50, "{file}: {same} of 64");
            }
        }
    }
}
