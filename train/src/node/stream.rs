//! Defines the fixed-point residual stream: its unit, and its clipping with a straight-through gradient.

use tch::{Kind, Tensor, no_grad};

/// Largest real value of the residual stream, in standard deviations of the values that enter it.
const STREAM_RANGE: f64 = 8.0;

/// Returns the real value of one unit of a residual stream of `bits` bits.
pub fn stream_unit(bits: u32) -> f64 {
    STREAM_RANGE / f64::from(1u32 << (bits - 1))
}

/// Returns `floor` clipped to `bits` bits, with the gradient of `smooth` where that changes nothing.
pub fn clipped(smooth: Tensor, floor: &Tensor, bits: u8) -> Tensor {
    let most = f64::from(1i32 << (bits - 1));
    let clipped = no_grad(|| floor.clamp(-most, most - 1.0));
    if !smooth.requires_grad() {
        return clipped;
    }
    let open = no_grad(|| clipped.eq_tensor(floor).to_kind(Kind::Double));
    let mut value = smooth * open;
    no_grad(|| value.copy_(&clipped));
    value
}
