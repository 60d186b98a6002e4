//! Computes relative distances between two images at every node of a network, and at one quantizer for
//! several widths.

use super::{Block, Inside, Line};
use ndarray::{ArrayView4, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Number of images whose values are in memory at a time.
const BLOCK: usize = 32;

/// Sums up a distance over images. Those whose clean values are all zeros have no relative distance and are
/// left out, whatever noise does to them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// Mean; `None` where all images are left out.
    pub mean: Option<f64>,
    /// Standard deviation over the images; `None` for fewer than two.
    pub deviation: Option<f64>,
    /// Number of images that count.
    pub images: usize,
}

impl Distance {
    /// Sums up the distances of single images.
    pub fn of(all: &[Option<f64>]) -> Self {
        let known: Vec<f64> = all.iter().copied().flatten().collect();
        let images = known.len();
        let mean = known.iter().sum::<f64>() / images as f64;
        let square = known.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>();
        let deviation = || (square / (images - 1) as f64).sqrt();
        Self { mean: (images > 0).then_some(mean), deviation: (images > 1).then(deviation), images }
    }
}

/// Holds the distances of single images, `None` where the clean values are all zeros.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distances {
    /// Distances at each node's output: node × image.
    pub nodes: Vec<Vec<Option<f64>>>,
    /// Distances at the quantizer before it rounds; empty where none was named.
    pub unquantized: Vec<Option<f64>>,
    /// Distances at the quantizer after it has rounded: width × image.
    pub quantized: Vec<Vec<Option<f64>>>,
}

impl Distances {
    /// Adds further images.
    pub(super) fn extend(&mut self, more: Self) {
        let join = |all: &mut Vec<Vec<Option<f64>>>, more: Vec<Vec<Option<f64>>>| {
            all.resize(more.len(), vec![]);
            all.iter_mut().zip(more).for_each(|(all, more)| all.extend(more));
        };
        join(&mut self.nodes, more.nodes);
        self.unquantized.extend(more.unquantized);
        join(&mut self.quantized, more.quantized);
    }
}

/// Computes `‖v(x') − v(x)‖₂ / ‖v(x)‖₂` at every node's output and, for `block`, of its unrounded values and
/// of the same values rounded to each width. `clean` and `changed` are batch × height × width × channels.
///
/// Levels count from 0, also where level 0 stands for another real value.
///
/// # Panics
/// If the shapes differ or are not the network's, or if `block` is no quantizer.
pub fn distances(
    network: &dyn Inside,
    clean: ArrayView4<u8>,
    changed: ArrayView4<u8>,
    block: Option<&Block>,
) -> Distances {
    assert_eq!(clean.dim(), changed.dim(), "one image for each");
    let line = block.map(|block| network.line(block.node).expect("a quantizer"));
    let mut all = Distances::default();
    let parts = clean.axis_chunks_iter(Axis(0), BLOCK).zip(changed.axis_chunks_iter(Axis(0), BLOCK));
    for (clean, changed) in parts {
        let count = clean.dim().0;
        let (clean, changed) = (network.values(clean), network.values(changed));
        let at = |node: usize, image: usize| [&clean, &changed].map(|values| values.at(node, image));
        let of_node = |node: usize| (0..count).map(|image| relative(&at(node, image))).collect();
        let mut part = Distances {
            nodes: (0..network.names().len()).into_par_iter().map(of_node).collect(),
            ..Distances::default()
        };
        if let (Some(block), Some(line)) = (block, &line) {
            let source = network.source(block.node);
            let real: Vec<[Vec<f64>; 2]> =
                (0..count).map(|image| at(source, image).map(|values| line.clipped(&values))).collect();
            part.unquantized = real.iter().map(relative).collect();
            let rounded = |&bits: &u8| {
                real.par_iter()
                    .map(|pair| relative(&pair.each_ref().map(|v| Line::rounded(v, bits))))
                    .collect()
            };
            part.quantized = block.bits.iter().map(rounded).collect();
        }
        all.extend(part);
    }
    all
}

/// Returns the distance between two lists of values, relative to the size of the first.
fn relative([clean, changed]: &[Vec<f64>; 2]) -> Option<f64> {
    let size: f64 = clean.iter().map(|v| v * v).sum();
    let moved: f64 = clean.iter().zip(changed).map(|(a, b)| (b - a) * (b - a)).sum();
    (size > 0.0).then(|| (moved / size).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FloatEngine, WhiteBox};
    use dq_net::float::layer as float;
    use dq_net::layer::{Dense, Input, Layer, Logits, Step, Surrogate};
    use dq_net::random::{self, Options};
    use dq_net::{FloatLayer, FloatNetwork, FloatNode, Network, Node, Shape};
    use ndarray::{Array4, array};

    /// A network of two pixels, each with a 2-bit quantizer of slope 1/10 whose line crosses 1/20 at 0.
    fn tiny() -> Network {
        let node = |name: &str, layer, inputs: &[&str]| Node {
            name: name.into(),
            layer,
            inputs: inputs.iter().map(|&input| input.into()).collect(),
        };
        let eye = || Layer::Dense(Dense { weights: array![[1, 0], [0, 1]], weight_bits: 2 });
        let surrogate =
            Surrogate { gain: vec![0.1; 2], open_lo: vec![0; 2], open_hi: vec![29; 2], unit: 1.0 };
        let thresholds = array![[5, 15, 25], [5, 15, 25]];
        let nodes = vec![
            node("input", Layer::Input(Input::pixels(Shape::new(1, 1, 2))), &[]),
            node("first", eye(), &["input"]),
            node("step", Layer::Step(Step { bits: 2, dir: vec![1; 2], thresholds, surrogate }), &["first"]),
            node("second", eye(), &["step"]),
            node("logits", Layer::Logits(Logits { bias: vec![0; 2], scale: 1.0 }), &["second"]),
        ];
        Network::new("tiny", nodes).unwrap()
    }

    /// The same network with float weights; pixels count as shares of 255.
    fn tiny_float(bits: Option<u8>) -> FloatNetwork {
        let node = |name: &str, layer, inputs: &[&str]| FloatNode {
            name: name.into(),
            layer,
            inputs: inputs.iter().map(|&input| input.into()).collect(),
        };
        let eye = || FloatLayer::Dense(float::Dense { weights: array![[1.0, 0.0], [0.0, 1.0]] });
        let activation = float::Activation { scale: vec![25.5; 2], bias: vec![0.05; 2], ceiling: 3.0, bits };
        let nodes = vec![
            node("input", FloatLayer::Input(float::Input { shape: Shape::new(1, 1, 2) }), &[]),
            node("first", eye(), &["input"]),
            node("act", FloatLayer::Activation(activation), &["first"]),
            node("second", eye(), &["act"]),
            node("logits", FloatLayer::Logits(float::Logits { bias: vec![0.0; 2] }), &["second"]),
        ];
        FloatNetwork::new("tiny", nodes).unwrap()
    }

    fn images(values: [[u8; 2]; 3]) -> Array4<u8> {
        Array4::from_shape_fn((3, 1, 1, 2), |(image, _, _, channel)| values[image][channel])
    }

    fn close(found: &[Option<f64>], wanted: [Option<f64>; 3]) {
        for (found, wanted) in found.iter().zip(wanted) {
            let is_close = match (found, wanted) {
                (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-5,
                (found, wanted) => *found == wanted,
            };
            assert!(is_close, "{found:?} {wanted:?}");
        }
        assert_eq!(found.len(), 3);
    }

    /// The three images show what a quantizer does: it hides a small change within one level, makes a change
    /// of the same size across a threshold larger, and has no relative distance where its clean values are 0.
    #[test]
    fn distances_at_a_quantizer_are_those_worked_out_by_hand() {
        let network = WhiteBox::new(&tiny());
        let float = [Some(2), None].map(|bits| FloatEngine::new(&tiny_float(bits)));
        let clean = images([[10, 20], [10, 24], [3, 0]]);
        let changed = images([[12, 20], [10, 26], [5, 0]]);
        let block = Block { node: 2, bits: vec![1, 2] };
        // Lines: (1.05, 2.05) to (1.25, 2.05); (1.05, 2.45) to (1.05, 2.65); (0.35, 0.05) to (0.55, 0.05).
        let size = |a: f64, b: f64| (a * a + b * b).sqrt();
        let unquantized = [0.2 / size(1.05, 2.05), 0.2 / size(1.05, 2.45), 0.2 / size(0.35, 0.05)];
        // Two bits round (1.05, 2.05) to (1, 2) and (1.05, 2.65) to (1, 3); one bit has the threshold 1.5.
        let two_bits = [Some(0.0), Some(1.0 / size(1.0, 2.0)), None];
        let one_bit = [Some(0.0), Some(0.0), None];
        let pixels = [2.0 / size(10.0, 20.0), 2.0 / size(10.0, 24.0), 2.0 / 3.0];
        for (network, own) in
            [(&network as &dyn Inside, two_bits), (&float[0], two_bits), (&float[1], unquantized.map(Some))]
        {
            let found = distances(network, clean.view(), changed.view(), Some(&block));
            close(&found.unquantized, unquantized.map(Some));
            close(&found.quantized[0], one_bit);
            close(&found.quantized[1], two_bits);
            close(&found.nodes[0], pixels.map(Some));
            close(&found.nodes[2], own);
            close(&found.nodes[4], own);
            let alone = distances(network, clean.view(), changed.view(), None);
            assert!(alone.nodes == found.nodes && alone.unquantized.is_empty());
        }
        let sum = Distance::of(&two_bits);
        let mean = 0.5 / size(1.0, 2.0);
        let deviation = mean * 2.0f64.sqrt();
        assert!((sum.mean.unwrap() - mean).abs() < 1e-12 && sum.images == 2, "{sum:?}");
        assert!((sum.deviation.unwrap() - deviation).abs() < 1e-12, "{sum:?}");
        assert_eq!(Distance::of(&[None]), Distance { mean: None, deviation: None, images: 0 });
    }

    #[test]
    fn the_distances_are_those_of_the_reference() {
        for seed in 0..40 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let white_box = WhiteBox::new(&network);
            let images = [1, 2].map(|n| random::image(seed + 1000 * n, network.input()));
            let batch = images.each_ref().map(|image| image.view().insert_axis(Axis(0)));
            let found = distances(&white_box, batch[0], batch[1], None).nodes;
            let [clean, changed] = images.each_ref().map(|image| network.eval_nodes(image.view()));
            for (node, (clean, changed)) in clean.iter().zip(&changed).enumerate() {
                let norm = |values: &mut dyn Iterator<Item = i32>| {
                    values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
                };
                let moved = norm(&mut clean.iter().zip(changed).map(|(a, b)| b - a));
                let size = norm(&mut clean.iter().copied());
                match found[node][0] {
                    None => assert_eq!(size, 0.0),
                    Some(found) => assert!((found * size - moved).abs() <= 1e-9 * moved, "{found}"),
                }
            }
            let none = distances(&white_box, batch[0], batch[0], None).nodes;
            assert!(none.iter().all(|node| node[0].is_none_or(|distance| distance == 0.0)));
        }
    }

    /// Quantized to the bits that it has, a trained quantizer is the network's own but for the accumulators
    /// beside a threshold, since the line through its thresholds meets each to half an accumulator's step.
    #[test]
    fn at_its_own_bits_a_quantizer_is_the_networks() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/signs-tiny-dq/model.json");
        let network = WhiteBox::new(&dq_net::read_network(&path).unwrap());
        let images = dq_data::load("signs", None, dq_data::Split::Test).unwrap().take(16).pixels;
        let changed = images.mapv(|pixel| pixel.saturating_add(4));
        let node = super::super::quantizer(&network, None).unwrap();
        let bits = vec![network.line(node).unwrap().bits.unwrap()];
        let found = distances(&network, images.view(), changed.view(), Some(&Block { node, bits }));
        let [own, tried] = [&found.nodes[node], &found.quantized[0]].map(|d| Distance::of(d).mean.unwrap());
        assert!(own > 0.0 && (own - tried).abs() < 0.02 * own, "{own} {tried}");
    }
}
