//! Says which levels a graph's input has, where they are not uint8 pixels: by its element type, by FINN's
//! data type, or by the quantizer that reads it.

use crate::error::shown;
use crate::graph::{Graph, Op};
use crate::number::{Q, whole};
use crate::quantizer::{self, Form};
use num_traits::{One, ToPrimitive, Zero};

/// The levels of an input: level `l` stands for `(l + lowest) · unit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// Number of levels, 2 to 256.
    pub count: u16,
    /// What level 0 stands for, in units.
    pub lowest: Q,
    /// Step between levels.
    pub unit: Q,
}

impl Levels {
    /// Returns the levels of whole numbers of `bits` bits, at most 8.
    pub fn of_bits(bits: u8, signed: bool) -> Self {
        let lowest = if signed { -(1i64 << (bits - 1)) } else { 0 };
        Levels { count: 1 << bits, lowest: whole(lowest), unit: Q::one() }
    }

    /// Returns the levels of FINN's data type `name`; `None` where it is another than whole numbers.
    pub fn of_datatype(name: &str) -> Result<Option<Self>, String> {
        let (signed, bits) = match name {
            "BINARY" => return Ok(Some(Levels::of_bits(1, false))),
            "BIPOLAR" => return Ok(Some(Levels::bipolar(&Q::one()))),
            "TERNARY" => return Ok(Some(Levels { count: 3, lowest: whole(-1), unit: Q::one() })),
            _ => match (name.strip_prefix("UINT"), name.strip_prefix("INT")) {
                (Some(bits), _) => (false, bits),
                (None, Some(bits)) => (true, bits),
                (None, None) => return Ok(None),
            },
        };
        match bits.parse() {
            Ok(bits @ 1..=8) => Ok(Some(Levels::of_bits(bits, signed))),
            _ => Err(format!("finn_datatype: expected at most 8 bits, found `{}`", shown(name))),
        }
    }

    /// Returns the two levels −scale and +scale.
    fn bipolar(scale: &Q) -> Self {
        Levels { count: 2, lowest: Q::new((-1).into(), 2.into()), unit: scale * whole(2) }
    }

    /// Returns the levels of the quantizer that reads the graph's input.
    pub fn of_quantizer(graph: &Graph) -> Result<Self, String> {
        let mut names = vec![graph.input.name.as_str()];
        for op in &graph.ops {
            if !op.input(0).is_some_and(|name| names.contains(&name)) {
                continue;
            }
            match op.kind.as_str() {
                "Identity" | "Cast" | "Transpose" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
                    names.extend(op.outputs.first().map(String::as_str));
                }
                "Quant" | "IntQuant" | "BipolarQuant" | "QuantizeLinear" => return of(op, graph),
                kind => {
                    let name = shown(&op.name);
                    return Err(format!("{WANTED}, found node `{name}` ({kind})"));
                }
            }
        }
        Err(format!("{WANTED}, found none"))
    }
}

const WANTED: &str =
    "--input levels: expected a quantizer (Quant, BipolarQuant or QuantizeLinear) that reads the input";

/// Returns the levels of the quantizer `op`.
fn of(op: &Op, graph: &Graph) -> Result<Levels, String> {
    let get = |i: usize| op.input(i).and_then(|name| graph.constants.get(name)).cloned();
    let named = |reason: String| format!("--input levels: node `{}`: {reason}", shown(&op.name));
    let quantizer = quantizer::read(op, &get, &graph.input.dims).map_err(named)?;
    let scalar = |constant: &crate::tensor::Constant, what: &str| match constant.len() {
        1 => Ok(constant.value(0)),
        n => Err(named(format!("{what}: expected one number for all channels, found {n}"))),
    };
    let (scale, zero) = (scalar(&quantizer.scale, "scale")?, scalar(&quantizer.zero, "zero point")?);
    match quantizer.form {
        Form::Bipolar if zero.is_zero() => Ok(Levels::bipolar(&scale)),
        Form::Bipolar => Err(named("zero point: expected 0".into())),
        Form::Int { lo, hi, .. } => {
            let count = (hi - lo + 1).to_u16().filter(|count| (2..=256).contains(count));
            let count =
                count.ok_or_else(|| named(format!("expected 2 to 256 levels, found {}", hi - lo + 1)))?;
            Ok(Levels { count, lowest: whole(lo) - zero, unit: scale })
        }
    }
}
