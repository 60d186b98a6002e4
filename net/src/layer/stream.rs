//! Defines what layers of residual streams share: the bits of fixed point, saturation to them, and the shape
//! of two streams that meet.

use crate::{error::Fault, shape::Shape};

/// Clips `value` to `bits` bits, two's complement.
pub(super) fn saturate(value: i64, bits: u8) -> i32 {
    let half = 1i64 << (bits - 1);
    value.clamp(-half, half - 1) as i32
}

/// Checks the bits of a stream.
pub(super) fn check_bits(bits: u8) -> Result<(), Fault> {
    if (2..=16).contains(&bits) { Ok(()) } else { Err(Fault::new("bits", "2 to 16", bits)) }
}

/// Returns the shape that both inputs have.
pub(super) fn one_shape(inputs: &[Shape]) -> Result<Shape, Fault> {
    if inputs[0] == inputs[1] {
        return Ok(inputs[0]);
    }
    Err(Fault::new("inputs", "two of one shape", format!("{} and {}", inputs[0], inputs[1])))
}
