//! Defines shards: the part of a data set that one process attacks.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Names a shard: every `count`th image, from the `index`th on; counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Number of this shard, from 1 to `count`.
    pub index: usize,
    /// Number of shards.
    pub count: usize,
}

impl Shard {
    /// Returns the places of its images among `images` of them.
    pub fn positions(self, images: usize) -> impl Iterator<Item = usize> {
        (self.index - 1..images).step_by(self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    /// Reads `2/8`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if 1 <= index && index <= count => Ok(Shard { index, count }),
            _ => Err(format!("expected I/N with 1 <= I <= N (e.g. 2/8), found `{text}`")),
        }
    }
}
