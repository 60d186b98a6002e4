//! Convolutions and dense layers: levels and whole weights into accumulators, and the exact real value of
//! these.

use super::step;
use super::stream::{Stream, channels_first};
use super::{State, Value};
use crate::chain::{Link, PerChannel};
use crate::graph::Op;
use crate::number::{Q, Rounding, common_unit, whole};
use crate::quantizer::{Constants, wanted};
use crate::tensor::{Constant, integers};
use dq_net::Shape;
use dq_net::layer::{Conv, Dense, Layer};
use ndarray::{Array2, Array4};
use num_integer::Integer;
use num_traits::{One, ToPrimitive, Zero};
use std::collections::HashSet;
use std::sync::Arc;

/// Whole weights, output by output in the order of the given indices, and the unit per output.
struct Weights {
    ints: Vec<i8>,
    bits: u8,
    units: Vec<Q>,
    /// Sum of the whole weights per output.
    sums: Vec<i64>,
}

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
        let name = format!("{}_input", op.name);
        step::quantized(&mut self.builder, &mut self.steps, &name, &stream)
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
        let stream = self.stream(op, 0)?.clone();
        let stream = self.levels(op, &stream)?;
        let shape = self.builder.wire(stream.node).shape;
        if !stream.is_channels_first(shape) {
            return Err(format!(
                "input: expected batch × channels × height × width, found {:?} in another order",
                stream.dims
            ));
        }
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
        let window = Window::read(op, spatial, kernel, shape)?;
        let scales = self.group_scales(&stream, groups, per_group)?;
        let pad_level = self.pad_level(&stream, &window, &scales)?;
        let per = per_group * kernel[0] * kernel[1];
        let weights = whole_weights(&weight, outputs, &|o| (o * per..(o + 1) * per).collect())?;
        let [dilate_rows, dilate_columns] = window.dilation;
        let (rows, columns) = window.kernel;
        let mut taps = Array4::zeros((outputs, rows, columns, per_group));
        let mut ints = weights.ints.iter();
        for o in 0..outputs {
            for c in 0..per_group {
                for y in 0..kernel[0] {
                    for x in 0..kernel[1] {
                        taps[[o, y * dilate_rows, x * dilate_columns, c]] = *ints.next().expect("counted");
                    }
                }
            }
        }
        let spread = dilate_rows > 1 && kernel[0] > 1 || dilate_columns > 1 && kernel[1] > 1;
        let weight_bits = if spread { weights.bits.max(2) } else { weights.bits };
        let (stride, pad) = (window.stride, window.pad);
        let conv = Conv { weights: taps, weight_bits, stride, pad, pad_level, groups };
        let node = self.builder.push(&op.name, Layer::Conv(conv), &[stream.node])?;
        let of_output = |o: usize| &scales[o / (outputs / groups)];
        self.accumulators(op, get, (node, spatial), (&weights, &of_output))
    }

    /// Returns scale and offset of each group's input channels.
    fn group_scales(&self, stream: &Stream, groups: usize, per_group: usize) -> Result<Vec<(Q, Q)>, String> {
        let scales = self.scales(stream)?;
        let of_group = |g: usize| {
            let group = &scales[g * per_group..(g + 1) * per_group];
            if group.iter().all(|s| *s == group[0]) {
                return Ok(group[0].clone());
            }
            Err("input: expected one scale and offset for all channels that are summed, found several \
                 (quantize activations per tensor; for an image, give one std for all channels)"
                .to_string())
        };
        (0..groups).map(of_group).collect()
    }

    /// Returns the level that stands for 0, which padding reads.
    fn pad_level(&self, stream: &Stream, window: &Window, scales: &[(Q, Q)]) -> Result<i32, String> {
        if window.pad == [0; 4] {
            return Ok(0);
        }
        let range = self.builder.wire(stream.node).range;
        let level = |(scale, offset): &(Q, Q)| {
            let level = -offset / scale;
            let whole = if level.is_integer() { level.to_i64() } else { None };
            whole.filter(|&l| range.contains(l))
        };
        let first = scales.first().and_then(level);
        match first {
            Some(l) if scales.iter().all(|s| level(s) == first) => Ok(l as i32),
            _ => Err(
                "pads: padding is 0, which is no level of the input: quantize the input with a zero point \
                      (or crop instead of padding; 1-bit ±1 has no 0)"
                    .into(),
            ),
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
        if stream.dims.last() != Some(&inputs) || rest != 1 || inputs != elements {
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
        let weights = whole_weights(&weight, outputs, &of_output)?;
        let mut matrix = Array2::zeros((outputs, inputs));
        for (i, &w) in weights.ints.iter().enumerate() {
            matrix[[i / inputs, stream.place[i % inputs] as usize]] = w;
        }
        let scales = self.group_scales(&stream, 1, self.channels(&stream))?;
        let dense = Dense { weights: matrix, weight_bits: weights.bits };
        let node = self.builder.push(&op.name, Layer::Dense(dense), &[stream.node])?;
        self.accumulators(op, get, (node, 0), (&weights, &|_| &scales[0]))
    }

    /// Returns the real values of accumulators, bias included.
    fn accumulators<'a>(
        &mut self,
        op: &Op,
        get: Constants,
        (node, spatial): (usize, usize),
        (weights, scale): (&Weights, &dyn Fn(usize) -> &'a (Q, Q)),
    ) -> Result<Value, String> {
        let shape = self.builder.wire(node).shape;
        let outputs = shape.channels;
        let alpha = if op.kind == "Gemm" { op.float("alpha", 1.0)? } else { Q::one() };
        let unit = |o: usize| &scale(o).0 * &weights.units[o] * &alpha;
        let offset = |o: usize| &scale(o).1 * &weights.units[o] * &alpha * whole(weights.sums[o]);
        let mut links = vec![Link::Mul(PerChannel(Arc::new((0..outputs).map(unit).collect())))];
        links.push(Link::Add(PerChannel(Arc::new((0..outputs).map(offset).collect()))));
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

/// Returns the weights as whole numbers of at most 8 bits.
fn whole_weights(
    constant: &Constant,
    outputs: usize,
    indices: &dyn Fn(usize) -> Vec<usize>,
) -> Result<Weights, String> {
    let advice = "weights: expected whole numbers of at most 8 bits times one scale per output";
    let refused = || format!("{advice} (quantize the weights with Quant or DequantizeLinear, zero point 0)");
    let mut rows: Vec<(Vec<i32>, Q)> = vec![];
    for o in 0..outputs {
        rows.push(integers(constant, &indices(o)).ok_or_else(refused)?);
    }
    let largest = |row: &[i32]| row.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
    // One unit for all outputs, where the weights stay small: scores need it.
    if let Some(common) = common_unit(rows.iter().map(|r| &r.1)) {
        let factor = |unit: &Q| (unit / &common).to_i32().filter(|&f| f < 128);
        let factors: Option<Vec<i32>> = rows.iter().map(|r| factor(&r.1)).collect();
        let small = |f: &[i32]| rows.iter().zip(f).all(|(r, &f)| largest(&r.0) as u64 * f as u64 <= 127);
        if let Some(factors) = factors.filter(|f| small(f)) {
            for ((ints, unit), factor) in rows.iter_mut().zip(factors) {
                ints.iter_mut().for_each(|w| *w *= factor);
                *unit = common.clone();
            }
        }
    }
    let divisor = |ints: &mut dyn Iterator<Item = i32>| ints.fold(0i32, |g, w| g.gcd(&w)).max(1);
    let whole_tensor = divisor(&mut rows.iter().flat_map(|r| r.0.iter().copied()));
    for (ints, unit) in &mut rows {
        let fits = largest(ints) / whole_tensor as u32 <= 127;
        let by = if fits { whole_tensor } else { divisor(&mut ints.iter().copied()) };
        ints.iter_mut().for_each(|w| *w /= by);
        *unit *= whole(by);
    }
    let ints: Option<Vec<i8>> = rows.iter().flat_map(|r| &r.0).map(|&w| i8::try_from(w).ok()).collect();
    let ints = ints.ok_or_else(refused)?;
    let bits = if ints.iter().all(|w| w.abs() == 1) {
        1
    } else {
        let fits = |b: &u8| ints.iter().all(|&w| (-(1i32 << (b - 1))..1 << (b - 1)).contains(&w.into()));
        (2..=8).find(fits).expect("8 bits hold them")
    };
    let sums = rows.iter().map(|r| r.0.iter().map(|&w| i64::from(w)).sum()).collect();
    Ok(Weights { ints, bits, units: rows.into_iter().map(|r| r.1).collect(), sums })
}

/// Where the windows of a convolution or a pool lie.
pub(super) struct Window {
    /// Rows and columns, with dilation.
    pub kernel: (usize, usize),
    /// Strides along rows and columns.
    pub stride: [usize; 2],
    /// Padding: top, bottom, left, right.
    pub pad: [usize; 4],
    /// Distance of taps along rows and columns.
    pub dilation: [usize; 2],
}

impl Window {
    /// Reads strides, pads and dilations of a node with `spatial` spatial axes.
    pub(super) fn read(op: &Op, spatial: usize, kernel: [usize; 2], input: Shape) -> Result<Self, String> {
        let pair = |sizes: Vec<usize>, one: usize| match sizes[..] {
            [columns] => [one, columns],
            [rows, columns] => [rows, columns],
            _ => [one; 2],
        };
        let stride = pair(op.sizes("strides", spatial, 1)?, 1);
        let dilation = pair(op.sizes("dilations", spatial, 1)?, 1);
        if stride.contains(&0)
            || dilation.contains(&0)
            || kernel.contains(&0)
            || dilation.iter().any(|&d| d > 64)
        {
            return Err("strides, dilations: expected at least 1".into());
        }
        let span = |axis: usize| (kernel[axis] - 1) * dilation[axis] + 1;
        let pads = op.sizes("pads", 2 * spatial, 0)?;
        let sizes = [input.height, input.width];
        let same = |axis: usize| {
            let out = sizes[axis].div_ceil(stride[axis]);
            ((out - 1) * stride[axis] + span(axis)).saturating_sub(sizes[axis])
        };
        let pad = match (op.text("auto_pad", "NOTSET").as_str(), &pads[..]) {
            ("NOTSET" | "", &[left, right]) => [0, 0, left, right],
            ("NOTSET" | "", &[top, left, bottom, right]) => [top, bottom, left, right],
            ("VALID", _) => [0; 4],
            ("SAME_UPPER", _) => [same(0) / 2, same(0).div_ceil(2), same(1) / 2, same(1).div_ceil(2)],
            ("SAME_LOWER", _) => [same(0).div_ceil(2), same(0) / 2, same(1).div_ceil(2), same(1) / 2],
            (other, _) => {
                return Err(format!(
                    "auto_pad: expected a known one, found `{}`",
                    crate::error::shown(other)
                ));
            }
        };
        Ok(Window { kernel: (span(0), span(1)), stride, pad, dilation })
    }
}
