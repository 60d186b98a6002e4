//! Operators that move elements, and the copies that bring these into the order of a wire.

use super::stream::{Stream, channels_first};
use super::{State, Value};
use crate::fold;
use crate::graph::Op;
use crate::pick;
use crate::quantizer::Constants;
use crate::tensor::transposed;
use dq_net::layer::{Conv, Layer};
use ndarray::Array4;
use std::sync::Arc;

/// Most weights of a copy.
const MAX_COPY: usize = 1 << 22;

impl State {
    /// Lowers an operator that moves elements; `None` where it is another.
    pub(super) fn moved(&self, op: &Op, get: Constants, part: usize) -> Result<Option<Value>, String> {
        let kind = op.kind.as_str();
        if !["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather", "Split"]
            .contains(&kind)
        {
            return Ok(None);
        }
        let stream = self.stream(op, 0)?;
        let moved = match kind {
            "Transpose" => {
                let (dims, positions) = transposed(&stream.dims, &fold::order(op, stream.dims.len())?);
                stream.picked(dims, &positions)
            }
            "Slice" | "Gather" | "Split" => {
                let picked = pick::picked(op, &stream.dims, get, part)?;
                if picked.positions.is_empty() {
                    return Err("expected at least one element".into());
                }
                stream.picked(picked.dims, &picked.positions)
            }
            _ => stream.reshaped(fold::new_shape(op, &stream.dims, get)?),
        };
        Ok(Some(Value::Stream(moved)))
    }

    /// Returns a stream as batch × channels × height × width of a wire: a part of the wire, or one with its
    /// channels in another order, is copied by a convolution of one tap per output.
    pub(super) fn channels_first(&mut self, op: &Op, stream: Stream) -> Result<Stream, String> {
        let shape = self.builder.wire(stream.node).shape;
        if stream.is_channels_first(shape) {
            return Ok(stream);
        }
        let refused = || {
            format!(
                "input: expected batch × channels × height × width, found {:?} in another order",
                stream.dims
            )
        };
        let (channels, height, width) = match stream.dims[..] {
            [1, c, h, w] => (c, h, w),
            [1, c, w] => (c, 1, w),
            [1, c] => (c, 1, 1),
            _ => return Err(refused()),
        };
        // Row, column and channel of the wire behind an element.
        let at = |c: usize, y: usize, x: usize| {
            let place = stream.place[(c * height + y) * width + x] as usize;
            let pixel = place / shape.channels;
            [pixel / shape.width, pixel % shape.width, place % shape.channels]
        };
        let [top, left, _] = at(0, 0, 0);
        let step = |other: usize, first: usize| other.saturating_sub(first).max(1);
        let rows = if height > 1 { step(at(0, 1, 0)[0], top) } else { 1 };
        let columns = if width > 1 { step(at(0, 0, 1)[1], left) } else { 1 };
        let source: Vec<usize> = (0..channels).map(|c| at(c, 0, 0)[2]).collect();
        let regular = |c: usize| {
            let place = |y, x| [top + y * rows, left + x * columns, source[c]];
            (0..height).all(|y| (0..width).all(|x| at(c, y, x) == place(y, x)))
        };
        if !(0..channels).all(regular) {
            return Err(refused());
        }
        let kernel = [shape.height - (height - 1) * rows, shape.width - (width - 1) * columns];
        let per_pixel = source.iter().enumerate().all(|(c, &s)| c == s) && channels == shape.channels;
        let (groups, per_group) = if per_pixel { (channels, 1) } else { (1, shape.channels) };
        if kernel[0] * kernel[1] * channels * per_group > MAX_COPY {
            return Err(refused());
        }
        let mut weights = Array4::zeros((channels, kernel[0], kernel[1], per_group));
        for (c, &s) in source.iter().enumerate() {
            weights[[c, top, left, if per_pixel { 0 } else { s }]] = 1;
        }
        let stride = [rows, columns];
        let conv = Conv { weights, weight_bits: 2, stride, pad: [0; 4], pad_level: 0, groups };
        let node = self.builder.push(&format!("{}_part", op.name), Layer::Conv(conv), &[stream.node])?;
        let place = Arc::new(channels_first(self.builder.wire(node).shape));
        Ok(Stream { node, dims: stream.dims.clone(), place, chain: stream.chain.picked(&source) })
    }
}
