//! Reads the quantizers of all dialects into one form: `Quant`, `IntQuant` and `BipolarQuant` of QONNX, and
//! `QuantizeLinear` and `DequantizeLinear` of ONNX.

use crate::graph::Op;
use crate::number::{Q, Real, Rounding, whole};
use crate::tensor::{Constant, Data, Element, broadcast};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::sync::Arc;

/// What a quantizer makes of `x / scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A whole number from `lo` to `hi`, zero point included.
    Int {
        /// Smallest.
        lo: i64,
        /// Largest.
        hi: i64,
        /// How it is rounded.
        rounding: Rounding,
        /// Whether the zero point is added before the rounding.
        shifted: bool,
    },
    /// +1 where it is at least 0, else −1.
    Bipolar,
}

/// A quantizer with its constants, which stretch to the shape of what it reads.
#[derive(Clone, Debug)]
pub struct Quantizer {
    /// Scales, above 0.
    pub scale: Constant,
    /// Zero points.
    pub zero: Constant,
    /// The rounding.
    pub form: Form,
    /// Whether the result is the real value (level − zero) · scale; else it is the level itself.
    pub real: bool,
}

/// Gives the constants that a node reads.
pub type Constants<'a> = &'a dyn Fn(usize) -> Option<Constant>;

/// Returns constant `i` of a node, which must be there.
pub fn wanted(constants: Constants, i: usize, what: &str) -> Result<Constant, String> {
    constants(i)
        .ok_or_else(|| format!("{what}: expected a constant (dynamic quantization has no fixed levels)"))
}

/// Checks that scales are above 0.
fn check_scale(scale: &Constant) -> Result<(), String> {
    match scale.values().iter().position(|s| !s.is_positive()) {
        Some(i) => Err(format!(
            "scale[{i}]: expected a number above 0, found {}",
            crate::number::to_f64(&scale.value(i))
        )),
        None => Ok(()),
    }
}

/// Checks that a quantizer's constant stretches to what it reads.
fn check_shape(what: &str, constant: &Constant, dims: &[usize]) -> Result<(), String> {
    broadcast(&constant.dims, dims).map(|_| ()).map_err(|_| {
        format!(
            "{what}: expected one number, or one per channel of {dims:?}, found shape {:?}",
            constant.dims
        )
    })
}

/// Reads the quantizer of a node that reads a tensor of shape `dims`.
pub fn read(op: &Op, constants: Constants, dims: &[usize]) -> Result<Quantizer, String> {
    let quantizer = match op.kind.as_str() {
        "BipolarQuant" => Quantizer {
            scale: wanted(constants, 1, "scale")?,
            zero: Constant::ints(vec![], vec![0]),
            form: Form::Bipolar,
            real: true,
        },
        "QuantizeLinear" => linear(op, constants, dims)?,
        _ => quant(op, constants)?,
    };
    check_scale(&quantizer.scale)?;
    check_shape("scale", &quantizer.scale, dims)?;
    check_shape("zero point", &quantizer.zero, dims)?;
    Ok(quantizer)
}

/// Returns the smallest and the largest level of `bits` bits.
pub fn limits(bits: i64, signed: bool, narrow: bool) -> (i64, i64) {
    let narrow = i64::from(narrow);
    if signed { (-(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1 - narrow) }
}

/// Reads a bit width.
pub fn bits(constant: &Constant, what: &str) -> Result<i64, String> {
    let value = constant.scalar(what)?;
    let found = value.is_integer().then(|| value.to_i64()).flatten();
    found
        .filter(|b| (1..=32).contains(b))
        .ok_or_else(|| format!("{what}: expected 1 to 32, found {}", crate::number::to_f64(&value)))
}

fn quant(op: &Op, constants: Constants) -> Result<Quantizer, String> {
    let bits = bits(&wanted(constants, 3, "bit width")?, "bit width")?;
    let signed = op.int("signed", 1) != 0;
    let name = op.text("rounding_mode", "ROUND");
    let known = "ROUND, HALF_EVEN, HALF_UP, HALF_DOWN, UP, DOWN, CEIL or FLOOR";
    let rounding = Rounding::parse(&name)
        .ok_or_else(|| format!("rounding_mode: expected {known}, found `{}`", crate::error::shown(&name)))?;
    let (lo, hi) = limits(bits, signed, op.int("narrow", 1) != 0);
    let form =
        if bits == 1 && signed { Form::Bipolar } else { Form::Int { lo, hi, rounding, shifted: true } };
    let (scale, zero) = (wanted(constants, 1, "scale")?, wanted(constants, 2, "zero point")?);
    Ok(Quantizer { scale, zero, form, real: true })
}

fn linear(op: &Op, constants: Constants, dims: &[usize]) -> Result<Quantizer, String> {
    let (scale, zero) = linear_constants(op, constants, dims)?;
    let (lo, hi) = match (constants(2), op.int("output_dtype", 0)) {
        (Some(zero), _) => zero.element.limits().ok_or("zero point: expected whole numbers")?,
        (None, 0) => (0, 255),
        (None, code) => Element::of(code as i32)?.limits().ok_or("output_dtype: expected whole numbers")?,
    };
    let form = Form::Int { lo, hi, rounding: Rounding::HalfEven, shifted: false };
    Ok(Quantizer { scale, zero, form, real: false })
}

/// Returns scale and zero point of `QuantizeLinear` or `DequantizeLinear`, in shapes that stretch to `dims`.
pub fn linear_constants(
    op: &Op,
    constants: Constants,
    dims: &[usize],
) -> Result<(Constant, Constant), String> {
    if op.int("block_size", 0) != 0 {
        return Err("block_size: expected one scale per tensor or per channel, found blocks".into());
    }
    let scale = wanted(constants, 1, "scale")?;
    let zero = match (constants(2), op.input(2)) {
        (Some(zero), _) => zero,
        (None, None) => Constant::ints(vec![], vec![0]),
        (None, Some(_)) => return Err("zero point: expected a constant".into()),
    };
    let along = |constant: Constant, what: &str| {
        if constant.len() == 1 {
            return Ok(constant.reshaped(vec![]));
        }
        let axis = crate::tensor::axis(op.int("axis", 1), dims.len())?;
        if constant.dims != [dims[axis]] {
            return Err(format!(
                "{what}: expected {} numbers, one per index of axis {axis}, found shape {:?}",
                dims[axis], constant.dims
            ));
        }
        let mut shape = vec![1; dims.len()];
        shape[axis] = dims[axis];
        Ok(constant.reshaped(shape))
    };
    let (scale, zero) = (along(scale, "scale")?, along(zero, "zero point")?);
    check_scale(&scale)?;
    Ok((scale, zero))
}

impl Quantizer {
    /// Returns the level of one number, zero point included.
    pub fn level(&self, x: &Real, scale: &Q, zero: &Q) -> BigInt {
        let y = x.times(&scale.recip());
        match self.form {
            Form::Bipolar => {
                let below = y.plus(zero).sign() == Ordering::Less;
                BigInt::from(if below { -1 } else { 1 })
            }
            Form::Int { lo, hi, rounding, shifted: true } => {
                let y = y.plus(zero);
                if y.compare(&whole(hi)) == Ordering::Greater {
                    hi.into()
                } else if y.compare(&whole(lo)) == Ordering::Less {
                    lo.into()
                } else {
                    rounding.exact(&y)
                }
            }
            Form::Int { lo, hi, rounding, shifted: false } => {
                (rounding.exact(&y) + zero.to_integer()).clamp(lo.into(), hi.into())
            }
        }
    }

    /// Returns the result for one number.
    pub fn value(&self, x: &Real, scale: &Q, zero: &Q) -> Q {
        let level = whole(self.level(x, scale, zero));
        if self.real { (level - zero) * scale } else { level }
    }

    /// Quantizes a constant.
    pub fn constant(&self, x: &Constant) -> Result<Constant, String> {
        let scales = broadcast(&self.scale.dims, &x.dims)?;
        let zeros = broadcast(&self.zero.dims, &x.dims)?;
        let (scale, zero) = (self.scale.values(), self.zero.values());
        let mut levels = Vec::with_capacity(x.len());
        for i in 0..x.len() {
            let (s, z) = (&scale[scales[i]], &zero[zeros[i]]);
            let level = match self.quickly(x, i, s, z) {
                Some(level) => level,
                None => {
                    let level = self.level(&x.value(i).into(), s, z);
                    level.to_i64().ok_or("levels: expected at most 32 bits")?
                }
            };
            levels.push(level);
        }
        if !self.real {
            return Ok(Constant {
                element: Element::Int(32, true),
                ..Constant::ints(x.dims.clone(), levels)
            });
        }
        levels_times(x, &levels, (&self.scale, &scales), (&zero, &zeros))
    }

    /// Returns the level of a float that lies clearly between two halves: the quotient in float64 is off by
    /// less than the distance that is asked for.
    fn quickly(&self, x: &Constant, i: usize, scale: &Q, zero: &Q) -> Option<i64> {
        if let (Data::Float(values), Form::Bipolar, true) = (&x.data, self.form, zero.is_zero()) {
            return Some(if values[i] >= 0.0 { 1 } else { -1 });
        }
        let (Data::Float(values), Form::Int { lo, hi, rounding: Rounding::HalfEven, .. }) =
            (&x.data, self.form)
        else {
            return None;
        };
        if !zero.is_zero() {
            return None;
        }
        let quotient = f64::from(values[i]) / scale.to_f64()?;
        let distance = (quotient - quotient.floor() - 0.5).abs();
        let clear = quotient.abs() < 1e6 && distance > 1e-6;
        clear.then(|| (quotient.round_ties_even() as i64).clamp(lo, hi))
    }
}

/// Returns `(levels − zero) · scale`; scales and zero points are given with the position for each element.
pub fn levels_times(
    x: &Constant,
    levels: &[i64],
    (scale, scales): (&Constant, &[usize]),
    (zero, zeros): (&[Q], &[usize]),
) -> Result<Constant, String> {
    let element = Element::Float;
    let skipped = x.dims.len() - scale.dims.len();
    let axes: Vec<usize> = (0..scale.dims.len()).filter(|&a| scale.dims[a] > 1).collect();
    let whole_zero = zero.iter().all(|z| z.is_integer());
    let int = |i: usize| i32::try_from(levels[i] - zero[zeros[i]].to_i64()?).ok();
    if axes.len() <= 1 && whole_zero {
        let ints = (0..levels.len()).map(int).collect::<Option<Vec<i32>>>();
        let ints = Arc::new(ints.ok_or("levels: expected at most 32 bits")?);
        let axis = axes.first().map_or(0, |a| a + skipped);
        let data = Data::Levels { ints, scale: Arc::new(scale.values()), axis };
        return Ok(Constant { dims: x.dims.clone(), data, element });
    }
    let scale = scale.values();
    let value = |i: usize| (whole(levels[i]) - &zero[zeros[i]]) * &scale[scales[i]];
    Ok(Constant::exact(x.dims.clone(), (0..levels.len()).map(value).collect()))
}

/// Returns what `DequantizeLinear` makes of a constant.
pub fn dequantized(op: &Op, constants: Constants, x: &Constant) -> Result<Constant, String> {
    let (scale, zero) = linear_constants(op, constants, &x.dims)?;
    let (scales, zeros) = (broadcast(&scale.dims, &x.dims)?, broadcast(&zero.dims, &x.dims)?);
    let levels = x.whole_values("levels")?;
    levels_times(x, &levels, (&scale, &scales), (&zero.values(), &zeros))
}
