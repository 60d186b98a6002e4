//! Defines the rules of integer weights, the range of their sums, and how files pack them, for convolutions
//! and dense layers.

use crate::motion::Moves;
use crate::pack::PackedInts;
use crate::{error::Fault, range::Range};
use ndarray::{Array, Dimension};

/// Checks that all weights lie within the set of their bits: ±1 at 1 bit, two's complement above.
pub(super) fn check<D: Dimension>(bits: u8, weights: &Array<i8, D>) -> Result<(), Fault> {
    if !(1..=8).contains(&bits) {
        return Err(Fault::new("weight_bits", "1 to 8", bits));
    }
    let half = 1i32 << (bits - 1);
    let allowed = |w: i32| if bits == 1 { w.abs() == 1 } else { (-half..half).contains(&w) };
    for (i, &w) in weights.iter().enumerate() {
        if !allowed(w.into()) {
            let set = if bits == 1 { "−1 or +1".into() } else { format!("{} to {}", -half, half - 1) };
            return Err(Fault::new(format!("weights[{i}]"), set, w));
        }
    }
    Ok(())
}

/// Checks that there is at least one weight.
pub(super) fn check_not_empty<D: Dimension>(weights: &Array<i8, D>) -> Result<(), Fault> {
    if weights.is_empty() {
        return Err(Fault::new("weights", "at least one weight", format!("shape {:?}", weights.shape())));
    }
    Ok(())
}

/// Checks that a layer's input is levels: unsigned, at most 16 bits.
pub(super) fn check_levels(input: Range) -> Result<(), Fault> {
    if input.lo >= 0 && input.bits() <= 16 {
        Ok(())
    } else {
        Err(Fault::new("inputs", "levels (no sign, at most 16 bits)", format!("a wire of {input}")))
    }
}

/// Returns the range of `Σ w·x` over all outputs, whose weights lie along the first axis; zero included, so
/// that partial sums in any order stay within it.
pub(super) fn sums<D: Dimension + ndarray::RemoveAxis>(weights: &Array<i8, D>, input: Range) -> Range {
    let of_output = |weights: ndarray::ArrayView<i8, D::Smaller>| {
        weights.iter().fold(Range::new(0, 0), |sum, &w| {
            let (a, b) = (i64::from(w) * input.lo.min(0), i64::from(w) * input.hi.max(0));
            Range::new(sum.lo + a.min(b), sum.hi + a.max(b))
        })
    };
    weights.outer_iter().map(of_output).reduce(Range::hull).expect("checked: not empty")
}

/// Returns how far sums move whose inputs move as `moves` says, where `sums` are, of each output channel, the
/// Σ over the outputs of |correlation of both rows of weights|. With W the matrix of weights, those sums on the
/// diagonal are no smaller a form than W·Wᵀ (Prach, Lampert 2022). None past 128 bits.
pub(super) fn spread(moves: &Moves, sums: impl Iterator<Item = u64>) -> Option<Moves> {
    let squares = sums.map(|sum| moves.most().checked_mul(sum.into()));
    Some(Moves::of(squares.collect::<Option<_>>()?))
}

/// Packs weights at their own width: one bit is 0 for −1 and 1 for +1, more are offset by the smallest value.
pub(super) fn pack<D: Dimension>(weights: &Array<i8, D>, bits: u8) -> PackedInts {
    if bits == 1 {
        PackedInts::pack(weights.shape(), 1, 0, weights.iter().map(|&w| i64::from(w > 0)))
    } else {
        let least = -(1 << (bits - 1));
        PackedInts::pack(weights.shape(), bits, least, weights.iter().map(|&w| w.into()))
    }
}

/// Unpacks weights; their number of dimensions is that of `D`.
pub(super) fn unpack<D: Dimension>(packed: &PackedInts, bits: u8) -> Result<Array<i8, D>, Fault> {
    let rank = D::NDIM.expect("a fixed number of dimensions");
    let (shape, values) = packed.unpack("weights", rank)?;
    let narrow = |v: i64| {
        let v = if bits == 1 { 2 * v - 1 } else { v };
        i8::try_from(v).map_err(|_| Fault::new("weights", format!("values of {bits} bits"), v))
    };
    let values = values.into_iter().map(narrow).collect::<Result<Vec<i8>, _>>()?;
    let weights = Array::from_shape_vec(shape, values).expect("counted");
    Ok(weights.into_dimensionality().expect("counted"))
}
