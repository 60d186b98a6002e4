//! Padding in a node of its own.

use super::stream::{Stream, channels_first};
use super::window::Window;
use super::{State, Value};
use crate::graph::Op;
use crate::number::Q;
use crate::quantizer::Constants;
use dq_net::layer::{Conv, Layer};
use ndarray::Array4;
use num_traits::{ToPrimitive, Zero};
use std::sync::Arc;

/// What a node of the network pads.
#[derive(Clone, Copy)]
pub(super) struct Padded {
    source: usize,
    pad: [usize; 4],
    level: i32,
}

impl State {
    pub(super) fn pad(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        let mode = op.text("mode", "constant");
        if mode != "constant" {
            return Err(format!(
                "mode: expected constant, found `{}` (a circuit pads with one level)",
                crate::error::shown(&mode)
            ));
        }
        let stream = self.stream(op, 0)?.clone();
        let pads = pads(op, get, stream.dims.len())?;
        let value = match (get(2), op.attribute("value")) {
            (Some(value), _) => value.scalar("value")?,
            (None, Some(_)) => op.float("value", 0.0)?,
            (None, None) => Q::zero(),
        };
        if pads == [0; 4] {
            return Ok(Value::Stream(stream));
        }
        let stream = self.levels(op, &stream)?;
        let stream = self.channels_first(op, stream)?;
        let level = self.level_of(&stream, &self.scales(&stream)?, &value)?;
        self.padded(&op.name, stream, pads, level).map(Value::Stream)
    }

    /// Pads levels with one level: by a convolution that copies each channel.
    pub(super) fn padded(
        &mut self,
        name: &str,
        stream: Stream,
        pad: [usize; 4],
        level: i32,
    ) -> Result<Stream, String> {
        let wire = self.builder.wire(stream.node);
        if wire.range.lo < 0 || wire.range.bits() > 16 {
            return Err("pads: expected levels to pad: quantize before the pool".into());
        }
        let [top, bottom, left, right] = pad;
        let (rows, columns) = (top + bottom + 1, left + right + 1);
        let mut weights = Array4::zeros((wire.shape.channels, rows, columns, 1));
        weights.outer_iter_mut().for_each(|mut w| w[[bottom, right, 0]] = 1);
        let around = [top + bottom, top + bottom, left + right, left + right];
        let groups = wire.shape.channels;
        let conv = Conv { weights, weight_bits: 2, stride: [1; 2], pad: around, pad_level: level, groups };
        let node = self.builder.push(&format!("{name}_pad"), Layer::Conv(conv), &[stream.node])?;
        self.pads.insert(node, Padded { source: stream.node, pad, level });
        let shape = self.builder.wire(node).shape;
        let mut dims = stream.dims.clone();
        let rank = dims.len();
        if rank == 4 {
            dims[2] = shape.height;
        }
        dims[rank - 1] = shape.width;
        Ok(Stream { node, dims, place: Arc::new(channels_first(shape)), chain: stream.chain })
    }

    /// Returns the node behind padding before a convolution, and the level of the convolution's own padding,
    /// which takes it over: where both pad with one level, and by less than the window.
    pub(super) fn without_pads(&self, node: usize, window: &mut Window, level: i32) -> (usize, i32) {
        let Some(&Padded { source, pad, level: other }) = self.pads.get(&node) else { return (node, level) };
        let sum = [0, 1, 2, 3].map(|side| pad[side] + window.pad[side]);
        let kernel = [window.kernel.0, window.kernel.1];
        let fits = (0..4).all(|side| sum[side] < kernel[side / 2]);
        if !fits || window.pad != [0; 4] && level != other {
            return (node, level);
        }
        window.pad = sum;
        (source, other)
    }
}

/// Returns top, bottom, left and right of a `Pad`.
fn pads(op: &Op, get: Constants, rank: usize) -> Result<[usize; 4], String> {
    let given = match (op.ints("pads"), get(1)) {
        (Some(pads), _) => pads.to_vec(),
        (None, Some(pads)) => pads.whole_values("pads")?,
        (None, None) => return Err("pads: expected constants".into()),
    };
    let axes = match (get(3), op.input(3)) {
        (Some(axes), _) => axes.whole_values("axes")?,
        (None, None) => (0..rank as i64).collect(),
        (None, Some(_)) => return Err("axes: expected constants".into()),
    };
    if given.len() != 2 * axes.len() || !(3..=4).contains(&rank) {
        return Err(format!(
            "pads: expected two sizes for each of {} axes, found {}",
            axes.len(),
            given.len()
        ));
    }
    let mut sides = [0; 4];
    for (i, &size) in given.iter().enumerate() {
        let axis = crate::tensor::axis(axes[i % axes.len()], rank)?;
        let from_end = rank - 1 - axis;
        let size = size.to_usize().filter(|&s| s < 1 << 12 && (s == 0 || from_end < rank - 2));
        let size = size.ok_or("pads: expected spatial sizes of at least 0")?;
        if size > 0 {
            // The last axis holds columns.
            sides[2 * (1 - from_end) + usize::from(i >= axes.len())] += size;
        }
    }
    Ok(sides)
}
