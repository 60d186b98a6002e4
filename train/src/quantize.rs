//! Quantizers with straight-through gradients. Results are integer-valued tensors with their scale beside them: the
//! integers here are the integers of the exported network. Never multiplies the scale in.
//!
//! The rounding is done in place without a gradient, on the result of an operation that does not keep its result for
//! its own gradient: autograd sees the unrounded value, memory is passed over once.

use tch::{Tensor, no_grad};

use crate::recipe::Bits;

/// Integer-valued weights with their scale: real weight = `levels` × `scale`.
#[derive(Debug)]
pub struct QuantizedWeight {
    /// Same shape as the latent weights; the gradient to the latent ones is that of `levels × scale`, straight through.
    pub levels: Tensor,
    /// out × 1 …, or a single element for the whole tensor; positive, carries no gradient.
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

/// Largest level of a `bits`-bit activation, 2^bits − 1.
pub fn top_level(bits: u32) -> i64 {
    (1 << bits) - 1
}

/// Upper end of ReLU6.
pub const CEILING: f64 = 6.0;

/// Quantizes latent weights (out × …), symmetrically about 0:
/// * 1 bit: −1, +1 (0 counts as +1), scale = mean |w|;
/// * 2 bits: ternary, 0 where |w| ≤ 0.7·mean |w|, scale = mean |w| of the others (ternary weight networks, Li 2016);
/// * more: |level| ≤ 2^(bits−1) − 1, scale = max |w| / (2^(bits−1) − 1), ties to even;
/// * float: the weights themselves, scale 1.
pub fn quantize_weight(latent: &Tensor, bits: Bits, per: Scale) -> QuantizedWeight {
    let Bits::Int(bits) = bits else {
        return QuantizedWeight {
            levels: latent.shallow_clone(),
            scale: latent.ones_like().mean_dim(all(latent), true, None),
        };
    };
    let dims: Vec<i64> = match per {
        Scale::Channel => (1..latent.dim() as i64).collect(),
        Scale::Tensor => all(latent),
    };
    // Below this a channel is dead; its levels are all 0 (or signs) whatever the scale.
    const TINY: f64 = 1e-30;
    let (levels, scale) = no_grad(|| {
        let magnitude = latent.abs();
        match bits {
            1 => {
                let scale = magnitude.mean_dim(&dims[..], true, None).clamp_min(TINY);
                (latent.ge(0.0).to_kind(latent.kind()) * 2.0 - 1.0, scale)
            }
            2 => {
                let threshold = magnitude.mean_dim(&dims[..], true, None) * 0.7;
                let kept = magnitude.gt_tensor(&threshold).to_kind(latent.kind());
                let count = kept.sum_dim_intlist(&dims[..], true, None).clamp_min(1.0);
                let scale = (magnitude * &kept).sum_dim_intlist(&dims[..], true, None) / count;
                (latent.sign() * kept, scale.clamp_min(TINY))
            }
            _ => {
                let top = ((1i64 << (bits - 1)) - 1) as f64;
                let scale = (magnitude.amax(&dims[..], true) / top).clamp_min(TINY);
                ((latent / &scale).round(), scale)
            }
        }
    });
    let mut through = latent / &scale;
    no_grad(|| through.copy_(&levels));
    QuantizedWeight { levels: through, scale }
}

/// ReLU6 and quantizer: level = round(clip(z, 0, 6)·(2^bits − 1)/6), ties to even; float: clip(z, 0, 6). The gradient
/// is that of the unrounded level on 0 < z < 6, else 0.
pub fn quantize_activation(z: &Tensor, bits: Bits) -> Tensor {
    let clipped = z.relu6();
    match bits {
        Bits::Float => clipped,
        Bits::Int(bits) => {
            let mut levels = clipped * (top_level(bits) as f64 / CEILING);
            let _ = no_grad(|| levels.round_());
            levels
        }
    }
}

/// Rounds to whole numbers, ties to even; gradient 1.
pub fn round_through(x: &Tensor) -> Tensor {
    let mut rounded = x * 1.0;
    let _ = no_grad(|| rounded.round_());
    rounded
}

/// Real value of one level of an activation.
pub fn activation_unit(bits: Bits) -> f64 {
    match bits {
        Bits::Float => 1.0,
        Bits::Int(bits) => CEILING / top_level(bits) as f64,
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
        let levels = quantize_activation(&z, Bits::Int(4));
        assert_eq!(values(&levels), [0.0, 0.0, 0.0, 1.0, 7.0, 15.0, 15.0, 15.0]);
        (levels * Tensor::from_slice(&[1.0f32, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
            .sum(Kind::Float)
            .backward();
        assert_eq!(values(&z.grad()), [0.0, 0.0, 5.0, 2.5, 2.5, 2.5, 0.0, 0.0]);
        assert_eq!(values(&quantize_activation(&z, Bits::Int(1)))[4..], [0.0, 1.0, 1.0, 1.0]);
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
