//! Injects faults into the circuit: bits that flip in the weights' memory, at random or where they do most
//! harm, and bits that flip or stick in the datapath. The effect of a fault is computed on the exact
//! integers, never estimated.
//!
//! - [`memory`]: flips in stored weights, and the network that results.
//! - [`search`]: the progressive search for the flips that do most harm.
//! - [`datapath`]: upsets and stuck bits of accumulators, levels and streams.
//! - [`measure`]: all of them on one network, as a campaign.
//!
//! Flipped weights run on a circuit whose accumulators hold any weights of their bits (`--control load`), so
//! nothing wraps there. In the datapath every register has the width of its wire, and what does not fit it
//! wraps.
//!
//! Flipped weights make another network. Flipped registers go through the engine as far as values keep
//! their wires' ranges, beyond that through `net`'s own meaning, wrapped to the wire's width.

mod campaign;
pub mod datapath;
pub mod memory;
pub mod search;

pub use campaign::{Campaign, Flip, Found, Kind, Rate, Stuck, Upset, measure, steps};

use crate::random::Random;

/// Starts the random numbers of trial `index` of a campaign called `name`.
fn random(seed: u64, name: &str, index: u64) -> Random {
    Random::keyed(seed, name, 0, index)
}

/// Draws a number uniform in `0..count`.
fn below(random: &mut Random, count: usize) -> usize {
    ((u128::from(random.word()) * count as u128) >> 64) as usize
}
