//! What a suite is: attacks, radii and seed, the network and the images that it runs on, and whom it tells
//! how it gets on.

use super::judge::Judge;
use crate::ball::Norm;
use crate::gradient::GradientSource;
use crate::report::{Shard, Start};
use dq_data::Images;
use ndarray::ArrayView3;
use std::sync::atomic::AtomicBool;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Names of [`crate::attack::ALL`].
    pub attacks: Vec<String>,
    /// Radii, in units of a uint8 pixel.
    pub eps: Vec<u8>,
    /// Seed of every random number.
    pub seed: u64,
    /// Where PGD starts.
    pub start: Start,
    /// Whether an attack leaves out what an earlier one of the suite broke at the same radius.
    pub sequential: bool,
    /// The part of the images that is attacked here; none: all.
    pub shard: Option<Shard>,
}

/// A network under attack, with the images.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The network, which alone judges.
    pub target: &'a dyn Judge,
    /// Where gradients come from; none: from the network itself.
    pub substitute: Option<Substitute<'a>>,
    /// The images.
    pub images: &'a Images,
}

/// A substitute: its name, and where its gradients come from.
pub type Substitute<'a> = (&'a str, &'a dyn GradientSource);

/// One attack at one radius.
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
    /// Set to stop: what comes back then is of no use.
    pub stop: &'a AtomicBool,
}

impl<'a> Single<'a> {
    /// Describes an attack that nobody stops, with the default start.
    pub fn new(attack: &'a str, eps: u8, seed: u64) -> Self {
        Self { attack, eps, seed, start: Start::default(), stop: &crate::attack::NEVER }
    }
}

impl Suite {
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

/// How far a suite is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The attack that runs; empty while the clean images are classified.
    pub attack: &'a str,
    /// Its radius.
    pub eps: u8,
    /// Images done in this run.
    pub done: usize,
    /// Images of a run.
    pub images: usize,
    /// Runs finished.
    pub runs_done: usize,
    /// Runs of the suite.
    pub runs: usize,
}

/// An image that broke the network.
#[derive(Clone, Copy, Debug)]
pub struct Adversary<'a> {
    /// The attack that found it.
    pub attack: &'a str,
    /// Its ball.
    pub norm: Norm,
    /// Its radius.
    pub eps: u8,
    /// Place of the run that found it in the report's list.
    pub run: usize,
    /// Position of the original in the data set.
    pub index: usize,
    /// Height × width × channels.
    pub image: ArrayView3<'a, u8>,
}

/// Whom a suite tells how it gets on.
pub struct Watch<'a> {
    /// Told how far it is.
    pub progress: &'a dyn Fn(Progress),
    /// Shown each adversary as it is judged.
    pub keep: &'a mut dyn FnMut(Adversary),
    /// Set to stop.
    pub stop: &'a AtomicBool,
}
