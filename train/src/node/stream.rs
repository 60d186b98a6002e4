//! The fixed-point residual stream in the float evaluation graph: Rescale and Mix, with the same whole numbers and the same
//! floor as the integer network's. In f64, where every sum of theirs is exact.

use dq_net::Range;
use dq_net::layer::{Mix, Rescale};
use tch::{Kind, Tensor, no_grad};

use crate::fit::model::stream_unit;
use crate::node::step::{factor, integers, vector};

/// A variance below this, in squared accumulator units, is of a channel that does not move: its factor is 0, so that it
/// takes no bits from the others'.
const STILL: f64 = 1e-2;

/// ⌊(x·mul + add) / 2^shift⌋, clipped to the stream's bits: one affine a channel.
#[derive(Debug)]
pub struct RescaleFunction {
    /// The real affine behind it, in units of the stream.
    factor: Tensor,
    offset: Tensor,
    mul: Tensor,
    add: Tensor,
    shift: u8,
    bits: u8,
}

impl RescaleFunction {
    /// Batch norm into a stream of `bits` bits, from a channel's gain and bias and its accumulator's mean and variance.
    pub fn new(gain: &Tensor, bias: &Tensor, mean: &Tensor, var: &Tensor, bits: u32) -> RescaleFunction {
        let var = var.detach().to_kind(Kind::Double);
        let moves = var.ge(STILL).to_kind(Kind::Double);
        Self::rescaled(factor(gain, &var) * moves, bias, mean, bits)
    }

    /// From a channel's factor (f64) as it is, bias and mean.
    pub fn rescaled(factor: Tensor, bias: &Tensor, mean: &Tensor, bits: u32) -> RescaleFunction {
        let double = |t: &Tensor| t.detach().to_kind(Kind::Double);
        let offset = double(bias) - double(mean) * &factor;
        Self::dyadic(&(factor / stream_unit(bits)), &(offset / stream_unit(bits)), bits)
    }

    /// The real value `unit`·x + `offset` as it is.
    pub fn plain(channels: usize, unit: f64, offset: f64, bits: u32) -> RescaleFunction {
        let full = |value: f64| {
            Tensor::full([channels as i64], value / stream_unit(bits), (Kind::Double, crate::device()))
        };
        Self::dyadic(&full(unit), &full(offset), bits)
    }

    /// The nearest whole numbers, with as many fraction bits as they have room for.
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
            // Half a unit more, so that the floor rounds to nearest.
            add: (offset * whole).round() + (whole / 2.0).floor(),
            shift,
            bits: bits as u8,
        }
    }

    /// Slope and offset of each channel, in units of the stream.
    pub fn affine(&self) -> (Vec<f64>, Vec<f64>) {
        (vector(&self.factor), vector(&self.offset))
    }

    /// Of real numbers, neither rounded nor clipped: in a network that is not integer.
    pub fn real(&self, x: &Tensor, shape: &[i64]) -> Tensor {
        x * self.factor.reshape(shape) + self.offset.reshape(shape)
    }

    /// Of whole numbers; the gradient is the affine's where the result is not clipped. `shape` lays the channels along.
    pub fn compute(&self, x: &Tensor, shape: &[i64]) -> Tensor {
        let (mul, add) = (self.mul.reshape(shape), self.add.reshape(shape));
        let whole = f64::from(self.shift).exp2();
        let floor = no_grad(|| ((x * &mul + add) / whole).floor());
        clipped(x * (mul / whole), &floor, self.bits)
    }

    /// Every value it puts out for `input`.
    pub fn range(&self, input: Range) -> Range {
        let layer = self.layer();
        let channels = 0..layer.mul.len();
        let ends = channels.flat_map(|c| [input.lo, input.hi].map(|x| layer.value(c, x as i32)));
        let (lo, hi) = ends.fold((i32::MAX, i32::MIN), |(lo, hi), end| (lo.min(end), hi.max(end)));
        Range::new(lo.into(), hi.into())
    }

    /// The layer of the integer network.
    pub fn layer(&self) -> Rescale {
        Rescale {
            mul: integers(&self.mul).into_iter().map(|v| v as i32).collect(),
            add: integers(&self.add),
            shift: self.shift,
            bits: self.bits,
            unit: stream_unit(self.bits.into()),
        }
    }
}

/// The Mix whose first share is the nearest to `share`, of 2^15.
pub fn mix(share: f64, bits: u32) -> Mix {
    let shift = Mix::MAX_SHIFT;
    let whole = 1i32 << shift;
    let a = (share * f64::from(whole)).round().clamp(0.0, whole.into()) as i32;
    Mix { a, b: whole - a, shift, bits: bits as u8 }
}

/// `mix` of two tensors of whole numbers; the gradient is each one's share where the sum is not clipped.
pub fn compute_mix(mix: &Mix, skip: &Tensor, branch: &Tensor) -> Tensor {
    let whole = f64::from(mix.shift).exp2();
    let (a, b) = (f64::from(mix.a), f64::from(mix.b));
    let floor = no_grad(|| ((skip * a + branch * b + mix.half() as f64) / whole).floor());
    clipped(real_mix(mix, skip, branch), &floor, mix.bits)
}

/// The same of real numbers, not rounded.
pub fn real_mix(mix: &Mix, skip: &Tensor, branch: &Tensor) -> Tensor {
    let whole = f64::from(mix.shift).exp2();
    skip * (f64::from(mix.a) / whole) + branch * (f64::from(mix.b) / whole)
}

/// `floor` clipped to `bits` bits, with `smooth`'s gradient where that changes nothing.
fn clipped(smooth: Tensor, floor: &Tensor, bits: u8) -> Tensor {
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

#[cfg(test)]
mod tests {
    use dq_net::layer::Kind as _;
    use ndarray::Array3;
    use tch::Device;

    use super::*;

    /// Against the layers, over a whole range, and near the real affine.
    #[test]
    fn equal_to_the_layers_and_near_the_reals() {
        let t = |v: &[f64]| Tensor::from_slice(v);
        let function = RescaleFunction::new(
            &t(&[1.0, -0.5]),
            &t(&[0.1, 2.0]),
            &t(&[30.0, -4.0]),
            &t(&[900.0, 25.0]),
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
        let mix = mix(1.0 / 3.0, 12);
        assert_eq!((mix.a, mix.b), (10_923, 21_845));
        let mixed = integers(&compute_mix(&mix, &every, &(&every * -1.5).floor()));
        for (i, value) in mixed.into_iter().enumerate() {
            let x = i as i32 - 400;
            assert_eq!(value, i64::from(mix.value(x, (f64::from(x) * -1.5).floor() as i32)));
        }
    }

    #[test]
    fn a_still_channel_takes_no_bits() {
        let t = |v: &[f64]| Tensor::from_slice(v);
        let layer =
            RescaleFunction::new(&t(&[1.0, 1.0]), &t(&[0.5, 0.0]), &t(&[7.0, 0.0]), &t(&[0.0, 2500.0]), 12)
                .layer();
        assert_eq!((layer.mul[0], layer.value(0, 7)), (0, 128));
        assert!(layer.mul[1] > 1 << (Rescale::MUL_BITS - 2), "{}", layer.mul[1]);
    }
}
