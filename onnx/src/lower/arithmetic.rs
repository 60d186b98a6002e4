//! Functions of single elements: quantizers, activations, batch normalization, and arithmetic with constants.

use super::stream::Stream;
use super::{State, Value};
use crate::chain::{Link, Norm};
use crate::graph::Op;
use crate::number::{Q, Rounding, whole};
use crate::parameters::{clip_bounds, norm_axis, threshold_axis};
use crate::per_channel::PerChannel;
use crate::quantizer::{self, Constants, Form, wanted};
use crate::tensor::Constant;
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::sync::Arc;

impl State {
    fn params(&self, stream: &Stream, constant: &Constant, what: &str) -> Result<PerChannel, String> {
        stream.per_channel(constant, self.channels(stream), what)
    }

    pub(super) fn quantizer(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        let mut stream = self.stream(op, 0)?.clone();
        let quantizer = quantizer::read(op, get, &stream.dims)?;
        let scale = self.params(&stream, &quantizer.scale, "scale")?;
        let zero = self.params(&stream, &quantizer.zero, "zero point")?;
        let shifted = !matches!(quantizer.form, Form::Int { shifted: false, .. });
        let mut links = vec![Link::Div(scale.clone())];
        if shifted {
            links.push(Link::Add(zero.clone()));
        }
        match quantizer.form {
            Form::Bipolar => {
                let (two, one) = (PerChannel::one(whole(2)), PerChannel::one(whole(-1)));
                links.extend([Link::Positive, Link::Mul(two), Link::Add(one)]);
            }
            Form::Int { lo, hi, rounding, .. } => {
                // A zero point that is added after the rounding shifts the bounds instead.
                let bound = |v: i64| {
                    Some(if shifted { PerChannel::one(whole(v)) } else { zero.map(|z| whole(v) - z) })
                };
                links.extend([Link::Clamp(bound(lo), bound(hi)), Link::Round(rounding)]);
            }
        }
        let level_of_zero =
            if quantizer.real { None } else { zero.same().and_then(|z| z.to_integer().to_i64()) };
        match (shifted, quantizer.real) {
            (true, true) => links.extend([Link::Add(zero.map(|z| -z)), Link::Mul(scale)]),
            (false, true) => links.push(Link::Mul(scale)),
            (true, false) => {}
            (false, false) => links.push(Link::Add(zero)),
        }
        links.retain(|link| !matches!(link, Link::Add(a) if a.0.iter().all(Zero::is_zero)));
        stream.chain.0.extend(links);
        if let Some(output) = op.outputs.first().filter(|o| self.clipped.contains_key(o.as_str())) {
            // One Step for the quantizer and the Clip behind it, which narrows its bits.
            self.clipped.insert(output.clone(), level_of_zero);
            return Ok(Value::Stream(stream));
        }
        self.quantized(op, (&stream, level_of_zero))
    }

    pub(super) fn dequantizer(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        let stream = self.stream(op, 0)?.clone();
        let (scale, zero) = quantizer::linear_constants(op, get, &stream.dims)?;
        let zero = self.params(&stream, &zero, "zero point")?.map(|z| -z);
        let scale = self.params(&stream, &scale, "scale")?;
        Ok(Value::Stream(stream.then(Link::Add(zero)).then(Link::Mul(scale))))
    }

    pub(super) fn multi_threshold(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        let stream = self.stream(op, 0)?.clone();
        let thresholds = wanted(get, 1, "thresholds")?;
        let axis = threshold_axis(op, stream.dims.len())?;
        let &[rows, count] = &thresholds.dims[..] else {
            return Err(format!(
                "thresholds: expected channels × thresholds, found shape {:?}",
                thresholds.dims
            ));
        };
        if rows != 1 && rows != stream.dims[axis] {
            return Err(format!("thresholds: expected 1 or {} rows, found {rows}", stream.dims[axis]));
        }
        let row = |r: usize| (r * count..(r + 1) * count).map(|i| thresholds.value(i)).collect::<Vec<Q>>();
        let rows: Vec<Vec<Q>> = if rows == 1 {
            vec![row(0)]
        } else {
            let index = stream.index_of_channels(axis, self.channels(&stream));
            let index = index.ok_or("thresholds: expected one row per channel of the layer before")?;
            index.into_iter().map(row).collect()
        };
        let (scale, bias) = (op.float("out_scale", 1.0)?, op.float("out_bias", 0.0)?);
        if !scale.is_positive() {
            return Err("out_scale: expected a number above 0".into());
        }
        let stream = stream.then(Link::Count(Arc::new(rows))).then(Link::Mul(PerChannel::one(scale)));
        self.quantized(op, (&stream.then(Link::Add(PerChannel::one(bias))), None))
    }

    pub(super) fn truncation(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        let mut stream = self.stream(op, 0)?.clone();
        let truncation = crate::truncation::read(op, get)?;
        let scale = self.params(&stream, &truncation.scale, "scale")?;
        let zero = self.params(&stream, &truncation.zero, "zero point")?;
        let limit = |v: i64| Some(PerChannel::one(whole(v)));
        let mut links = vec![Link::Div(scale), Link::Add(zero.clone()), Link::Round(Rounding::HalfEven)];
        links.push(Link::Div(PerChannel::one(truncation.divisor.clone())));
        links.extend(truncation.limits.map(|(lo, hi)| Link::Clamp(limit(lo), limit(hi))));
        links.push(Link::Round(truncation.rounding));
        links.push(Link::Add(zero.map(|z| -(z / &truncation.zero_divisor))));
        links.push(Link::Mul(self.params(&stream, &truncation.out_scale, "scale")?));
        stream.chain.0.extend(links);
        self.quantized(op, (&stream, None))
    }

    /// Lowers functions of one element, and arithmetic with constants.
    pub(super) fn elementwise(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        if matches!(op.kind.as_str(), "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min") {
            return self.with_constant(op, get);
        }
        let stream = self.stream(op, 0)?.clone();
        let one = |v: Q| PerChannel::one(v);
        let links = match op.kind.as_str() {
            "Relu" => vec![Link::Clamp(Some(one(Q::zero())), None)],
            "Clip" => {
                let (lo, hi) = clip_bounds(op, get)?;
                if let Some(&zero) = op.input(0).and_then(|input| self.clipped.get(input)) {
                    let clipped = stream.then(Link::Clamp(lo.map(one), hi.map(one)));
                    return self.quantized(op, (&clipped, zero));
                }
                vec![Link::Clamp(lo.map(one), hi.map(one))]
            }
            "PRelu" => {
                let slope = self.params(&stream, &wanted(get, 1, "slope")?, "slope")?;
                if slope.0.iter().any(Q::is_negative) {
                    return Err("slope: expected numbers of at least 0".into());
                }
                vec![Link::Leaky(slope)]
            }
            "HardSigmoid" => {
                let (alpha, beta) = (op.float("alpha", 0.2)?, op.float("beta", 0.5)?);
                let clamp = Link::Clamp(Some(one(Q::zero())), Some(one(Q::one())));
                vec![Link::Mul(one(alpha)), Link::Add(one(beta)), clamp]
            }
            "LeakyRelu" => {
                let alpha = op.float("alpha", 0.01)?;
                if alpha.is_negative() {
                    return Err("alpha: expected a slope of at least 0".into());
                }
                vec![Link::Leaky(one(alpha))]
            }
            "Neg" => vec![Link::Mul(one(whole(-1)))],
            "Floor" => vec![Link::Round(Rounding::Floor)],
            "Ceil" => vec![Link::Round(Rounding::Ceil)],
            "Round" => vec![Link::Round(Rounding::HalfEven)],
            "Sign" => vec![Link::Sign],
            "BatchNormalization" => vec![self.norm(op, get, &stream)?],
            kind => {
                return Err(format!("expected constants, found {kind} of values that depend on the image"));
            }
        };
        Ok(Value::Stream(links.into_iter().fold(stream, |s, link| s.then(link))))
    }

    /// Lowers a product with the root of constants, or the quotient by it; input `i` is the other.
    fn with_root(&self, op: &Op, i: usize, square: &Constant) -> Result<Value, String> {
        let stream = self.stream(op, i)?;
        let square = self.params(stream, square, "root")?;
        if square.0.iter().any(Zero::is_zero) {
            return Err("root: expected numbers above 0".into());
        }
        match (op.kind.as_str(), i) {
            ("Mul", _) => Ok(Value::Stream(stream.then(Link::MulRoot(square)))),
            ("Div", 0) => Ok(Value::Stream(stream.then(Link::DivRoot(square)))),
            _ => Err("expected a product with a root, or a quotient by it".into()),
        }
    }

    fn norm(&self, op: &Op, get: Constants, stream: &Stream) -> Result<Link, String> {
        if op.int("training_mode", 0) != 0 {
            return Err("training_mode: expected 0 (export the model in evaluation mode)".into());
        }
        let axis = norm_axis(op, stream.dims.len());
        let param = |i: usize, what: &str| -> Result<PerChannel, String> {
            let constant = wanted(get, i, what)?;
            let channels = stream.dims.get(axis).copied().unwrap_or(1);
            if constant.len() != channels {
                return Err(format!(
                    "{what}: expected {channels} numbers, one per channel, found {}",
                    constant.len()
                ));
            }
            let mut dims = vec![1; stream.dims.len().saturating_sub(axis)];
            dims[0] = channels;
            self.params(stream, &constant.reshaped(dims), what)
        };
        let epsilon = op.float("epsilon", 1e-5)?;
        let variance = param(4, "variance")?.map(|v| v + &epsilon);
        if variance.0.iter().any(|v| !v.is_positive()) {
            return Err("variance: expected numbers above 0 with epsilon".into());
        }
        let (gain, bias, mean) = (param(1, "gain")?, param(2, "bias")?, param(3, "mean")?);
        Ok(Link::Norm(Arc::new(Norm { mean, variance, gain, bias })))
    }

    fn with_constant(&mut self, op: &Op, get: Constants) -> Result<Value, String> {
        let (i, constant) = match (get(0), get(1), op.inputs.len()) {
            (_, Some(c), 2) => (0, c),
            (Some(c), _, 2) => (1, c),
            (None, None, 2) => {
                return match (self.value(op, 0), self.value(op, 1)) {
                    (_, Some(Value::Root(square))) => self.with_root(op, 0, &square.clone()),
                    (Some(Value::Root(square)), _) => self.with_root(op, 1, &square.clone()),
                    _ => self.two_streams(op),
                };
            }
            (.., n) => return Err(format!("inputs: expected 2, found {n}")),
        };
        let stream = self.stream(op, i)?.clone();
        let value = self.params(&stream, &constant, &format!("input {}", 1 - i))?;
        let zero = value.0.iter().any(Zero::is_zero);
        let links = match (op.kind.as_str(), i) {
            ("Add", _) => vec![Link::Add(value)],
            ("Sub", 0) => vec![Link::Add(value.map(|v| -v))],
            ("Sub", _) => vec![Link::Mul(PerChannel::one(whole(-1))), Link::Add(value)],
            ("Mul", _) => vec![Link::Mul(value)],
            ("Div", 0) if zero => return Err("divisor: expected numbers other than 0".into()),
            ("Div", 0) => vec![Link::Div(value)],
            ("Max", _) => vec![Link::Clamp(Some(value), None)],
            ("Min", _) => vec![Link::Clamp(None, Some(value))],
            _ => return Err("expected a constant divisor".into()),
        };
        Ok(Value::Stream(links.into_iter().fold(stream, |s, link| s.then(link))))
    }
}
