//! Runs a campaign: every kind of fault on one network, and what the network withstood.

use super::datapath::{self, Fault, Injection};
use super::{memory, search};
use crate::attack::suite::Judge;
use crate::gradient::WhiteBox;
use crate::report::{Model, Tally};
use crate::study::{Stopped, Watch};
use dq_data::Images;
use dq_net::Network;
use dq_net::layer::Logits;
use ndarray::Axis;
use serde::Serialize;

/// Number of images between two looks at the stop flag.
const BLOCK: usize = 128;

/// Names the faults to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stored bits of the weights flip at random.
    Flips,
    /// Stored bits of the weights flip where they do most harm.
    Search,
    /// One bit of a register flips, once per image.
    Upsets,
    /// One bit of a channel sticks, for good.
    Stuck,
}

/// Says what is injected, and how often.
#[derive(Clone, Debug)]
pub struct Campaign<'a> {
    /// The faults to inject.
    pub kinds: Vec<Kind>,
    /// Probabilities with which each stored bit flips.
    pub rates: Vec<f64>,
    /// Number of draws per rate, and per node's stuck bit.
    pub trials: u64,
    /// Most flips of the search.
    pub flips: usize,
    /// Images that the search looks at.
    pub seen: Option<&'a Images>,
    /// Seed of every random number.
    pub seed: u64,
}

/// Holds what one network withstood.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The network.
    pub model: Model,
    /// Number of bits in the weights' memory.
    pub stored_bits: usize,
    /// Accuracy without faults.
    pub clean: Tally,
    /// Results of random flips, one entry per rate.
    pub flips: Vec<Rate>,
    /// The flips of the search, in its order.
    pub search: Vec<Flip>,
    /// Number of flips of the search until accuracy was that of chance; `None` where they did not suffice.
    pub flips_to_chance: Option<usize>,
    /// Results of upsets, one entry per node.
    pub upsets: Vec<Upset>,
    /// Results of stuck bits, one entry per node.
    pub stuck: Vec<Stuck>,
}

/// Holds the results of random flips at one rate.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    /// Probability with which each stored bit flips.
    pub rate: f64,
    /// Number of bits that flipped, one count per trial.
    pub bits: Vec<usize>,
    /// Accuracy, one per trial.
    pub accuracy: Vec<f64>,
}

/// Describes one flip of the search.
#[derive(Clone, Debug, Serialize)]
pub struct Flip {
    /// Name of the layer.
    pub node: String,
    /// Position of the weight among the layer's, row-major.
    pub weight: usize,
    /// Number of the bit in the weight; the least significant one is 0.
    pub bit: u8,
    /// Mean loss of the images that the search sees.
    pub loss: f64,
    /// Accuracy with all flips so far.
    pub accuracy: Tally,
}

/// Holds the results of upsets at one node.
#[derive(Clone, Debug, Serialize)]
pub struct Upset {
    /// Name of the node.
    pub node: String,
    /// Its kind of layer.
    pub kind: &'static str,
    /// Bits of a register.
    pub bits: u32,
    /// Number of registers per image.
    pub registers: usize,
    /// Count of the images whose label one upset changed.
    pub changed: Tally,
}

/// Holds the results of stuck bits at one node.
#[derive(Clone, Debug, Serialize)]
pub struct Stuck {
    /// Name of the node.
    pub node: String,
    /// Its kind of layer.
    pub kind: &'static str,
    /// Bits of a register.
    pub bits: u32,
    /// Accuracy with a bit stuck at 0 and at 1 in turn, one per trial.
    pub accuracy: Vec<f64>,
}

/// Returns how often [`measure`] ticks at most.
pub fn steps(network: &Network, campaign: &Campaign) -> u64 {
    let nodes = network.nodes().len() as u64;
    let count = |kind: &Kind| match kind {
        Kind::Flips => campaign.rates.len() as u64 * campaign.trials,
        Kind::Search => campaign.flips as u64,
        Kind::Upsets => nodes,
        Kind::Stuck => nodes * campaign.trials,
    };
    campaign.kinds.iter().map(count).sum()
}

/// Injects the campaign's faults into `network` and classifies `images` with each. Ticks once per fault.
pub fn measure(
    network: &Network,
    images: &Images,
    campaign: &Campaign,
    watch: Watch,
) -> Result<Found, Stopped> {
    let white_box = WhiteBox::new(network);
    let clean_labels = white_box.engine().labels(images.pixels.view());
    let injector = Injector { white_box: &white_box, images, clean_labels, campaign, watch };
    let wants = |kind: Kind| campaign.kinds.contains(&kind);
    let (search, flips_to_chance) = match campaign.seen.filter(|_| wants(Kind::Search)) {
        Some(seen) => injector.search(seen)?,
        None => (vec![], None),
    };
    Ok(Found {
        model: white_box.model(),
        stored_bits: memory::stored_bits(network),
        clean: right(&injector.clean_labels, images),
        flips: if wants(Kind::Flips) { injector.flips()? } else { vec![] },
        search,
        flips_to_chance,
        upsets: if wants(Kind::Upsets) { injector.upsets()? } else { vec![] },
        stuck: if wants(Kind::Stuck) { injector.stuck()? } else { vec![] },
    })
}

/// Holds a network, what it says without faults, and what is done to it.
struct Injector<'a> {
    white_box: &'a WhiteBox,
    images: &'a Images,
    clean_labels: Vec<usize>,
    campaign: &'a Campaign<'a>,
    watch: Watch<'a>,
}

impl Injector<'_> {
    fn network(&self) -> &Network {
        self.white_box.network()
    }

    /// Flips stored bits at random.
    fn flips(&self) -> Result<Vec<Rate>, Stopped> {
        let mut rows = vec![];
        for &rate in &self.campaign.rates {
            let mut row = Rate { rate, bits: vec![], accuracy: vec![] };
            for trial in 0..self.campaign.trials {
                self.watch.step(1)?;
                let flips = memory::random_flips(self.network(), rate, self.campaign.seed, trial);
                row.bits.push(flips.len());
                let faulty = memory::flipped(self.network(), &flips);
                row.accuracy.push(accuracy(&faulty, self.images).accuracy);
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Flips the stored bits that do most harm to the images `seen`, one after the other, until accuracy is
    /// chance.
    fn search(&self, seen: &Images) -> Result<(Vec<Flip>, Option<usize>), Stopped> {
        let chance = 1.0 / self.network().classes() as f64 + 0.01;
        let (mut faulty, mut taken, mut flips) = (self.network().clone(), vec![], vec![]);
        while flips.len() < self.campaign.flips {
            self.watch.step(1)?;
            let next = search::next(&faulty, seen.pixels.view(), &seen.labels, &taken, self.watch)?;
            let Some(next) = next else { break };
            let accuracy = accuracy(&next.network, self.images);
            taken.push(next.bit);
            flips.push(Flip {
                node: self.network().nodes()[next.bit.node].name.clone(),
                weight: next.bit.weight,
                bit: next.bit.bit,
                loss: next.loss,
                accuracy,
            });
            faulty = next.network;
            if accuracy.accuracy <= chance {
                let count = flips.len();
                return Ok((flips, Some(count)));
            }
        }
        Ok((flips, None))
    }

    /// Upsets a register of each node, once per image.
    fn upsets(&self) -> Result<Vec<Upset>, Stopped> {
        let upset = |i: usize| {
            self.watch.step(1)?;
            let labels = self.faulty_labels(i, Fault::Upset, 0)?;
            let changed = labels.iter().zip(&self.clean_labels).filter(|(a, b)| a != b).count();
            let (node, wire) = (&self.network().nodes()[i], self.network().wire(i));
            Ok(Upset {
                node: node.name.clone(),
                kind: node.layer.kind().name(),
                bits: wire.range.bits(),
                registers: wire.shape.len(),
                changed: Tally::new(changed, self.images.len()),
            })
        };
        (0..self.network().nodes().len()).map(upset).collect()
    }

    /// Lets a bit of a channel of each node stick, once per trial.
    fn stuck(&self) -> Result<Vec<Stuck>, Stopped> {
        let stuck = |i: usize| {
            let (node, wire) = (&self.network().nodes()[i], self.network().wire(i));
            let trial = |trial: u64| {
                self.watch.step(1)?;
                let labels = self.faulty_labels(i, Fault::Stuck(trial % 2 == 1), trial)?;
                Ok(right(&labels, self.images).accuracy)
            };
            Ok(Stuck {
                node: node.name.clone(),
                kind: node.layer.kind().name(),
                bits: wire.range.bits(),
                accuracy: (0..self.campaign.trials).map(trial).collect::<Result<_, _>>()?,
            })
        };
        (0..self.network().nodes().len()).map(stuck).collect()
    }

    /// Returns the labels of all images under a fault of node `node`.
    fn faulty_labels(&self, node: usize, fault: Fault, trial: u64) -> Result<Vec<usize>, Stopped> {
        let indices: Vec<usize> = (0..self.images.len()).collect();
        let injection = Injection { node, fault, seed: self.campaign.seed, trial };
        let mut labels = vec![];
        for block in indices.chunks(BLOCK) {
            self.watch.check()?;
            let pixels = self.images.pixels.select(Axis(0), block);
            let scores = datapath::scores(self.white_box.engine(), pixels.view(), block, &injection);
            labels.extend(scores.rows().into_iter().map(|row| Logits::label(row.iter().copied())));
        }
        Ok(labels)
    }
}

fn accuracy(network: &Network, images: &Images) -> Tally {
    right(&WhiteBox::new(network).engine().labels(images.pixels.view()), images)
}

/// Counts the labels that are the true ones.
fn right(labels: &[usize], images: &Images) -> Tally {
    let right = labels.iter().zip(&images.labels).filter(|(a, b)| **a == usize::from(**b)).count();
    Tally::new(right, images.len())
}
