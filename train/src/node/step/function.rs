//! Computes batch norm, activation and quantizer as one function of an accumulator, in f64, and finds its
//! boundaries by bisection over that very function. Every operation is a separate elementwise one and
//! monotone under IEEE rounding, so the whole is a monotone step function of an integer, and a value's result
//! does not depend on where it stands in a tensor.

use ndarray::Array2;
use tch::{Device, Kind, Tensor, no_grad};

use crate::node::normalize::exact_factor;
use crate::node::quantizer::{Quantizer, top_level};
use crate::recipe::{Activation, Bits};
use crate::tensor::{integers, vector};

/// Computes the float function of one step node: with z = (acc − mean)·factor + bias, level = round(clip(z,
/// 0, c)·(2^b − 1)/c) for ReLU with ceiling c; for tanh and sign, level is the number of decision points that
/// z reaches.
#[derive(Debug)]
pub struct StepFunction {
    mean: Tensor,
    factor: Tensor,
    bias: Tensor,
    quantizer: Quantizer,
}

/// Holds everything that an integer step needs of a step function, a row or entry per channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Boundaries {
    /// Direction: −1 where the gain is negative, else +1.
    pub dir: Vec<i8>,
    /// Thresholds, channel × level: the least `dir·acc` that reaches the level; one above the range where
    /// none does.
    pub thresholds: Array2<i64>,
    /// Slope in levels per accumulator unit, 0 where the function is constant.
    pub gain: Vec<f64>,
    /// First accumulator at which z is open, that is 0 < z < c, or −1 < z < 1.
    pub open_lo: Vec<i64>,
    /// Last accumulator at which z is open; below `open_lo` where there is none.
    pub open_hi: Vec<i64>,
}

impl StepFunction {
    /// Makes it from each channel's batch-norm gain and bias and the mean and variance of its accumulator.
    pub fn new(
        gain: &Tensor,
        bias: &Tensor,
        [mean, var]: [&Tensor; 2],
        quantizer: Quantizer,
    ) -> StepFunction {
        Self::rescaled(exact_factor(gain, var), bias, mean, quantizer)
    }

    /// Makes it from each channel's factor (f64), bias and mean.
    pub fn rescaled(factor: Tensor, bias: &Tensor, mean: &Tensor, quantizer: Quantizer) -> StepFunction {
        let double = |t: &Tensor| t.detach().to_kind(Kind::Double);
        StepFunction { mean: double(mean), factor, bias: double(bias), quantizer }
    }

    /// Makes it without batch norm: z = acc·unit + offset in each of `channels` channels.
    pub fn plain(
        (channels, device): (usize, Device),
        unit: f64,
        offset: f64,
        quantizer: Quantizer,
    ) -> StepFunction {
        let full = |value: f64| Tensor::full([channels as i64], value, (Kind::Double, device));
        StepFunction { mean: full(0.0), factor: full(unit), bias: full(offset), quantizer }
    }

    /// Returns the number of channels.
    pub fn channels(&self) -> i64 {
        self.mean.size()[0]
    }

    /// Returns what says what each level stands for.
    pub fn quantizer(&self) -> &Quantizer {
        &self.quantizer
    }

    /// Returns real gain and offset of each channel: z = acc·gain + offset.
    pub fn affine(&self) -> (Vec<f64>, Vec<f64>) {
        (vector(&self.factor), vector(&(&self.bias - &self.mean * &self.factor)))
    }

    /// Returns z = (acc − mean)·factor + bias. `shape` lays the channels along the right dimension, e.g.
    /// `[-1, 1, 1]`.
    pub fn normalized(&self, acc: &Tensor, shape: &[i64]) -> Tensor {
        let mut z = acc - self.mean.reshape(shape);
        let _ = z.g_mul_(&self.factor.reshape(shape));
        z.g_add_(&self.bias.reshape(shape))
    }

    /// Returns the output: levels, or clip(z, 0, c) where activations are float, with the straight-through
    /// gradient (that of the unrounded level where z is open, else 0). `shape` as in
    /// [`normalized`](Self::normalized).
    pub fn levels(&self, acc: &Tensor, shape: &[i64]) -> Tensor {
        let z = self.normalized(acc, shape);
        let Quantizer { activation, ceiling, bits } = self.quantizer;
        if activation == Activation::Relu6 && ceiling == 6.0 {
            let mut levels = z.relu6();
            if let Bits::Int(bits) = bits {
                let _ = levels.g_mul_scalar_(top_level(bits) as f64 / ceiling);
                let _ = no_grad(|| levels.round_());
            }
            return levels;
        }
        let hard = no_grad(|| {
            if self.quantizer.is_bipolar() {
                let reached = self.quantizer.points().into_iter().map(|p| z.ge(p).to_kind(Kind::Double));
                return reached.reduce(|a, b| a + b).expect("a quantizer has levels");
            }
            let mut levels = z.clamp(0.0, ceiling);
            if let Bits::Int(bits) = bits {
                let _ = levels.g_mul_scalar_(top_level(bits) as f64 / ceiling);
                let _ = levels.round_();
            }
            levels
        });
        let (low, high) = self.quantizer.open();
        let open = no_grad(|| z.gt(low).logical_and(&z.lt(high)).to_kind(Kind::Double));
        let mut levels = z * (open * self.quantizer.slope());
        no_grad(|| levels.copy_(&hard));
        levels
    }

    /// Returns the direction of each channel, f64, −1 or +1.
    pub fn direction(&self) -> Tensor {
        self.factor.ge(0.0).to_kind(Kind::Double) * 2.0 - 1.0
    }

    /// Finds every boundary for accumulators in `lo..=hi`. Levels must be quantized.
    pub fn boundaries(&self, lo: i64, hi: i64) -> Boundaries {
        let Bits::Int(bits) = self.quantizer.bits else {
            unreachable!("only quantized steps have boundaries")
        };
        let (open, shut) = self.quantizer.open();
        let dir = self.direction();
        let wanted = Tensor::arange_start(1, top_level(bits) + 1, (Kind::Double, self.device())).unsqueeze(0);
        let reaches = |acc: &Tensor| self.levels(acc, &[-1, 1]).ge_tensor(&wanted);
        let thresholds = self.least(lo, hi, top_level(bits), reaches);
        let above = self.least(lo, hi, 1, |acc| self.normalized(acc, &[-1, 1]).gt(open));
        let beyond = self.least(lo, hi, 1, |acc| self.normalized(acc, &[-1, 1]).ge(shut));
        // The division happens on the CPU: a GPU divides by a number by multiplying with its inverse, whose
        // last bit may differ.
        let gain = vector(&self.factor).into_iter().map(|factor| factor / self.quantizer.unit()).collect();
        let dir: Vec<i8> = vector(&dir).into_iter().map(|d| d as i8).collect();
        let first = integers(&above);
        let last: Vec<i64> = integers(&beyond).into_iter().map(|v| v - 1).collect();
        let back = |c: usize, a: i64| a * i64::from(dir[c]);
        let channels = 0..dir.len();
        let (open_lo, open_hi) = channels
            .map(|c| if dir[c] > 0 { (first[c], last[c]) } else { (back(c, last[c]), back(c, first[c])) })
            .unzip();
        let shape = (dir.len(), top_level(bits) as usize);
        let thresholds = Array2::from_shape_vec(shape, integers(&thresholds)).expect("channel × level");
        Boundaries { dir, thresholds, gain, open_lo, open_hi }
    }

    /// Returns, channel × `columns`, the least directed accumulator `d` in the directed range at which
    /// `holds(dir·d)`, a monotone condition, is true; one above the range where it never is.
    fn least(&self, lo: i64, hi: i64, columns: i64, holds: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let dir = self.direction().unsqueeze(1);
        let (low, high) = directed(&dir, lo, hi);
        let size = [self.channels(), columns];
        let (mut low, mut high) = (low.expand(size, false).copy(), high.expand(size, false) + 1.0);
        while low.lt_tensor(&high).any().int64_value(&[]) == 1 {
            let middle = ((&low + &high) / 2.0).floor();
            let open = low.lt_tensor(&high);
            let reached = holds(&(&middle * &dir)).logical_and(&open);
            let missed = reached.logical_not().logical_and(&open);
            high = middle.where_self(&reached, &high);
            low = (middle + 1.0).where_self(&missed, &low);
        }
        low
    }

    /// Returns where it is computed.
    pub fn device(&self) -> Device {
        self.mean.device()
    }
}

/// Returns the ends of `dir·acc` for `acc` in `lo..=hi`, shaped like `dir`.
pub fn directed(dir: &Tensor, lo: i64, hi: i64) -> (Tensor, Tensor) {
    let (a, b) = (dir * lo as f64, dir * hi as f64);
    (a.minimum(&b), a.maximum(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(activation: Activation, bits: u32) -> StepFunction {
        let t = |v: &[f64]| Tensor::from_slice(v);
        StepFunction::new(
            &t(&[1.3, -0.7, 0.0, 0.0, 1e-9]),
            &t(&[0.4, 2.0, 3.0, -1.0, 100.0]),
            [&t(&[10.0, -20.0, 0.0, 0.0, 0.0]), &t(&[400.0, 90.0, 1.0, 1.0, 1.0])],
            Quantizer::new(activation, Bits::Int(bits)),
        )
    }

    /// They agree with the float function itself on every accumulator of the range.
    #[test]
    fn thresholds_and_open_interval_hold_on_every_accumulator() {
        let (lo, hi) = (-150, 120);
        let every = Tensor::arange_start(lo, hi + 1, (Kind::Double, Device::Cpu));
        let ranges =
            [Activation::Relu6, Activation::Relu1, Activation::Tanh].map(|a| (1..=8).map(move |b| (a, b)));
        for (activation, bits) in ranges.into_iter().flatten().chain([(Activation::Sign, 1)]) {
            let f = function(activation, bits);
            let (above, below) = f.quantizer().open();
            let found = f.boundaries(lo, hi);
            let expected = integers(&f.levels(&every.unsqueeze(0), &[-1, 1]));
            let z = vector(&f.normalized(&every.unsqueeze(0), &[-1, 1]));
            let count = (hi - lo + 1) as usize;
            for c in 0..found.dir.len() {
                for (i, acc) in (lo..=hi).enumerate() {
                    let directed = acc * i64::from(found.dir[c]);
                    let level = found.thresholds.row(c).iter().filter(|&&t| directed >= t).count() as i64;
                    assert_eq!(
                        level,
                        expected[c * count + i],
                        "{activation:?}, {bits} bits, channel {c}, accumulator {acc}"
                    );
                    let open = (found.open_lo[c]..=found.open_hi[c]).contains(&acc);
                    let z = z[c * count + i];
                    assert_eq!(
                        open,
                        z > above && z < below,
                        "{activation:?}, {bits} bits, channel {c}, accumulator {acc}"
                    );
                }
            }
            assert_eq!(found.dir, [1, -1, 1, 1, 1]);
            assert!(found.gain[1] < 0.0 && found.gain[2] == 0.0);
        }
    }
}
