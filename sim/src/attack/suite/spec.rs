//! Describes a suite: attacks, radii and seed, the network and the images that it runs on, and who is told of
//! its progress.

use super::judge::Judge;
use crate::ball::Norm;
use crate::gradient::GradientSource;
use crate::report::{Shard, Start};
use dq_data::Images;
use ndarray::ArrayView3;
use std::sync::atomic::AtomicBool;

/// Says what to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Names of the attacks, as in [`crate::attack::ALL`].
    pub attacks: Vec<String>,
    /// Radii, in units of a uint8 pixel.
    pub eps: Vec<u8>,
    /// Seed of every random number.
    pub seed: u64,
    /// Where PGD starts.
    pub start: Start,
    /// Whether an attack leaves out what an earlier one of the suite broke at the same radius.
    pub sequential: bool,
    /// The part of the images that is attacked here; `None` stands for all.
    pub shard: Option<Shard>,
}

/// Holds a network under attack, with the images.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The network, which alone judges.
    pub target: &'a dyn Judge,
    /// The source of gradients; `None` stands for the network itself.
    pub substitute: Option<Substitute<'a>>,
    /// The images to attack.
    pub images: &'a Images,
}

/// Describes a source of gradients beside the network under attack.
#[derive(Clone, Copy)]
pub struct Substitute<'a> {
    /// Name for people, such as the path of its file.
    pub name: &'a str,
    /// SHA-256 of what it computes, by which it is known again; `None` where that follows from the network
    /// under attack.
    pub content_hash: Option<&'a str>,
    /// The source of its gradients.
    pub source: &'a dyn GradientSource,
}

/// Describes one attack at one radius.
#[derive(Clone, Copy)]
pub struct Single<'a> {
    /// Its name in [`crate::attack::ALL`].
    pub attack: &'a str,
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// Seed of every random number.
    pub seed: u64,
    /// Where PGD starts.
    pub start: Start,
    /// A flag that stops the attack when it is set; the result is then of no use.
    pub stop: &'a AtomicBool,
}

impl<'a> Single<'a> {
    /// Describes an attack that nobody stops, with the default start.
    pub fn new(attack: &'a str, eps: u8, seed: u64) -> Self {
        Self { attack, eps, seed, start: Start::default(), stop: &crate::attack::NEVER }
    }
}

impl Suite {
    /// Describes attacks on all images, each called by its own name or by that of a set
    /// ([`crate::attack::set`]). Those of AutoAttack's sets run in sequence, unless `each` attack is to get
    /// every image.
    pub fn named(names: &[String], each: bool, eps: &[u8], seed: u64, start: Start) -> Self {
        let attacks = names.iter().flat_map(|name| match crate::attack::set(name) {
            Some(names) => names.to_vec(),
            None => vec![name.as_str()],
        });
        Self {
            attacks: attacks.map(str::to_owned).collect(),
            eps: eps.to_vec(),
            seed,
            start,
            sequential: !each && names.iter().any(|name| name.starts_with("auto")),
            shard: None,
        }
    }

    /// Describes one attack at one radius, on all images.
    pub fn single(attack: &str, eps: u8, seed: u64) -> Self {
        Self {
            attacks: vec![attack.to_owned()],
            eps: vec![eps],
            seed,
            start: Start::default(),
            sequential: false,
            shard: None,
        }
    }
}

/// Says how far a suite is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The attack that runs; empty while the clean images are classified.
    pub attack: &'a str,
    /// Radius of that attack, in units of a uint8 pixel.
    pub eps: u8,
    /// Number of images that this run has done.
    pub done: usize,
    /// Number of images in a run.
    pub images: usize,
    /// Number of finished runs.
    pub runs_done: usize,
    /// Number of runs in the suite.
    pub runs: usize,
}

/// Describes an image that broke the network.
#[derive(Clone, Copy, Debug)]
pub struct Adversary<'a> {
    /// The attack that found it.
    pub attack: &'a str,
    /// The ball in which it lies.
    pub norm: Norm,
    /// Its radius, in units of a uint8 pixel.
    pub eps: u8,
    /// Place of the run that found it in the report's list.
    pub run: usize,
    /// Position of the original in the data set.
    pub index: usize,
    /// The adversary, height × width × channels.
    pub image: ArrayView3<'a, u8>,
}

/// Holds who is told of a suite's progress, and who may stop it.
pub struct Watch<'a> {
    /// Is called with the progress.
    pub progress: &'a dyn Fn(Progress),
    /// Is called with each adversary as it is judged.
    pub keep: &'a mut dyn FnMut(Adversary),
    /// A flag that stops the suite when it is set.
    pub stop: &'a AtomicBool,
}
