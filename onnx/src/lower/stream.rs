//! Defines streams: tensors of the graph as chains over a wire of the integer network.

use crate::chain::{Chain, Link};
use crate::number::Q;
use crate::per_channel::PerChannel;
use crate::tensor::{Constant, broadcast};
use dq_net::Shape;
use std::collections::HashMap;
use std::sync::Arc;

/// A tensor: element `i` is the chain's value for the wire's element `place[i]`.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Node of the integer network.
    pub node: usize,
    /// Shape in the graph, with 1 as the batch.
    pub dims: Vec<usize>,
    /// For each element of the tensor, row-major: the element of the wire, row-major with channels fastest.
    pub place: Arc<Vec<u32>>,
    /// What the tensor's values are of the wire's integers, per channel of the wire.
    pub chain: Chain,
}

/// Returns the places of a tensor of channels × height × width.
pub fn channels_first(shape: Shape) -> Vec<u32> {
    let Shape { height, width, channels } = shape;
    let pixels = height * width;
    (0..channels).flat_map(|c| (0..pixels).map(move |p| (p * channels + c) as u32)).collect()
}

impl Stream {
    /// Returns the stream with one more function at the end of its chain.
    pub fn then(&self, link: Link) -> Stream {
        Stream { chain: self.chain.then(link), ..self.clone() }
    }

    /// Returns the same elements in another shape.
    pub fn reshaped(&self, dims: Vec<usize>) -> Stream {
        Stream { dims, ..self.clone() }
    }

    /// Returns the elements at `positions`, in that order, as a tensor of shape `dims`.
    pub fn picked(&self, dims: Vec<usize>, positions: &[usize]) -> Stream {
        let place = Arc::new(positions.iter().map(|&p| self.place[p]).collect());
        Stream { dims, place, ..self.clone() }
    }

    /// Returns whether the tensor is batch × channels × height × width (or batch × channels) of a wire of
    /// `shape`.
    pub fn is_channels_first(&self, shape: Shape) -> bool {
        let Shape { height, width, channels } = shape;
        let dims = match self.dims[..] {
            [1, c, h, w] => [c, h, w],
            [1, c, w] => [c, 1, w],
            [1, c] => [c, 1, 1],
            _ => return false,
        };
        dims == [channels, height, width] && *self.place == channels_first(shape)
    }

    /// Returns a constant's numbers per channel of the wire.
    pub fn per_channel(
        &self,
        constant: &Constant,
        channels: usize,
        what: &str,
    ) -> Result<PerChannel, String> {
        if constant.len() == 1 {
            return Ok(PerChannel::one(constant.value(0)));
        }
        let named = |reason: String| format!("{what}: {reason}");
        let positions = broadcast(&constant.dims, &self.dims).map_err(named)?;
        let values = constant.values();
        self.gather(&positions, &values, channels).map(|v| PerChannel(Arc::new(v))).ok_or_else(|| {
            format!("{what}: expected one number per channel, found numbers that differ within a channel")
        })
    }

    /// Returns numbers per channel, given the position of the number for every element; `None` where they
    /// differ within a channel.
    fn gather(&self, positions: &[usize], values: &[Q], channels: usize) -> Option<Vec<Q>> {
        let mut found: Vec<Option<usize>> = vec![None; channels];
        for (&place, &position) in self.place.iter().zip(positions) {
            match &mut found[place as usize % channels] {
                slot @ None => *slot = Some(position),
                Some(old) if *old == position || values[*old] == values[position] => {}
                _ => return None,
            }
        }
        // A channel that the tensor does not hold takes the number of another: nothing reads it.
        let any = found.iter().flatten().next().copied()?;
        Some(found.into_iter().map(|p| values[p.unwrap_or(any)].clone()).collect())
    }

    /// Returns, for each channel of the wire, the index along `axis` of the tensor that it lies at; `None`
    /// where a channel lies at several.
    pub fn index_of_channels(&self, axis: usize, channels: usize) -> Option<Vec<usize>> {
        let size = self.dims[axis];
        let inside = crate::tensor::inner(&self.dims, axis);
        let mut found = HashMap::new();
        for (i, &place) in self.place.iter().enumerate() {
            let index = i / inside % size;
            if *found.entry(place as usize % channels).or_insert(index) != index {
                return None;
            }
        }
        let any = found.values().min().copied()?;
        Some((0..channels).map(|c| found.get(&c).copied().unwrap_or(any)).collect())
    }
}
