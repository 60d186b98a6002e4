//! Quantizers with straight-through gradients: weights to signed levels with a scale, activations to levels from 0. What
//! they do to a number is defined here, for training; the exact f64 twin of activations is in `step`. Never normalizes.
//!
//! Rounding is done in place without a gradient, on the result of an operation that does not keep its result for its own
//! gradient: autograd sees the unrounded value, memory is passed over once.

use tch::{Tensor, no_grad};

use crate::recipe::{Activation, Bits};

/// Integer-valued weights with their scale: real weight = `levels` × `scale`.
#[derive(Debug)]
pub struct QuantizedWeight {
    /// Same shape as the latent weights; the gradient to the latent ones is that of `levels × scale`, straight through.
    pub levels: Tensor,
    /// out × 1 …, or a single element for the whole tensor; positive. Carries a gradient where it is learned.
    pub scale: Tensor,
}

/// How many weights share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// One scale an output channel.
    Channel,
    /// One scale for the tensor.
    Tensor,
}

/// Below this a channel is dead; its levels are all 0 (or signs) whatever the scale.
const TINY: f64 = 1e-30;
/// Least learned scale or ceiling.
const LEAST: f64 = 1e-6;

/// Largest level of a `bits`-bit activation, 2^bits − 1.
pub fn top_level(bits: u32) -> i64 {
    (1 << bits) - 1
}

/// Largest size of a `bits`-bit weight's level.
fn top_weight(bits: u32) -> i64 {
    ((1i64 << (bits - 1)) - 1).max(1)
}

/// Quantizes latent weights (out × …), symmetrically about 0:
/// * 1 bit: −1, +1 (0 counts as +1), scale = mean |w|;
/// * 2 bits: ternary, 0 where |w| ≤ 0.7·mean |w|, scale = mean |w| of the others (ternary weight networks, Li 2016);
/// * more: |level| ≤ 2^(bits−1) − 1, scale = max |w| / (2^(bits−1) − 1), ties to even;
/// * float: the weights themselves, scale 1.
pub fn quantize_weight(latent: &Tensor, bits: Bits, per: Scale) -> QuantizedWeight {
    let Bits::Int(bits) = bits else {
        return QuantizedWeight {
            levels: latent.shallow_clone(),
            scale: latent.detach().ones_like().mean_dim(all(latent), true, None),
        };
    };
    let dims = dims(latent, per);
    let (levels, scale) = no_grad(|| {
        let magnitude = latent.abs();
        match bits {
            1 => {
                let scale = magnitude.mean_dim(&dims[..], true, None).clamp_min(TINY);
                (signs(latent), scale)
            }
            2 => {
                let threshold = magnitude.mean_dim(&dims[..], true, None) * 0.7;
                let kept = magnitude.gt_tensor(&threshold).to_kind(latent.kind());
                let count = kept.sum_dim_intlist(&dims[..], true, None).clamp_min(1.0);
                let scale = (magnitude * &kept).sum_dim_intlist(&dims[..], true, None) / count;
                (latent.sign() * kept, scale.clamp_min(TINY))
            }
            _ => {
                let scale = (magnitude.amax(&dims[..], true) / top_weight(bits) as f64).clamp_min(TINY);
                ((latent / &scale).round(), scale)
            }
        }
    });
    let mut through = latent / &scale;
    no_grad(|| through.copy_(&levels));
    QuantizedWeight { levels: through, scale }
}

/// As [`quantize_weight`], with a scale that is learned (LSQ, Esser 2020): level = round(clip(w / scale, ±top)), at 1 bit
/// the sign. Gradients pass to the weights within the clip, and to the scale.
pub fn quantize_weight_by(latent: &Tensor, bits: u32, scale: &Tensor) -> QuantizedWeight {
    let top = top_weight(bits) as f64;
    let shared = (latent.numel() / scale.numel()) as f64;
    let scale = slowed(scale, 1.0 / (shared * top).sqrt()).abs().clamp_min(LEAST);
    let mut levels = (latent / &scale).clamp(-top, top);
    no_grad(|| {
        let hard = if bits == 1 { signs(latent) } else { levels.round() };
        levels.copy_(&hard);
    });
    QuantizedWeight { levels, scale }
}

/// What a learned weight scale starts from: 2·mean |w| / √top (LSQ). Shape of [`QuantizedWeight::scale`].
pub fn initial_scale(latent: &Tensor, bits: Bits, per: Scale) -> Tensor {
    let top = if let Bits::Int(bits) = bits { top_weight(bits) as f64 } else { 1.0 };
    no_grad(|| {
        (latent.abs().mean_dim(&dims(latent, per)[..], true, None) * (2.0 / top.sqrt())).clamp_min(LEAST)
    })
}

/// An activation and its quantizer: which real number each level stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantizer {
    /// What is quantized.
    pub activation: Activation,
    /// Upper end of ReLU6, ReLU1 or a learned range; 1 otherwise.
    pub ceiling: f64,
    /// Bits of a level.
    pub bits: Bits,
}

impl Quantizer {
    /// With the activation's own ceiling.
    pub fn new(activation: Activation, bits: Bits) -> Quantizer {
        Quantizer { activation, ceiling: if activation == Activation::Relu6 { 6.0 } else { 1.0 }, bits }
    }

    /// Real value of one level (1 where activations are float).
    pub fn unit(&self) -> f64 {
        let Bits::Int(bits) = self.bits else { return 1.0 };
        self.width() / top_level(bits) as f64
    }

    /// Real value of level 0.
    pub fn offset(&self) -> f64 {
        if self.is_bipolar() { -1.0 } else { 0.0 }
    }

    /// Where the straight-through gradient passes: between these, ends left out.
    pub fn open(&self) -> (f64, f64) {
        if self.is_bipolar() { (-1.0, 1.0) } else { (0.0, self.ceiling) }
    }

    /// Levels (or real value, where activations are float) a unit of its input, where the gradient passes.
    pub fn slope(&self) -> f64 {
        1.0 / self.unit()
    }

    /// Whether levels lie evenly over −1…1.
    pub fn is_bipolar(&self) -> bool {
        matches!(self.activation, Activation::Tanh | Activation::Sign)
    }

    /// Where `tanh` or `sign` reaches each level from 1, precomputed in f64: the definition of these quantizers, so that no
    /// library's `tanh` is. Half way between two levels: atanh((2t − 1)/top − 1).
    pub fn points(&self) -> Vec<f64> {
        let Bits::Int(bits) = self.bits else { return Vec::new() };
        let top = top_level(bits) as f64;
        (1..=top_level(bits)).map(|t| ((2 * t - 1) as f64 / top - 1.0).atanh()).collect()
    }

    fn width(&self) -> f64 {
        if self.is_bipolar() { 2.0 } else { self.ceiling }
    }

    /// Levels of `z` in training (float: its activation), with the straight-through gradient: that of the unrounded level.
    /// `ceiling`, one element, stands for [`ceiling`](Self::ceiling) where it is learned.
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
                None => self.clipped(z, None) * (top / self.ceiling),
            },
        };
        let _ = no_grad(|| levels.round_());
        levels
    }

    fn clipped(&self, z: &Tensor, ceiling: Option<&Tensor>) -> Tensor {
        match ceiling {
            Some(c) => z.clamp_min(0.0).minimum(&learned(c).to_kind(z.kind())),
            None if self.activation == Activation::Relu6 => z.relu6(),
            None => z.clamp(0.0, self.ceiling),
        }
    }
}

/// A learned ceiling as it is used: positive.
pub fn learned(ceiling: &Tensor) -> Tensor {
    ceiling.abs().clamp_min(LEAST)
}

/// `x` with its gradient times `factor` (LSQ slows a step's gradient, which is the sum over all it quantizes).
fn slowed(x: &Tensor, factor: f64) -> Tensor {
    let slow = x * factor;
    &slow + (x - &slow).detach()
}

/// Rounds to whole numbers, ties to even; gradient 1.
pub fn round_through(x: &Tensor) -> Tensor {
    let mut rounded = x * 1.0;
    let _ = no_grad(|| rounded.round_());
    rounded
}

fn signs(latent: &Tensor) -> Tensor {
    latent.ge(0.0).to_kind(latent.kind()) * 2.0 - 1.0
}

fn dims(tensor: &Tensor, per: Scale) -> Vec<i64> {
    match per {
        Scale::Channel => (1..tensor.dim() as i64).collect(),
        Scale::Tensor => all(tensor),
    }
}

fn all(tensor: &Tensor) -> Vec<i64> {
    (0..tensor.dim() as i64).collect()
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
        // tanh: −0.96, −0.38, −0.10, 0, 0.29, 0.72, 1.00; four levels, −1, −1/3, 1/3, 1.
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

        let w = Tensor::from_slice(&[0.2f32, -0.9, 4.0, -0.1]).reshape([1, 4]).set_requires_grad(true);
        let scale = Tensor::from_slice(&[0.5f32]).reshape([1, 1]).set_requires_grad(true);
        let quantized = quantize_weight_by(&w, 3, &scale);
        assert_eq!(values(&quantized.levels), [0.0, -2.0, 3.0, 0.0]);
        (quantized.levels * quantized.scale).sum(Kind::Float).backward();
        assert_eq!(values(&w.grad()), [1.0, 1.0, 0.0, 1.0]);
        // LSQ: Σ (level − w/scale) within the clip, ±top outside.
        let expected = (-0.4 + (-2.0 + 1.8) + 3.0 + 0.2) / 12f32.sqrt();
        assert!((values(&scale.grad())[0] - expected).abs() < 1e-5);
        assert_eq!(values(&quantize_weight_by(&w, 1, &scale).levels), [1.0, -1.0, 1.0, -1.0]);
        let start = initial_scale(&w, Bits::Int(3), Scale::Tensor);
        assert!((values(&start)[0] - 2.0 * 1.3 / 3f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn weight_levels_scales_and_gradient() {
        let w =
            Tensor::from_slice(&[0.7f32, -0.34, 0.0, -3.0, 1.0, 0.1]).reshape([2, 3]).set_requires_grad(true);
        let four = quantize_weight(&w, Bits::Int(4), Scale::Channel);
        assert_eq!(values(&four.levels), [7.0, -3.0, 0.0, -7.0, 2.0, 0.0]);
        let whole = quantize_weight(&w, Bits::Int(3), Scale::Tensor);
        assert_eq!(values(&whole.levels), [1.0, 0.0, 0.0, -3.0, 1.0, 0.0]);
        assert_eq!(values(&whole.scale), [1.0]);
        let one = quantize_weight(&w, Bits::Int(1), Scale::Channel);
        assert_eq!(values(&one.levels), [1.0, -1.0, 1.0, -1.0, 1.0, 1.0]);
        let two = quantize_weight(&w, Bits::Int(2), Scale::Channel);
        assert_eq!(values(&two.levels), [1.0, -1.0, 0.0, -1.0, 1.0, 0.0]);
        assert_eq!(values(&two.scale), [0.52, 2.0]);
        // d(levels·scale)/d(latent) is 1 everywhere.
        (four.levels * four.scale).sum(Kind::Float).backward();
        assert!(values(&w.grad()).iter().all(|g| (g - 1.0).abs() < 1e-6));
    }

    #[test]
    fn a_dead_channel_has_finite_levels() {
        let zero = Tensor::zeros([2, 3], (Kind::Float, tch::Device::Cpu));
        for bits in 1..=8 {
            let q = quantize_weight(&zero, Bits::Int(bits), Scale::Channel);
            let expected = if bits == 1 { 1.0 } else { 0.0 };
            assert!(values(&q.levels).iter().all(|&v| v == expected), "{bits} bits");
        }
    }
}
