//! Defines the bits of the fixed-point residual stream, and saturation to them.

use crate::error::Fault;

/// Clips `value` to `bits` bits, two's complement.
pub(super) fn saturate(value: i64, bits: u8) -> i32 {
    let half = 1i64 << (bits - 1);
    value.clamp(-half, half - 1) as i32
}

/// Checks the bits of a stream.
pub(super) fn check_bits(bits: u8) -> Result<(), Fault> {
    if (2..=16).contains(&bits) { Ok(()) } else { Err(Fault::new("bits", "2 to 16", bits)) }
}
