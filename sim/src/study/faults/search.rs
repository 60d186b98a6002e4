//! Runs the progressive bit-flip search (Rakin, He, Fan, ICCV 2019): the gradient of the loss with respect to
//! each weight names the flips that ought to do most harm, the network itself says which one does, and the
//! search goes on from there.

use super::memory::{Bit, Store, flip, flipped, stores};
use crate::gradient::{GradientSource, Loss, WhiteBox};
use crate::study::{Stopped, Watch};
use dq_net::Network;
use ndarray::ArrayView4;

/// Number of flips that are tried per layer.
const CANDIDATES: usize = 5;

/// Describes one step of the search.
#[derive(Clone, Debug)]
pub struct Found {
    /// The bit that was flipped.
    pub bit: Bit,
    /// Mean loss of the images that the search sees, after the flip.
    pub loss: f64,
    /// The network with all flips so far.
    pub network: Network,
}

/// Returns the flip that raises the mean cross entropy of `images` (batch × height × width × channels) most,
/// among the most promising of each layer but those `taken`; none where no flip raises it.
pub fn next(
    network: &Network,
    images: ArrayView4<u8>,
    labels: &[u8],
    taken: &[Bit],
    watch: Watch,
) -> Result<Option<Found>, Stopped> {
    let white_box = WhiteBox::new(network);
    let slopes = white_box.weight_slopes(images, labels, Loss::CrossEntropy);
    let mut best: Option<Found> = None;
    let mut most = mean_loss(&white_box, images, labels);
    for bit in promising(network, &slopes, taken) {
        watch.check()?;
        let network = flipped(network, &[bit]);
        let loss = mean_loss(&WhiteBox::new(&network), images, labels);
        if loss > most {
            most = loss;
            best = Some(Found { bit, loss, network });
        }
    }
    Ok(best)
}

fn mean_loss(white_box: &WhiteBox, images: ArrayView4<u8>, labels: &[u8]) -> f64 {
    let logits = white_box.real_logits(images);
    let rows = logits.rows().into_iter().zip(labels);
    let losses = rows.map(|(row, &label)| Loss::CrossEntropy.of(0, &row.to_vec(), label.into()).0);
    losses.sum::<f64>() / labels.len() as f64
}

/// Returns a few flips of each layer that raise the loss most by its `slopes` (node × weight), all but those
/// `taken`.
fn promising(network: &Network, slopes: &[Vec<f32>], taken: &[Bit]) -> Vec<Bit> {
    let mut candidates = vec![];
    for Store { node, weights, bits } in stores(network) {
        let all = (0..weights.len()).flat_map(|weight| (0..bits).map(move |bit| Bit { node, weight, bit }));
        let mut gains: Vec<(f64, Bit)> = all
            .filter(|bit| !taken.contains(bit))
            .map(|bit| {
                let weight = weights[bit.weight];
                let change = f64::from(flip(weight, bits, bit.bit)) - f64::from(weight);
                (change * f64::from(slopes[node][bit.weight]), bit)
            })
            .collect();
        let count = CANDIDATES.min(gains.len());
        if count < gains.len() {
            gains.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0));
        }
        gains[..count].sort_by(|a, b| b.0.total_cmp(&a.0));
        candidates.extend(gains[..count].iter().filter(|(gain, _)| *gain > 0.0).map(|&(_, bit)| bit));
    }
    candidates
}
