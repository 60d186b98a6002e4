//! Computes the fixed-point residual stream in the float evaluation graph: Rescale and Mix, with the same
//! whole numbers and the same floor as the integer network's. It uses f64, in which every one of their sums
//! is exact.

use dq_net::Range;
use dq_net::layer::Rescale;
use tch::{Device, Kind, Tensor, no_grad};

use crate::node::normalize::exact_factor;
use crate::node::stream::{clipped, stream_unit};
use crate::tensor::{integers, vector};

/// A channel whose variance is below this, in squared accumulator units, does not move: its factor is 0, so
/// that it takes no bits from the others'.
const STILL: f64 = 1e-2;

/// Computes ⌊(x·mul + add) / 2^shift⌋, clipped to the stream's bits, with one affine function per channel.
#[derive(Debug)]
pub struct RescaleFunction {
    /// The real affine function that is rounded to `mul` and `add`, in units of the stream.
    factor: Tensor,
    offset: Tensor,
    mul: Tensor,
    add: Tensor,
    shift: u8,
    bits: u8,
}

impl RescaleFunction {
    /// Makes the function of batch norm into a stream of `bits` bits, from a channel's gain and bias and its
    /// accumulator's mean and variance.
    pub fn new(gain: &Tensor, bias: &Tensor, [mean, var]: [&Tensor; 2], bits: u32) -> RescaleFunction {
        let var = var.detach().to_kind(Kind::Double);
        let moves = var.ge(STILL).to_kind(Kind::Double);
        Self::rescaled(exact_factor(gain, &var) * moves, bias, mean, bits)
    }

    /// Makes it from each channel's factor (f64), bias and mean.
    pub fn rescaled(factor: Tensor, bias: &Tensor, mean: &Tensor, bits: u32) -> RescaleFunction {
        let double = |t: &Tensor| t.detach().to_kind(Kind::Double);
        let offset = double(bias) - double(mean) * &factor;
        Self::dyadic(&(factor / stream_unit(bits)), &(offset / stream_unit(bits)), bits)
    }

    /// Makes the function that only rounds the real value `unit`·x + `offset`.
    pub fn plain((channels, device): (usize, Device), unit: f64, offset: f64, bits: u32) -> RescaleFunction {
        let full =
            |value: f64| Tensor::full([channels as i64], value / stream_unit(bits), (Kind::Double, device));
        Self::dyadic(&full(unit), &full(offset), bits)
    }

    /// Returns the nearest whole numbers, with as many fraction bits as they have room for.
    fn dyadic(factor: &Tensor, offset: &Tensor, bits: u32) -> RescaleFunction {
        let largest = |t: &Tensor| t.abs().max().double_value(&[]);
        let fits = |shift: u8| {
            let whole = f64::from(shift).exp2();
            largest(factor) * whole < f64::from((1u32 << Rescale::MUL_BITS) - 1)
                && (largest(offset) + 1.0) * whole < ((1u64 << Rescale::ADD_BITS) - 1) as f64
        };
        let shift = (0..=Rescale::MAX_SHIFT).rev().find(|&shift| fits(shift)).unwrap_or(0);
        let whole = f64::from(shift).exp2();
        let most = f64::from((1u32 << Rescale::MUL_BITS) - 1);
        RescaleFunction {
            factor: factor.shallow_clone(),
            offset: offset.shallow_clone(),
            mul: (factor * whole).round().clamp(-most, most),
            // Half a unit is added, so that the floor rounds to nearest.
            add: (offset * whole).round() + (whole / 2.0).floor(),
            shift,
            bits: bits as u8,
        }
    }

    /// Returns slope and offset of each channel, in units of the stream.
    pub fn affine(&self) -> (Vec<f64>, Vec<f64>) {
        (vector(&self.factor), vector(&self.offset))
    }

    /// Computes it on real numbers, neither rounded nor clipped: in a network that is not integer.
    pub fn real(&self, x: &Tensor, shape: &[i64]) -> Tensor {
        x * self.factor.reshape(shape) + self.offset.reshape(shape)
    }

    /// Computes it on whole numbers; the gradient is the affine's where the result is not clipped. `shape`
    /// lays the channels along.
    pub fn compute(&self, x: &Tensor, shape: &[i64]) -> Tensor {
        let (mul, add) = (self.mul.reshape(shape), self.add.reshape(shape));
        let whole = f64::from(self.shift).exp2();
        let floor = no_grad(|| ((x * &mul + add) / whole).floor());
        clipped(x * (mul / whole), &floor, self.bits)
    }

    /// Returns the range of what it puts out for `input`.
    pub fn range(&self, input: Range) -> Range {
        let layer = self.layer();
        let channels = 0..layer.mul.len();
        let ends = channels.flat_map(|c| [input.lo, input.hi].map(|x| layer.value(c, x as i32)));
        let (lo, hi) = ends.fold((i32::MAX, i32::MIN), |(lo, hi), end| (lo.min(end), hi.max(end)));
        Range::new(lo.into(), hi.into())
    }

    /// Returns the real value of one unit of the stream.
    pub fn unit(&self) -> f64 {
        stream_unit(self.bits.into())
    }

    /// Returns the layer of the integer network.
    pub fn layer(&self) -> Rescale {
        Rescale {
            mul: integers(&self.mul).into_iter().map(|v| v as i32).collect(),
            add: integers(&self.add),
            shift: self.shift,
            bits: self.bits,
            unit: self.unit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dq_net::layer::Kind as _;
    use ndarray::Array3;

    use super::*;

    /// It equals the layer over a whole range, and is near the real affine.
    #[test]
    fn equal_to_the_layer_and_near_the_reals() {
        let t = |v: &[f64]| Tensor::from_slice(v);
        let function = RescaleFunction::new(
            &t(&[1.0, -0.5]),
            &t(&[0.1, 2.0]),
            [&t(&[30.0, -4.0]), &t(&[900.0, 25.0])],
            12,
        );
        let every = Tensor::arange_start(-400, 400, (Kind::Double, Device::Cpu)).reshape([1, 1, 800, 1]);
        let both = Tensor::cat(&[&every, &every], 1);
        let found = integers(&function.compute(&both, &[-1, 1, 1]));
        let layer = function.layer();
        let input = Array3::from_shape_fn((800, 1, 2), |(y, _, _)| y as i32 - 400);
        let expected = layer.eval(&[input.view()]);
        for ((y, _, c), &value) in expected.indexed_iter() {
            assert_eq!(found[c * 800 + y], i64::from(value));
            let acc = y as f64 - 400.0;
            let z = [(acc - 30.0) / 30.0 + 0.1, -0.5 * (acc + 4.0) / 5.0 + 2.0][c].clamp(-8.0, 8.0);
            assert!((f64::from(value) / 256.0 - z).abs() < 0.004, "{value} for {z}");
        }
        assert_eq!(function.range(Range::new(-400, 399)), Range::new(-2048, 2047));
    }

    #[test]
    fn a_still_channel_takes_no_bits() {
        let t = |v: &[f64]| Tensor::from_slice(v);
        let layer =
            RescaleFunction::new(&t(&[1.0, 1.0]), &t(&[0.5, 0.0]), [&t(&[7.0, 0.0]), &t(&[0.0, 2500.0])], 12)
                .layer();
        assert_eq!((layer.mul[0], layer.value(0, 7)), (0, 128));
        assert!(layer.mul[1] > 1 << (Rescale::MUL_BITS - 2), "{}", layer.mul[1]);
    }
}
