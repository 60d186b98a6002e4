//! Convolutions and dense layers: levels and whole weights into accumulators, and the exact real value of
//! these.

use super::step;
use super::stream::{Stream, channels_first};
use super::weights::{Weights, whole_weights};
use super::window::Window;
use super::{State, Value};
use crate::chain::Link;
use crate::graph::Op;
use crate::number::{Q, Rounding, common_unit, to_f64, whole};
use crate::per_channel::PerChannel;
use crate::quantizer::{Constants, wanted};
use crate::tensor::{Constant, transposed};
use dq_net::layer::{Conv, Dense, Layer};
use ndarray::{Array2, Array4};
use num_traits::{One, ToPrimitive, Zero};
use std::collections::HashSet;
use std::sync::Arc;

impl State {
    /// Returns the stream as whole numbers times one scale plus an offset: it is quantized first where a
    /// rounding is still open.
    pub(super) fn levels(&mut self, op: &Op, stream: &Stream) -> Result<Stream, String> {
        if stream.chain.affine(0)?.is_some() {
            return Ok(stream.clone());
        }
        let stream = match stream.chain.split() {
            Some(_) => stream.clone(),
            None => match self.on_lattice(stream)? {
                Some(stream) => stream,
                None => return Ok(stream.clone()),
            },
        };
        let known = self.made.iter().find(|(node, chain, _)| *node == stream.node && *chain == stream.chain);
        let made = match known {
            Some((.., made)) => made.clone(),
            None => {
                let name = format!("{}_input", op.name);
                step::quantized(&mut self.builder, &mut self.steps, &name, (&stream, None))?
            }
        };
        let (dims, place) = (stream.dims.clone(), stream.place.clone());
        self.made.push((stream.node, stream.chain, made.clone()));
        Ok(Stream { dims, place, ..made })
    }

    /// Returns the stream with its values as whole multiples of a unit, where its wire has few values: an
    /// activation of levels, such as Relu after DequantizeLinear, takes levels itself.
    fn on_lattice(&self, stream: &Stream) -> Result<Option<Stream>, String> {
        let wire = self.builder.wire(stream.node);
        if wire.range.hi - wire.range.lo >= 256 {
            return Ok(None);
        }
        let mut values = HashSet::new();
        for c in 0..wire.shape.channels {
            for z in wire.range.lo..=wire.range.hi {
                match stream.chain.exact(c, z)?.rational() {
                    Some(value) => values.insert(value.clone()),
                    None => return Ok(None),
                };
            }
            if values.len() > 256 {
                return Ok(None);
            }
        }
        let least = values.iter().min().cloned().unwrap_or_else(Q::zero);
        let span = values.iter().max().map_or_else(Q::zero, |most| most - &least);
        let fits = |unit: &Q| &span / unit <= whole(255);
        let differences: Vec<Q> = values.iter().map(|v| v - &least).collect();
        let around_zero = common_unit(&values).filter(&fits).map(|unit| (unit, Q::zero()));
        let lattice =
            around_zero.or_else(|| common_unit(&differences).filter(&fits).map(|unit| (unit, least)));
        Ok(lattice.map(|(unit, first)| {
            let one = |v: Q| PerChannel::one(v);
            let whole = stream.then(Link::Add(one(-&first))).then(Link::Div(one(unit.clone())));
            whole.then(Link::Round(Rounding::HalfEven)).then(Link::Mul(one(unit))).then(Link::Add(one(first)))
        }))
    }

    /// Returns scale and offset per channel of the wire.
    pub(super) fn scales(&self, stream: &Stream) -> Result<Vec<(Q, Q)>, String> {
        let advice = "reads values that no quantizer made: put a quantizer (Quant, or QuantizeLinear and \
                      DequantizeLinear) before it";
        let wire = self.builder.wire(stream.node);
        let one = |c: usize| {
            let (scale, offset) = stream.chain.affine(c)?.ok_or(advice)?;
            match (scale.rational(), offset.rational()) {
                (Some(s), Some(o)) => Ok((s.clone(), o.clone())),
                _ => Err(advice.to_string()),
            }
        };
        if wire.range.lo < 0 || wire.range.bits() > 16 {
            return Err(advice.into());
        }
        (0..wire.shape.channels).map(one).collect()
    }

    pub(super) fn conv(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        self.conv_of(op, self.stream(op, 0)?.clone(), get)
    }

    fn conv_of(&mut self, op: &Op, stream: Stream, get: Constants) -> Result<Value, String> {
        let stream = self.levels(op, &stream)?;
        let stream = self.channels_first(op, stream)?;
        let shape = self.builder.wire(stream.node).shape;
        let weight = wanted(get, 1, "weights")?;
        let (outputs, per_group, kernel) = kernel(&weight, stream.dims.len())?;
        let groups = usize::try_from(op.int("group", 1)).ok().filter(|&g| g > 0 && outputs % g == 0);
        let groups = groups.ok_or_else(|| format!("group: expected a divisor of {outputs} outputs"))?;
        if per_group * groups != shape.channels {
            return Err(format!(
                "weights: expected {} input channels, found {}",
                shape.channels,
                per_group * groups
            ));
        }
        let spatial = stream.dims.len() - 2;
        let mut window = Window::read(op, spatial, kernel, shape)?;
        let scales = self.scales(&stream)?;
        let pad_level = if window.pad == [0; 4] { 0 } else { self.level_of(&stream, &scales, &Q::zero())? };
        let per = per_group * kernel[0] * kernel[1];
        let mut weights = whole_weights(&weight, outputs, &|o| (o * per..(o + 1) * per).collect())?;
        let taps = kernel[0] * kernel[1];
        let offsets = weights.scaled(&scales, &|o, i| o / (outputs / groups) * per_group + i / taps)?;
        let [dilate_rows, dilate_columns] = window.dilation;
        let (rows, columns) = window.kernel;
        let spread = dilate_rows > 1 && kernel[0] > 1 || dilate_columns > 1 && kernel[1] > 1;
        let (node, pad_level) = self.without_pads(stream.node, &mut window, pad_level);
        let layer = |ints: &[i8], bits: u8| {
            let mut spaced = Array4::zeros((outputs, rows, columns, per_group));
            for (i, &weight) in ints.iter().enumerate() {
                let (o, c, tap) = (i / per, i % per / taps, i % taps);
                let (y, x) = (tap / kernel[1], tap % kernel[1]);
                spaced[[o, y * dilate_rows, x * dilate_columns, c]] = weight;
            }
            let weight_bits = if spread { bits.max(2) } else { bits };
            let (stride, pad) = (window.stride, window.pad);
            Layer::Conv(Conv { weights: spaced, weight_bits, stride, pad, pad_level, groups })
        };
        let node = self.builder.push_weights(&op.name, node, &weights.ints, &layer)?;
        self.accumulators(op, get, (node, spatial), (&weights, offsets))
    }

    /// Returns the level that stands for `value` in all channels, which padding reads.
    pub(super) fn level_of(&self, stream: &Stream, scales: &[(Q, Q)], value: &Q) -> Result<i32, String> {
        let range = self.builder.wire(stream.node).range;
        let level = |(scale, offset): &(Q, Q)| {
            let level = (value - offset) / scale;
            let whole = if level.is_integer() { level.to_i64() } else { None };
            whole.filter(|&l| l == 0 || range.contains(l))
        };
        let first = scales.first().filter(|s| !s.0.is_zero()).and_then(level);
        match first {
            Some(l) if scales.iter().all(|s| !s.0.is_zero() && level(s) == first) => Ok(l as i32),
            _ => Err(format!(
                "pads: padding is {}, which is no level of the input: quantize the input with a zero point \
                 (or crop instead of padding; 1-bit ±1 has no 0)",
                to_f64(value)
            )),
        }
    }

    pub(super) fn dense(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        if get(0).is_some() {
            return Err("expected the weights as second input: transpose the product".into());
        }
        let stream = self.stream(op, 0)?.clone();
        let stream = self.levels(op, &stream)?;
        let elements = self.builder.wire(stream.node).shape.len();
        let weight = wanted(get, 1, "weights")?;
        let &[first, second] = &weight.dims[..] else {
            return Err(format!("weights: expected a matrix, found shape {:?}", weight.dims));
        };
        let turned = op.kind == "Gemm" && op.int("transB", 0) != 0;
        let (inputs, outputs) = if turned { (second, first) } else { (first, second) };
        let rest: usize = stream.dims.iter().rev().skip(1).product();
        if stream.dims.last() == Some(&inputs) && rest > 1 && stream.dims.len() == 4 && op.kind == "MatMul" {
            return self.of_pixels(op, &stream, &weight);
        }
        if stream.dims.last() != Some(&inputs) || rest != 1 {
            return Err(format!("input: expected one vector of {inputs}, found shape {:?}", stream.dims));
        }
        if op.kind == "Gemm" && op.int("transA", 0) != 0 {
            return Err("transA: expected 0".into());
        }
        let of_output = |o: usize| -> Vec<usize> {
            if turned {
                (o * inputs..(o + 1) * inputs).collect()
            } else {
                (0..inputs).map(|k| k * outputs + o).collect()
            }
        };
        let mut weights = whole_weights(&weight, outputs, &of_output)?;
        let (scales, channels) = (self.scales(&stream)?, self.channels(&stream));
        let offsets = weights.scaled(&scales, &|_, i| stream.place[i] as usize % channels)?;
        let layer = |ints: &[i8], bits: u8| {
            let mut matrix = Array2::zeros((outputs, elements));
            for (i, &w) in ints.iter().enumerate() {
                matrix[[i / inputs, stream.place[i % inputs] as usize]] = w;
            }
            // Elements that no weight reads have the weight 0.
            let weight_bits = if inputs < elements { bits.max(2) } else { bits };
            Layer::Dense(Dense { weights: matrix, weight_bits })
        };
        let node = self.builder.push_weights(&op.name, stream.node, &weights.ints, &layer)?;
        self.accumulators(op, get, (node, 0), (&weights, offsets))
    }

    /// Multiplies the channels of every pixel of a tensor that has its channels last: a convolution of one
    /// tap.
    fn of_pixels(&mut self, op: &Op, stream: &Stream, weight: &Constant) -> Result<Value, String> {
        let (inputs, outputs) = (weight.dims[0], weight.dims[1]);
        let (dims, positions) = transposed(&stream.dims, &[0, 3, 1, 2]);
        let first = stream.picked(dims, &positions);
        let (_, positions) = transposed(&weight.dims, &[1, 0]);
        let kernel = weight.picked(vec![outputs, inputs, 1, 1], &positions, Some(&[1, 0]));
        let conv = Op::new(&op.name, "Conv", &["", ""], "");
        let Value::Stream(made) = self.conv_of(&conv, first, &|i| (i == 1).then(|| kernel.clone()))? else {
            unreachable!("a convolution makes a stream")
        };
        let (dims, positions) = transposed(&made.dims, &[0, 2, 3, 1]);
        Ok(Value::Stream(made.picked(dims, &positions)))
    }

    /// Returns the real values of accumulators, bias included.
    fn accumulators(
        &mut self,
        op: &Op,
        get: Constants,
        (node, spatial): (usize, usize),
        (weights, offsets): (&Weights, Vec<Q>),
    ) -> Result<Value, String> {
        let shape = self.builder.wire(node).shape;
        let outputs = shape.channels;
        let alpha = if op.kind == "Gemm" { op.float("alpha", 1.0)? } else { Q::one() };
        let times_alpha = |values: &[Q]| PerChannel(Arc::new(values.iter().map(|v| v * &alpha).collect()));
        let mut links = vec![Link::Mul(times_alpha(&weights.units)), Link::Add(times_alpha(&offsets))];
        if op.input(2).is_some() && op.kind != "MatMul" {
            let bias = wanted(get, 2, "bias")?;
            let beta = if op.kind == "Gemm" { op.float("beta", 1.0)? } else { Q::one() };
            let values: Vec<Q> = bias.values().iter().map(|b| b * &beta).collect();
            if values.len() != outputs && values.len() != 1 {
                return Err(format!("bias: expected {outputs} numbers, found {}", values.len()));
            }
            links.push(Link::Add(PerChannel(Arc::new(values))));
        }
        links.retain(|link| !matches!(link, Link::Add(a) if a.0.iter().all(Zero::is_zero)));
        let dims = match spatial {
            0 => vec![1, outputs],
            1 => vec![1, outputs, shape.width],
            _ => vec![1, outputs, shape.height, shape.width],
        };
        let place = Arc::new(channels_first(shape));
        Ok(Value::Stream(Stream { node, dims, place, chain: crate::chain::Chain(links) }))
    }
}

/// Returns outputs, input channels per group, and rows and columns of a kernel.
fn kernel(weight: &Constant, rank: usize) -> Result<(usize, usize, [usize; 2]), String> {
    match (&weight.dims[..], rank) {
        (&[o, i, h, w], 4) => Ok((o, i, [h, w])),
        (&[o, i, w], 3) => Ok((o, i, [1, w])),
        _ => {
            Err(format!("weights: expected outputs × inputs × rows × columns, found shape {:?}", weight.dims))
        }
    }
}
