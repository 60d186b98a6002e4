//! The progressive bit-flip search (Rakin, He, Fan, ICCV 2019): the gradient of the loss with respect to each weight names
//! the flips that ought to do most harm, the network itself says which one does, and the search goes on from there.

use super::memory::{Bit, flip, flipped, stores};
use crate::engine::Engine;
use crate::gradient::{GradientSource, Loss};
use dq_net::Network;
use dq_net::layer::Layer;
use ndarray::ArrayView4;

/// Flips of each layer that are tried.
const CANDIDATES: usize = 5;

/// One step of the search.
#[derive(Clone, Debug)]
pub struct Found {
    /// The bit that was flipped.
    pub bit: Bit,
    /// Mean loss of the images that the search sees, after it.
    pub loss: f64,
    /// The network with all flips so far.
    pub network: Network,
}

/// The flip that raises the mean cross entropy of `images` (batch × height × width × channels) most, among the most
/// promising of each layer but those `taken`; none where no flip raises it.
pub fn next(network: &Network, images: ArrayView4<u8>, labels: &[u8], taken: &[Bit]) -> Option<Found> {
    let engine = Engine::new(network);
    let loss = |engine: &Engine| -> f64 {
        let logits = engine.real_logits(images);
        let losses = logits
            .rows()
            .into_iter()
            .zip(labels)
            .map(|(row, &label)| Loss::CrossEntropy.of(0, &row.to_vec(), label.into()).0);
        losses.sum::<f64>() / labels.len() as f64
    };
    let slopes = engine.weight_slopes(images, labels, Loss::CrossEntropy);
    let mut candidates = vec![];
    for (node, weights, bits) in stores(network) {
        let stored: Vec<i8> = match &network.nodes()[node].layer {
            Layer::Conv(conv) => conv.weights.iter().copied().collect(),
            Layer::Dense(dense) => dense.weights.iter().copied().collect(),
            _ => unreachable!("stores weights"),
        };
        let all = (0..weights).flat_map(|weight| (0..bits).map(move |bit| Bit { node, weight, bit }));
        let mut promising: Vec<(f64, Bit)> = all
            .filter(|bit| !taken.contains(bit))
            .map(|bit| {
                let weight = stored[bit.weight];
                let change = f64::from(flip(weight, bits, bit.bit)) - f64::from(weight);
                (change * f64::from(slopes[node][bit.weight]), bit)
            })
            .collect();
        let count = CANDIDATES.min(promising.len());
        if count < promising.len() {
            promising.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0));
        }
        promising[..count].sort_by(|a, b| b.0.total_cmp(&a.0));
        candidates.extend(promising[..count].iter().filter(|(gain, _)| *gain > 0.0).map(|&(_, bit)| bit));
    }
    let mut best: Option<Found> = None;
    let mut most = loss(&engine);
    for bit in candidates {
        let network = flipped(network, &[bit]);
        let loss = loss(&Engine::new(&network));
        if loss > most {
            most = loss;
            best = Some(Found { bit, loss, network });
        }
    }
    best
}
