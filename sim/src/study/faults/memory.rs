//! Flips bits of the weights' memory. A weight of one bit is −1 or +1, stored as its sign; wider ones are
//! two's complement. Never changes thresholds or biases.

use super::random;
use dq_net::layer::{Layer, Step};
use dq_net::{Network, Node, Wire};

/// Names one stored bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Bit {
    /// Position of the layer among the network's nodes.
    pub node: usize,
    /// Position of the weight among the layer's, row-major.
    pub weight: usize,
    /// Number of the bit in the weight; the least significant one is 0.
    pub bit: u8,
}

/// Returns `weight`, of `bits` bits, with one of them flipped.
pub(super) fn flip(weight: i8, bits: u8, bit: u8) -> i8 {
    if bits == 1 {
        return -weight;
    }
    // The value is sign-extended from the stored bits.
    let up = 8 - bits;
    ((weight ^ (1 << bit)) << up) >> up
}

/// Holds the weights that a layer stores.
pub(super) struct Store {
    /// Position of the layer among the network's nodes.
    pub node: usize,
    /// Its weights, row-major.
    pub weights: Vec<i8>,
    /// Bits of each weight.
    pub bits: u8,
}

/// Returns the stored weights of every layer that has any.
pub(super) fn stores(network: &Network) -> Vec<Store> {
    let store = |(node, Node { layer, .. }): (usize, &Node)| match layer {
        Layer::Conv(conv) => {
            Some(Store { node, weights: conv.weights.iter().copied().collect(), bits: conv.weight_bits })
        }
        Layer::Dense(dense) => {
            Some(Store { node, weights: dense.weights.iter().copied().collect(), bits: dense.weight_bits })
        }
        other => {
            assert!(other.weight_bits().is_none(), "the weights of a {} are stored", other.kind().name());
            None
        }
    };
    network.nodes().iter().enumerate().filter_map(store).collect()
}

/// Returns the number of bits of the weights' memory.
pub fn stored_bits(network: &Network) -> usize {
    stores(network).iter().map(|store| store.weights.len() * usize::from(store.bits)).sum()
}

/// Draws the stored bits that flip where each does with probability `rate`, on its own: a function of `seed`
/// and `trial`.
///
/// # Panics
/// If `rate` is not between 0 and 1.
pub fn random_flips(network: &Network, rate: f64, seed: u64, trial: u64) -> Vec<Bit> {
    assert!((0.0..=1.0).contains(&rate), "a probability");
    let mut random = random(seed, &format!("flips {rate:e}"), trial);
    let mut found = vec![];
    for Store { node, weights, bits } in stores(network) {
        for weight in 0..weights.len() {
            for bit in 0..bits {
                if random.unit() < rate {
                    found.push(Bit { node, weight, bit });
                }
            }
        }
    }
    found
}

/// Returns the network that computes what `network` does with `flips` in its memory.
///
/// # Panics
/// If a flip names no stored bit.
pub fn flipped(network: &Network, flips: &[Bit]) -> Network {
    let mut nodes = network.nodes().to_vec();
    for &Bit { node, weight, bit } in flips {
        let (store, bits) = match &mut nodes[node].layer {
            Layer::Conv(conv) => (conv.weights.as_slice_mut(), conv.weight_bits),
            Layer::Dense(dense) => (dense.weights.as_slice_mut(), dense.weight_bits),
            _ => panic!("node {node} stores no weights"),
        };
        assert!(bit < bits, "weights of {bits} bits");
        let weight = &mut store.expect("row-major")[weight];
        *weight = flip(*weight, bits, bit);
    }
    // Ranges follow the weights. A threshold beyond what can be reached is crossed always or never, as
    // before.
    let mut wires: Vec<Wire> = vec![];
    for (i, node) in nodes.iter_mut().enumerate() {
        let inputs: Vec<Wire> = network.sources(i).iter().map(|&source| wires[source]).collect();
        if let Layer::Step(step) = &mut node.layer {
            let thresholds = step.thresholds.mapv(i64::from);
            step.thresholds = Step::clip_thresholds(&thresholds, &step.dir, inputs[0].range);
        }
        let range = node.layer.kind().range(&inputs).expect("weights of the same bits fit");
        wires.push(Wire { range, ..network.wire(i) });
    }
    Network::new(network.name.clone(), nodes).expect("a network of the same shape")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::random::{self as networks, Options};

    #[test]
    fn a_flip_is_its_own_inverse_and_stays_within_the_bits() {
        for bits in 2..=8u8 {
            for weight in -(1i16 << (bits - 1))..1 << (bits - 1) {
                let weight = weight as i8;
                for bit in 0..bits {
                    let other = flip(weight, bits, bit);
                    assert_eq!(flip(other, bits, bit), weight);
                    assert!(i16::from(other) >= -(1 << (bits - 1)) && i16::from(other) < 1 << (bits - 1));
                    let mask = (1u16 << bits) - 1;
                    assert_eq!((weight as u16 ^ other as u16) & mask, 1 << bit);
                }
            }
        }
        assert_eq!((flip(1, 1, 0), flip(-1, 1, 0)), (-1, 1));
    }

    #[test]
    fn a_flipped_network_computes_with_its_weights_and_the_same_thresholds() {
        for seed in 0..60 {
            let network =
                networks::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let flips = random_flips(&network, 0.05, seed, 0);
            assert_eq!(flips, random_flips(&network, 0.05, seed, 0));
            let other = flipped(&network, &flips);
            let image = networks::image(seed, network.input());
            // Each layer is compared on the same inputs: its weights are as flipped, all else as it was.
            let values = other.eval_nodes(image.view());
            for (i, node) in network.nodes().iter().enumerate().skip(1) {
                let layer = match node.layer {
                    Layer::Conv(_) | Layer::Dense(_) => &other.nodes()[i].layer,
                    _ => &node.layer,
                };
                let inputs: Vec<_> = network.sources(i).iter().map(|&s| values[s].view()).collect();
                assert_eq!(layer.kind().eval(&inputs), values[i], "seed {seed}, node {}", node.name);
            }
            // The weights come back; a threshold beyond what the flipped ones reach is still its end.
            let weights = |network: &Network| -> Vec<Vec<i8>> {
                stores(network).into_iter().map(|store| store.weights).collect()
            };
            assert_eq!(weights(&flipped(&other, &flips)), weights(&network), "seed {seed}");
        }
    }

    #[test]
    fn flips_come_at_their_rate() {
        let drawn = |seed| networks::network(seed, &Options { max_channels: 40, ..Options::default() });
        let network = (0..).map(drawn).find(|network| stored_bits(network) > 1_000).unwrap();
        let bits = stored_bits(&network);
        let found: usize = (0..200).map(|trial| random_flips(&network, 0.1, 1, trial).len()).sum();
        let share = found as f64 / (200 * bits) as f64;
        assert!((0.08..0.12).contains(&share), "{share} of {bits}");
        assert!(random_flips(&network, 0.0, 1, 0).is_empty());
        assert_eq!(random_flips(&network, 1.0, 1, 0).len(), bits);
    }
}
