//! Builds the float twin of an integer network: the same weights without quantizers, as another source of
//! gradients. Where its gradients break images that survive the straight-through ones, the quantizers masked
//! the gradients. A twin never judges.

use crate::kernel::Kernel;
use crate::kind::{Site, Twin, kind};
use dq_net::{FloatNetwork, FloatNode, Network, NetworkError};

/// Names that reports give to the sources of gradients beside the straight-through one: the twin, and the network
/// with smooth staircases in the quantizers' place.
pub const LADDER: [&str; 2] = ["float twin", "softened twin"];

/// Returns the float network that computes what `network` would if nothing were rounded: every Step is the
/// line through its thresholds, clipped to its levels. Values are in the units of the integers, logits are
/// real.
pub fn twin(network: &Network) -> Result<FloatNetwork, NetworkError> {
    let mut nodes: Vec<FloatNode> = vec![];
    // The name under which each node's value is read.
    let mut names: Vec<String> = vec![];
    for (i, node) in network.nodes().iter().enumerate() {
        let sources = network.sources(i);
        let Twin { before, layers } = kind(&node.layer).twin(&Site::new(network, i, Kernel::Portable));
        let mut inputs: Vec<String> = sources.iter().map(|&source| names[source].clone()).collect();
        for (input, layer) in inputs.iter_mut().zip(before) {
            let (name, from) = (free_name(network, &nodes, &node.name), vec![input.clone()]);
            input.clone_from(&name);
            nodes.push(FloatNode { name, layer, inputs: from });
        }
        let mut name = node.name.clone();
        for (at, layer) in layers.into_iter().enumerate() {
            if at > 0 {
                inputs = vec![name.clone()];
                name = free_name(network, &nodes, &node.name);
            }
            nodes.push(FloatNode { name: name.clone(), layer, inputs: std::mem::take(&mut inputs) });
        }
        names.push(name);
    }
    FloatNetwork::new(format!("{}_twin", network.name), nodes)
}

/// Returns a name for one more layer of the twin of `node` that neither network has.
fn free_name(network: &Network, nodes: &[FloatNode], node: &str) -> String {
    let mut name = format!("{node}_real");
    while network.nodes().iter().any(|node| node.name == name) || nodes.iter().any(|node| node.name == name) {
        name.push('_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, FloatEngine, GradientSource};
    use dq_data::{Split, load};
    use dq_net::layer::Layer;
    use dq_net::random::{self, Options};
    use ndarray::Axis;

    #[test]
    fn every_kind_of_layer_has_a_twin() {
        for seed in 0..200 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let twin = twin(&network).unwrap();
            let image = random::image(seed, network.input());
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
            for source in [FloatEngine::new(&twin), FloatEngine::softened(&twin)] {
                let logits = source.real_logits(images.pixels.view());
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
