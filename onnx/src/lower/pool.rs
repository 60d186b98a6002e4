//! Pools: the largest value and the mean of windows.

use super::stream::{Stream, channels_first};
use super::window::Window;
use super::{State, Value};
use crate::chain::{Chain, Link};
use crate::graph::Op;
use crate::number::{Q, whole};
use crate::per_channel::PerChannel;
use crate::quantizer::Constants;
use dq_net::layer::{GlobalSum, Layer, MaxPool, SumPool};
use num_traits::Zero;
use std::sync::Arc;

impl State {
    /// Returns the window of a pool over a stream that has its channels first.
    fn pool_window(&self, op: &Op, stream: &Stream) -> Result<Window, String> {
        let shape = self.builder.wire(stream.node).shape;
        if !(3..=4).contains(&stream.dims.len()) {
            return Err(format!(
                "input: expected batch × channels × height × width, found {:?}",
                stream.dims
            ));
        }
        if op.kind.starts_with("Global") {
            let kernel = (shape.height, shape.width);
            return Ok(Window { kernel, stride: [1; 2], pad: [0; 4], dilation: [1; 2] });
        }
        let spatial = stream.dims.len() - 2;
        let kernel = match op.sizes("kernel_shape", spatial, 0)?[..] {
            [columns] => [1, columns],
            [rows, columns] => [rows, columns],
            _ => [0; 2],
        };
        let mut window = Window::read(op, spatial, kernel, shape)?;
        if window.dilation != [1; 2] {
            return Err("dilations: expected 1".into());
        }
        if op.int("ceil_mode", 0) != 0 {
            let added = [0, 1].map(|axis| window.added_by_ceiling(axis, shape));
            if op.kind != "MaxPool" && added != [0; 2] {
                return Err("ceil_mode: expected 0, or windows that fit exactly".into());
            }
            window.pad[1] += added[0];
            window.pad[3] += added[1];
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
        let mut stream = self.channels_first(op, stream)?;
        let window = self.pool_window(op, &stream)?;
        if window.pad != [0; 4] {
            // Level 0 is the smallest.
            stream = self.levels(op, &stream)?;
            stream = self.padded(&op.name, stream, window.pad, 0)?;
        }
        let pool = MaxPool { window: [window.kernel.0, window.kernel.1], stride: window.stride };
        let node = self.builder.push(&op.name, Layer::MaxPool(pool), &[stream.node])?;
        Ok(self.pooled(node, &stream, stream.chain.clone()))
    }

    pub(super) fn mean_pool(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        let stream = self.stream(op, 0)?.clone();
        let stream = self.levels(op, &stream)?;
        let mut stream = self.channels_first(op, stream)?;
        let wire = self.builder.wire(stream.node);
        for c in 0..wire.shape.channels {
            if stream.chain.affine(c)?.is_none() {
                return Err("expected the mean of levels: put a quantizer before the pool".into());
            }
        }
        let (layer, count) = if op.kind == "AveragePool" {
            let window = self.pool_window(op, &stream)?;
            if window.pad != [0; 4] {
                if op.int("count_include_pad", 0) == 0 {
                    return Err(
                        "count_include_pad: expected 1, or no padding: means that leave the padding out \
                                have another divisor at the border (pad in a node of its own)"
                            .into(),
                    );
                }
                let level = self.level_of(&stream, &self.scales(&stream)?, &Q::zero())?;
                stream = self.padded(&op.name, stream, window.pad, level)?;
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
        if rank < 3 {
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
