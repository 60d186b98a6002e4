//! Holds numbers that may differ from channel to channel.

use crate::number::Q;
use std::sync::Arc;

/// Numbers per channel; one number is that of every channel.
#[derive(Clone, Debug, PartialEq)]
pub struct PerChannel(pub Arc<Vec<Q>>);

impl PerChannel {
    /// Returns the same number for every channel.
    pub fn one(value: Q) -> Self {
        PerChannel(Arc::new(vec![value]))
    }

    /// Returns the number of a channel.
    pub fn of(&self, channel: usize) -> &Q {
        if let [value] = &self.0[..] { value } else { &self.0[channel] }
    }

    /// Returns the numbers after `f`.
    pub fn map(&self, f: impl Fn(&Q) -> Q) -> Self {
        PerChannel(Arc::new(self.0.iter().map(f).collect()))
    }

    /// Returns the numbers of the channels given, in that order.
    pub fn picked(&self, channels: &[usize]) -> Self {
        if self.0.len() == 1 {
            return self.clone();
        }
        PerChannel(Arc::new(channels.iter().map(|&c| self.0[c].clone()).collect()))
    }

    /// Returns the number of all channels, where there is one.
    pub fn same(&self) -> Option<&Q> {
        self.0.iter().all(|v| *v == self.0[0]).then(|| &self.0[0])
    }
}
