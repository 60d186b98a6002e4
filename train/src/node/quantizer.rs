//! Quantizes activations to levels from 0, with straight-through gradients. Their effect on a number is
//! defined here, for training; the exact twin in f64 is `step::StepFunction`.

use tch::{Tensor, no_grad};

use super::rounding::{LEAST, slowed};
use crate::recipe::{Activation, Bits};

/// Returns the largest level of a `bits`-bit activation, 2^bits − 1.
pub fn top_level(bits: u32) -> i64 {
    (1 << bits) - 1
}

/// Describes an activation and its quantizer: which real number each level stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantizer {
    /// The activation that is quantized.
    pub activation: Activation,
    /// Upper end of ReLU6, ReLU1 or a learned range; 1 otherwise.
    pub ceiling: f64,
    /// Bits of a level.
    pub bits: Bits,
}

impl Quantizer {
    /// Makes a quantizer with the activation's own ceiling.
    pub fn new(activation: Activation, bits: Bits) -> Quantizer {
        Quantizer { activation, ceiling: if activation == Activation::Relu6 { 6.0 } else { 1.0 }, bits }
    }

    /// Returns the real value of one level (1 where activations are float).
    pub fn unit(&self) -> f64 {
        let Bits::Int(bits) = self.bits else { return 1.0 };
        self.width() / top_level(bits) as f64
    }

    /// Returns the real value of level 0.
    pub fn offset(&self) -> f64 {
        if self.is_bipolar() { -1.0 } else { 0.0 }
    }

    /// Returns between which inputs the straight-through gradient passes, ends left out.
    pub fn open(&self) -> (f64, f64) {
        if self.is_bipolar() { (-1.0, 1.0) } else { (0.0, self.ceiling) }
    }

    /// Returns levels (or real value, where activations are float) per unit of its input, where the gradient
    /// passes.
    pub fn slope(&self) -> f64 {
        1.0 / self.unit()
    }

    /// Returns whether levels lie evenly over −1…1.
    pub fn is_bipolar(&self) -> bool {
        matches!(self.activation, Activation::Tanh | Activation::Sign)
    }

    /// Returns where `tanh` or `sign` reaches each level from 1, in f64: the definition of these quantizers,
    /// so that no library's `tanh` is. Half way between two levels: atanh((2t − 1)/top − 1).
    pub fn points(&self) -> Vec<f64> {
        let Bits::Int(bits) = self.bits else { return Vec::new() };
        let top = top_level(bits) as f64;
        (1..=top_level(bits)).map(|t| ((2 * t - 1) as f64 / top - 1.0).atanh()).collect()
    }

    fn width(&self) -> f64 {
        if self.is_bipolar() { 2.0 } else { self.ceiling }
    }

    /// Returns the levels of `z` in training (float: its activation), with the straight-through gradient:
    /// that of the unrounded level. `ceiling`, one element, stands for [`ceiling`](Self::ceiling) where it is
    /// learned.
    pub fn train(&self, z: &Tensor, ceiling: Option<&Tensor>) -> Tensor {
        let Bits::Int(bits) = self.bits else { return self.clipped(z, ceiling) };
        let top = top_level(bits) as f64;
        let mut levels = match self.activation {
            Activation::Tanh => (z.tanh() + 1.0) * (top / 2.0),
            Activation::Sign => {
                let mut through = (z.clamp(-1.0, 1.0) + 1.0) * 0.5;
                no_grad(|| through.copy_(&z.ge(0.0)));
                return through;
            }
            _ => match ceiling {
                Some(c) => {
                    let c = slowed(c, 1.0 / (z.numel() as f64 / z.size()[0] as f64 * top).sqrt());
                    (z * (top / learned(&c)).to_kind(z.kind())).clamp(0.0, top)
                }
                None => self.sixths(z) * (top / 6.0),
            },
        };
        let _ = no_grad(|| levels.round_());
        levels
    }

    /// Returns `z` between 0 and the ceiling, in sixths of the ceiling. It is computed by ReLU6, whose gradient
    /// takes one pass over memory; the gradient of a clamp takes four.
    fn sixths(&self, z: &Tensor) -> Tensor {
        if self.ceiling == 6.0 { z.relu6() } else { (z * (6.0 / self.ceiling)).relu6() }
    }

    fn clipped(&self, z: &Tensor, ceiling: Option<&Tensor>) -> Tensor {
        match ceiling {
            Some(c) => z.clamp_min(0.0).minimum(&learned(c).to_kind(z.kind())),
            None if self.activation == Activation::Relu6 => z.relu6(),
            None => z.clamp(0.0, self.ceiling),
        }
    }
}

/// Returns a learned ceiling as it is used: positive.
pub fn learned(ceiling: &Tensor) -> Tensor {
    ceiling.abs().clamp_min(LEAST)
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn values(t: &Tensor) -> Vec<f32> {
        Vec::try_from(t.reshape([-1]).to_kind(Kind::Float)).unwrap()
    }

    #[test]
    fn activation_levels_and_gradient() {
        let z = Tensor::from_slice(&[-1.0f32, 0.0, 0.19, 0.21, 2.9, 5.9, 6.0, 9.0]).set_requires_grad(true);
        let relu6 = |bits| Quantizer::new(Activation::Relu6, Bits::Int(bits));
        let levels = relu6(4).train(&z, None);
        assert_eq!(values(&levels), [0.0, 0.0, 0.0, 1.0, 7.0, 15.0, 15.0, 15.0]);
        (levels * Tensor::from_slice(&[1.0f32, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
            .sum(Kind::Float)
            .backward();
        assert_eq!(values(&z.grad()), [0.0, 0.0, 5.0, 2.5, 2.5, 2.5, 0.0, 0.0]);
        assert_eq!(values(&relu6(1).train(&z, None))[4..], [0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn levels_of_other_activations() {
        let z = Tensor::from_slice(&[-2.0f32, -0.4, -0.1, 0.0, 0.3, 0.9, 5.0]);
        let levels = |activation, bits| values(&Quantizer::new(activation, Bits::Int(bits)).train(&z, None));
        assert_eq!(levels(Activation::Relu1, 2), [0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 3.0]);
        assert_eq!(levels(Activation::Sign, 1), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
        // The seven values of tanh are −0.96, −0.38, −0.10, 0, 0.29, 0.72, 1.00; the four levels −1, −1/3,
        // 1/3, 1.
        assert_eq!(levels(Activation::Tanh, 2)[..3], [0.0, 1.0, 1.0]);
        assert_eq!(levels(Activation::Tanh, 2)[4..], [2.0, 3.0, 3.0]);
        let tanh = Quantizer::new(Activation::Tanh, Bits::Int(2));
        assert_eq!((tanh.unit(), tanh.offset()), (2.0 / 3.0, -1.0));
        assert_eq!(tanh.points()[1], 0.0);
        let z = Tensor::from_slice(&[-1.5f32, -0.5, 0.5, 1.5]).set_requires_grad(true);
        Quantizer::new(Activation::Sign, Bits::Int(1)).train(&z, None).sum(Kind::Float).backward();
        assert_eq!(values(&z.grad()), [0.0, 0.5, 0.5, 0.0]);
    }

    /// A learned ceiling gets the gradient of what lies below it; slowed by √(elements · top).
    #[test]
    fn learned_steps_have_gradients() {
        let z = Tensor::from_slice(&[-1.0f32, 1.0, 2.0, 9.0]).reshape([1, 4]);
        let ceiling = Tensor::from_slice(&[4.0f32]).set_requires_grad(true);
        let relu = Quantizer::new(Activation::Relu6, Bits::Int(2));
        let levels = relu.train(&z, Some(&ceiling));
        assert_eq!(values(&levels), [0.0, 1.0, 2.0, 3.0]);
        levels.sum(Kind::Float).backward();
        let expected = -(1.0 + 2.0) * 3.0 / 16.0 / 12f32.sqrt();
        assert!((values(&ceiling.grad())[0] - expected).abs() < 1e-6);
    }
}
