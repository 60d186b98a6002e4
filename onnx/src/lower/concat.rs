//! Concat of tensors that depend on the image: the channels of two wires beside each other.

use super::stream::Stream;
use super::{State, Value};
use crate::chain::Chain;
use crate::graph::Op;
use crate::joined::joined;
use dq_net::layer::{Concat, Layer};
use std::sync::Arc;

impl State {
    pub(super) fn concat(&mut self, op: &Op) -> Result<Value, String> {
        let mut stream = self.stream(op, 0)?.clone();
        let axis = crate::tensor::axis(op.int("axis", 1), stream.dims.len())?;
        for i in 1..op.inputs.len() {
            let next = self.stream(op, i)?.clone();
            stream = self.beside(op, axis, [stream, next])?;
        }
        Ok(Value::Stream(stream))
    }

    /// Joins two tensors along `axis`, wherever their elements lie in their wires.
    fn beside(&mut self, op: &Op, axis: usize, tensors: [Stream; 2]) -> Result<Stream, String> {
        let ([x, y], chain) = self.one_chain(op, tensors)?;
        let shapes = [&x, &y].map(|stream| self.builder.wire(stream.node).shape);
        let [of_x, of_y] = shapes.map(|shape| shape.channels);
        let (dims, places) = joined(&[&x.dims, &y.dims], axis)?;
        let node = self
            .builder
            .push(&op.name, Layer::Concat(Concat), &[x.node, y.node])
            .map_err(|reason| format!("{reason} (height × width × channels)"))?;
        let place = |(part, at): (usize, usize)| {
            let (place, own, first) = [(x.place.as_ref(), of_x, 0), (y.place.as_ref(), of_y, of_x)][part];
            let (pixel, channel) = (place[at] as usize / own, place[at] as usize % own);
            (pixel * (of_x + of_y) + first + channel) as u32
        };
        Ok(Stream { node, dims, place: Arc::new(places.into_iter().map(place).collect()), chain })
    }

    /// Returns both tensors and the functions of the joined wire, which are those of either tensor in its
    /// channels. Where they are of different kinds, both become levels first.
    fn one_chain(&mut self, op: &Op, tensors: [Stream; 2]) -> Result<([Stream; 2], Chain), String> {
        let chain = |state: &Self, [x, y]: &[Stream; 2]| {
            x.chain.beside(&y.chain, [x, y].map(|stream| state.channels(stream)))
        };
        if let Some(chain) = chain(self, &tensors) {
            return Ok((tensors, chain));
        }
        let [x, y] = &tensors;
        let levels = [self.levels(op, x)?, self.levels(op, y)?];
        let advice = "expected functions of one kind on both sides: quantize each input of the Concat";
        let chain = chain(self, &levels).ok_or(advice)?;
        Ok((levels, chain))
    }
}
