//! What a MODEL argument names: a model's file or, where there is none of that name, a built-in topology with random
//! weights.

use anyhow::Result;
use dq_net::{AnyNetwork, Network, topology};
use std::path::Path;

/// The integer network that `path` names; a topology's weights follow `seed`.
pub fn open(path: &Path, seed: u64) -> Result<Network> {
    match topology_of(path) {
        Some(text) => Ok(topology::build(text, seed)?),
        None => Ok(dq_net::read_network(path)?),
    }
}

/// As [`open`], of either family.
pub fn open_any(path: &Path, seed: u64) -> Result<AnyNetwork> {
    match topology_of(path) {
        Some(text) => Ok(AnyNetwork::Integer(topology::build(text, seed)?)),
        None => Ok(dq_net::read_any(path)?),
    }
}

fn topology_of(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| topology::is_named(text) && !path.is_file())
}
