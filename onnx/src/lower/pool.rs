//! Pools: the largest value and the mean of windows.

use super::linear::Window;
use super::stream::{Stream, channels_first};
use super::{State, Value};
use crate::chain::{Chain, Link, PerChannel};
use crate::graph::Op;
use crate::number::whole;
use crate::quantizer::Constants;
use dq_net::layer::{Conv, GlobalSum, Layer, MaxPool, SumPool};
use ndarray::Array4;
use std::sync::Arc;

impl State {
    /// Returns the window of a pool, and its input as channels first.
    fn pool_window(&mut self, op: &Op, stream: &Stream) -> Result<Window, String> {
        let shape = self.builder.wire(stream.node).shape;
        if !stream.is_channels_first(shape) || !(3..=4).contains(&stream.dims.len()) {
            return Err(format!(
                "input: expected batch × channels × height × width, found {:?}",
                stream.dims
            ));
        }
        let spatial = stream.dims.len() - 2;
        let kernel = match op.sizes("kernel_shape", spatial, 0)?[..] {
            [columns] => [1, columns],
            [rows, columns] => [rows, columns],
            _ => [0; 2],
        };
        let window = Window::read(op, spatial, kernel, shape)?;
        if window.dilation != [1; 2] {
            return Err("dilations: expected 1".into());
        }
        let sizes =
            [shape.height + window.pad[0] + window.pad[1], shape.width + window.pad[2] + window.pad[3]];
        let kernel = [window.kernel.0, window.kernel.1];
        let uneven =
            |a: usize| sizes[a] < kernel[a] || !(sizes[a] - kernel[a]).is_multiple_of(window.stride[a]);
        if op.int("ceil_mode", 0) != 0 && (uneven(0) || uneven(1)) {
            return Err("ceil_mode: expected 0, or windows that fit exactly".into());
        }
        Ok(window)
    }

    pub(super) fn max_pool(&mut self, op: &Op) -> Result<Value, String> {
        let mut stream = self.stream(op, 0)?.clone();
        let falls = (0..self.channels(&stream)).any(|c| stream.chain.direction(c) < 0);
        if falls {
            stream = self.levels(op, &stream)?;
            if (0..self.channels(&stream)).any(|c| stream.chain.direction(c) < 0) {
                return Err("expected channels that rise with their sums, found one with a negative gain: \
                            quantize before the pool"
                    .into());
            }
        }
        let window = self.pool_window(op, &stream)?;
        let stream = self.padded(op, stream, &window)?;
        let pool = MaxPool { window: [window.kernel.0, window.kernel.1], stride: window.stride };
        let node = self.builder.push(&op.name, Layer::MaxPool(pool), &[stream.node])?;
        Ok(self.pooled(node, &stream, stream.chain.clone()))
    }

    /// Pads a stream with level 0, which is its smallest: by a convolution that copies each channel.
    fn padded(&mut self, op: &Op, stream: Stream, window: &Window) -> Result<Stream, String> {
        if window.pad == [0; 4] {
            return Ok(stream);
        }
        let stream = self.levels(op, &stream)?;
        let wire = self.builder.wire(stream.node);
        if wire.range.lo < 0 || wire.range.bits() > 16 {
            return Err("pads: expected levels to pad: quantize before the pool".into());
        }
        let [top, bottom, left, right] = window.pad;
        let (rows, columns) = (top + bottom + 1, left + right + 1);
        let mut weights = Array4::zeros((wire.shape.channels, rows, columns, 1));
        weights.outer_iter_mut().for_each(|mut w| w[[bottom, right, 0]] = 1);
        let pad = [top + bottom, top + bottom, left + right, left + right];
        let groups = wire.shape.channels;
        let conv = Conv { weights, weight_bits: 2, stride: [1; 2], pad, pad_level: 0, groups };
        let node = self.builder.push(&format!("{}_pad", op.name), Layer::Conv(conv), &[stream.node])?;
        Ok(Stream { node, ..stream })
    }

    pub(super) fn mean_pool(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        let stream = self.stream(op, 0)?.clone();
        let stream = self.levels(op, &stream)?;
        let wire = self.builder.wire(stream.node);
        for c in 0..wire.shape.channels {
            if stream.chain.affine(c)?.is_none() {
                return Err("expected the mean of levels: put a quantizer before the pool".into());
            }
        }
        let (layer, count) = if op.kind == "AveragePool" {
            let window = self.pool_window(op, &stream)?;
            if window.pad != [0; 4] {
                return Err("pads: expected no padding of a mean".into());
            }
            let size = [window.kernel.0, window.kernel.1];
            (Layer::SumPool(SumPool { window: size, stride: window.stride }), size[0] * size[1])
        } else {
            self.check_global(op, get, &stream)?;
            (Layer::GlobalSum(GlobalSum), wire.shape.height * wire.shape.width)
        };
        let node = self.builder.push(&op.name, layer, &[stream.node])?;
        let mut links = vec![Link::Div(PerChannel::one(whole(count as i64)))];
        links.extend(stream.chain.0.iter().cloned());
        let Value::Stream(mut pooled) = self.pooled(node, &stream, Chain(links)) else { unreachable!() };
        if op.kind == "ReduceMean" && op.int("keepdims", 1) == 0 {
            pooled.dims = vec![1, wire.shape.channels];
        }
        Ok(Value::Stream(pooled))
    }

    /// Checks that a node takes the mean of whole channels.
    fn check_global(&self, op: &Op, get: Constants, stream: &Stream) -> Result<(), String> {
        let rank = stream.dims.len();
        if !stream.is_channels_first(self.builder.wire(stream.node).shape) || rank < 3 {
            return Err(format!(
                "input: expected batch × channels × height × width, found {:?}",
                stream.dims
            ));
        }
        if op.kind == "ReduceMean" {
            let axes = match (op.ints("axes"), get(1)) {
                (Some(axes), _) => axes.to_vec(),
                (None, Some(axes)) => axes.whole_values("axes")?,
                (None, None) => vec![],
            };
            let mut axes =
                axes.iter().map(|&a| crate::tensor::axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
            axes.sort_unstable();
            if axes != (2..rank).collect::<Vec<_>>() {
                return Err("axes: expected all spatial axes (the mean of each channel)".into());
            }
        }
        Ok(())
    }

    fn pooled(&self, node: usize, input: &Stream, chain: Chain) -> Value {
        let shape = self.builder.wire(node).shape;
        let mut dims = vec![1, shape.channels, shape.height, shape.width];
        if input.dims.len() == 3 {
            dims.remove(2);
        }
        Value::Stream(Stream { node, dims, place: Arc::new(channels_first(shape)), chain })
    }
}
