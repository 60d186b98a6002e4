//! Defines what a page takes of the studies' reports: the fields that it shows, as the commands write them.

use dq_sim::report::{Data, Model, Tally};
use dq_sim::study::amplify::{Distance, Quantized};
use dq_sim::study::landscape::Landscape;
use serde::Deserialize;

/// Holds what `dq faults` found.
#[derive(Debug, Deserialize)]
pub struct Faults {
    /// The images that were classified.
    pub data: Data,
    /// Seed of every random number.
    pub seed: u64,
    /// Draws of each rate.
    pub trials: u64,
    /// Training images that the search looked at.
    pub batch: u64,
    /// One entry per network.
    pub networks: Vec<Withstood>,
}

/// Holds what one network withstood.
#[derive(Debug, Deserialize)]
pub struct Withstood {
    /// The network.
    pub model: Model,
    /// Accuracy without faults.
    pub clean: Tally,
    /// Random flips, one entry per rate.
    pub flips: Vec<FlipRate>,
    /// Searched flips, in their order.
    pub search: Vec<Flip>,
    /// Number of searched flips until accuracy was that of chance.
    pub flips_to_chance: Option<usize>,
    /// Upsets, one entry per node.
    pub upsets: Vec<Upset>,
    /// Stuck bits, one entry per node.
    pub stuck: Vec<Stuck>,
}

/// Holds the results of random flips at one rate.
#[derive(Debug, Deserialize)]
pub struct FlipRate {
    /// Probability with which each stored bit flips.
    pub rate: f64,
    /// Accuracy, one per trial.
    pub accuracy: Vec<f64>,
}

/// Describes one searched flip.
#[derive(Debug, Deserialize)]
pub struct Flip {
    /// Name of the layer.
    pub node: String,
    /// Position of the weight.
    pub weight: usize,
    /// Number of the bit.
    pub bit: u8,
    /// Accuracy with all flips so far.
    pub accuracy: Tally,
}

/// Holds the results of upsets at one node.
#[derive(Debug, Deserialize)]
pub struct Upset {
    /// Name of the node.
    pub node: String,
    /// Bits of a register.
    pub bits: u32,
    /// Images whose label one upset changed.
    pub changed: Tally,
}

/// Holds the results of stuck bits at one node.
#[derive(Debug, Deserialize)]
pub struct Stuck {
    /// Name of the node.
    pub node: String,
    /// Bits of a register.
    pub bits: u32,
    /// Accuracy, one per trial.
    pub accuracy: Vec<f64>,
}

/// Holds what `dq corrupt` found.
#[derive(Debug, Deserialize)]
pub struct Corruptions {
    /// The images before they were corrupted.
    pub data: Data,
    /// Seed of every random number.
    pub seed: u64,
    /// Severities, 1 to 5.
    pub severities: Vec<u8>,
    /// The folder of published arrays that the corrupted images were read from; `None` where they were
    /// computed.
    pub arrays: Option<String>,
    /// One entry per network.
    pub networks: Vec<Corrupted>,
}

/// Holds what one network made of corrupted images.
#[derive(Debug, Deserialize)]
pub struct Corrupted {
    /// The network.
    pub model: Model,
    /// Accuracy on the images as they are.
    pub clean: Tally,
    /// One row per corruption.
    pub kinds: Vec<CorruptedRow>,
    /// Mean error over corruptions and severities.
    pub mean_error: f64,
}

/// Holds the accuracy under one corruption.
#[derive(Debug, Deserialize)]
pub struct CorruptedRow {
    /// Its name.
    pub kind: String,
    /// Accuracy at each severity.
    pub accuracy: Vec<Tally>,
}

/// Holds what `dq amplify` measured.
#[derive(Debug, Deserialize)]
pub struct Amplification {
    /// The images.
    pub data: Data,
    /// Name of the attack.
    pub attack: String,
    /// Radii, in units of a uint8 pixel.
    pub eps: Vec<u8>,
    /// Seed of every random number.
    pub seed: u64,
    /// Whether every image was attacked, or only those that a network classifies right.
    pub all: bool,
    /// One entry per network.
    pub networks: Vec<AmplifiedNetwork>,
}

/// Holds the distances inside one network.
#[derive(Debug, Deserialize)]
pub struct AmplifiedNetwork {
    /// The network.
    pub model: Model,
    /// Number of images that were attacked.
    pub attacked: usize,
    /// One entry per node, in order.
    pub nodes: Vec<Amplified>,
    /// The distances at one quantizer, where they were asked for.
    pub first_block: Option<Quantized>,
}

/// Holds the distances at one node's output.
#[derive(Debug, Deserialize)]
pub struct Amplified {
    /// Its name.
    pub node: String,
    /// Layers with weights that read it.
    pub read_by: Vec<String>,
    /// Normalized distance at each radius.
    pub distance: Vec<Distance>,
}

/// Holds what `dq landscape` stored.
#[derive(Debug, Deserialize)]
pub struct Landscapes {
    /// The network.
    pub model: Model,
    /// Name of the data set.
    pub data: String,
    /// Seed of every random number.
    pub seed: u64,
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// One entry per image.
    pub images: Vec<Surroundings>,
    /// Number of images that stand while their loss still rises.
    pub still_rising: usize,
    /// Number of images whose gradient was zero at some step.
    pub zero_gradients: usize,
}

/// Holds the loss around one image.
#[derive(Debug, Deserialize)]
pub struct Surroundings {
    /// Position in the data set.
    pub index: usize,
    /// True label.
    pub label: u8,
    /// The loss around it.
    #[serde(flatten)]
    pub landscape: Landscape,
}
