//! Reads `Trunc` in its two forms: with five inputs the output keeps the scale of the input, with six it has
//! one of its own.

use crate::graph::Op;
use crate::number::{Q, Rounding, whole};
use crate::quantizer::{Constants, bits, limits, wanted};
use crate::tensor::Constant;
use num_traits::{One, Pow, Signed};

/// A truncation: `round(clamp(half_even(x / scale + zero) / divisor)) − zero / zero_divisor`, times
/// `out_scale`.
pub struct Truncation {
    /// Scale of the input.
    pub scale: Constant,
    /// Zero point of the input.
    pub zero: Constant,
    /// What the whole numbers are divided by before they are rounded again.
    pub divisor: Q,
    /// Bounds after the division.
    pub limits: Option<(i64, i64)>,
    /// The second rounding.
    pub rounding: Rounding,
    /// What the zero point is divided by.
    pub zero_divisor: Q,
    /// Scale of the output.
    pub out_scale: Constant,
}

/// Reads the truncation of a node.
pub fn read(op: &Op, get: Constants) -> Result<Truncation, String> {
    let (scale, zero) = (wanted(get, 1, "scale")?, wanted(get, 2, "zero point")?);
    let positive = |c: &Constant| c.values().iter().all(Q::is_positive);
    if !positive(&scale) {
        return Err("scale: expected numbers above 0".into());
    }
    let name = op.text("rounding_mode", "FLOOR");
    let rounding = Rounding::parse(&name).ok_or_else(|| {
        format!("rounding_mode: expected FLOOR or another of QONNX, found `{}`", crate::error::shown(&name))
    })?;
    match op.inputs.len() {
        5 => {
            let in_bits = bits(&wanted(get, 3, "input bit width")?, "input bit width")?;
            let out_bits = bits(&wanted(get, 4, "output bit width")?, "output bit width")?;
            let divisor = whole(2).pow((in_bits - out_bits) as i32);
            let out_scale = scale.clone();
            Ok(Truncation { scale, zero, divisor, limits: None, rounding, zero_divisor: Q::one(), out_scale })
        }
        6 => {
            let out_scale = wanted(get, 4, "output scale")?;
            let out_bits = bits(&wanted(get, 5, "output bit width")?, "output bit width")?;
            if !positive(&out_scale) {
                return Err("output scale: expected numbers above 0".into());
            }
            let divisor = nearest_power(&(out_scale.scalar("output scale")? / scale.scalar("scale")?));
            let limits = limits(out_bits, op.int("signed", 1) != 0, op.int("narrow", 0) != 0);
            let zero_divisor = divisor.clone();
            Ok(Truncation { scale, zero, divisor, limits: Some(limits), rounding, zero_divisor, out_scale })
        }
        n => Err(format!("inputs: expected 5 or 6, found {n}")),
    }
}

/// Returns the power of two that is nearest to a number above 0, by their logarithms.
fn nearest_power(x: &Q) -> Q {
    let bits = |n: &num_bigint::BigInt| n.bits() as i32;
    let mut exponent = bits(x.numer()) - bits(x.denom()) - 1;
    // The largest exponent with x ≥ 2^(exponent − ½).
    while x * x >= whole(2).pow(2 * exponent + 1) {
        exponent += 1;
    }
    whole(2).pow(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_power_is_that_of_logarithms() {
        for n in 1..200i64 {
            for d in [1i64, 3, 7, 64] {
                let found = nearest_power(&Q::new(n.into(), d.into()));
                let wanted = (n as f64 / d as f64).log2().round() as i32;
                assert_eq!(found, whole(2).pow(wanted), "{n}/{d}");
            }
        }
    }
}
