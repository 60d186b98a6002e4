//! Measures error amplification (paper, figures 3a and 3b): how far an adversary is from its image at the
//! output of each node, relative to the size of that output, and what a quantizer makes of that distance.
//! Says nothing about the network's labels.

mod distance;
mod inside;

pub use distance::{Distance, Distances, distances};
pub use inside::{Inside, Line, Values};

use super::{Stopped, Watch};
use crate::attack::suite::{Judge, Single, adversaries};
use crate::report::Model;
use dq_data::Images;
use ndarray::Axis;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Number of images that are attacked between two looks at the stop flag.
const BLOCK: usize = 64;

/// Says what attacks the images.
#[derive(Clone, Debug)]
pub struct Noise {
    /// The attack's name.
    pub attack: String,
    /// Radii, in units of a uint8 pixel.
    pub eps: Vec<u8>,
    /// Seed of every random number.
    pub seed: u64,
}

/// Names a quantizer whose input is also quantized to other widths (figure 3a).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The quantizer's place among the network's nodes.
    pub node: usize,
    /// Bits of the quantizers that are tried, at least 1 each.
    pub bits: Vec<u8>,
}

/// Holds a network with the images that it is attacked on.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The network, which also gives the gradients.
    pub network: &'a dyn Inside,
    /// The data set.
    pub images: &'a Images,
    /// Positions of the images that are attacked.
    pub indices: &'a [usize],
}

/// Holds what was measured on one network.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The network.
    pub model: Model,
    /// Number of images that were attacked.
    pub attacked: usize,
    /// One entry per node, in order.
    pub nodes: Vec<Row>,
    /// The distances at one quantizer, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_block: Option<Quantized>,
}

/// Describes a node's output.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The node's name.
    pub node: String,
    /// Its kind of layer.
    pub kind: &'static str,
    /// Layers with weights that read it.
    pub read_by: Vec<String>,
    /// Distance at each radius.
    pub distance: Vec<Distance>,
}

/// Holds the distances at one quantizer: before it rounds, and after it has rounded to several widths.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Quantized {
    /// Name of the quantizer's node.
    pub node: String,
    /// The quantizer's own bits; `None` where it does not round.
    pub own_bits: Option<u8>,
    /// Distance of the clipped values that are not rounded, at each radius.
    pub unquantized: Vec<Distance>,
    /// The same of rounded values, one entry per width.
    pub quantized: Vec<AtBits>,
}

/// Holds the distances of values that were rounded to one width.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AtBits {
    /// Bits of a value.
    pub bits: u8,
    /// Distance at each radius.
    pub distance: Vec<Distance>,
}

/// Says that a network has no such quantizer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected {expected}, found {found}")]
pub struct NoQuantizer {
    /// The quantizers that there are.
    pub expected: String,
    /// What was asked for.
    pub found: String,
}

/// Returns the place of the quantizer called `name`, or of the first one.
///
/// # Errors
/// Where the network has no quantizer of this name, or none at all.
pub fn quantizer(network: &dyn Inside, name: Option<&str>) -> Result<usize, NoQuantizer> {
    let names = network.names();
    let all: Vec<usize> = (0..names.len()).filter(|&i| network.line(i).is_some()).collect();
    let found = match name {
        Some(name) => all.iter().copied().find(|&i| names[i] == name),
        None => all.first().copied(),
    };
    found.ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|&i| names[i].as_str()).collect();
        let one = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
        let found = name.map_or_else(|| "a network without any".to_owned(), |name| format!("`{name}`"));
        NoQuantizer { expected: format!("a node that quantizes{one}"), found }
    })
}

/// Returns the positions of the images that the network classifies right.
pub fn attacked(network: &dyn Judge, images: &Images) -> Vec<usize> {
    let verdicts = network.judge(images.pixels.view());
    let is_right = |&i: &usize| verdicts[i].label == usize::from(images.labels[i]);
    (0..images.len()).filter(is_right).collect()
}

/// Attacks the subject's images and returns how far the adversaries are from them at every node, and at
/// `block` for other widths. Ticks once per image and radius.
///
/// # Errors
/// [`Stopped`], when the watch's flag is set.
///
/// # Panics
/// If `block` is no quantizer.
pub fn measure(
    subject: &Subject,
    noise: &Noise,
    block: Option<&Block>,
    watch: Watch,
) -> Result<Found, Stopped> {
    let Subject { network, images, indices } = *subject;
    let mut found = blank(subject, block);
    for &eps in &noise.eps {
        let mut all = Distances::default();
        for part in indices.chunks(BLOCK) {
            watch.check()?;
            let single = Single { stop: watch.stop, ..Single::new(&noise.attack, eps, noise.seed) };
            let adversaries = adversaries(network, images, part, &single);
            watch.check()?;
            let originals = images.pixels.select(Axis(0), part);
            all.extend(distances(network, originals.view(), adversaries.view(), block));
            (watch.tick)(part.len() as u64);
        }
        found.add(&all);
    }
    Ok(found)
}

/// Names every node and its readers with weights, without distances.
fn blank(subject: &Subject, block: Option<&Block>) -> Found {
    let Subject { network, indices, .. } = *subject;
    let names = network.names();
    let row = |(i, node): (usize, &String)| {
        let readers = network.readers(i).into_iter().map(|j| names[j].clone()).collect();
        Row { node: node.clone(), kind: network.kind(i), read_by: readers, distance: vec![] }
    };
    let first_block = block.map(|block| Quantized {
        node: names[block.node].clone(),
        own_bits: network.line(block.node).expect("a quantizer").bits,
        unquantized: vec![],
        quantized: block.bits.iter().map(|&bits| AtBits { bits, distance: vec![] }).collect(),
    });
    let nodes = names.iter().enumerate().map(row).collect();
    Found { model: network.model(), attacked: indices.len(), nodes, first_block }
}

impl Found {
    /// Adds the distances at one more radius.
    fn add(&mut self, all: &Distances) {
        let means = |places: &[Vec<Option<f64>>]| -> Vec<Distance> {
            places.iter().map(|place| Distance::of(place)).collect()
        };
        self.nodes.iter_mut().zip(means(&all.nodes)).for_each(|(row, mean)| row.distance.push(mean));
        if let Some(block) = &mut self.first_block {
            block.unquantized.push(Distance::of(&all.unquantized));
            let quantized = block.quantized.iter_mut().zip(means(&all.quantized));
            quantized.for_each(|(width, mean)| width.distance.push(mean));
        }
    }
}
