//! Quantizes weights to signed levels with a scale, with straight-through gradients; and draws what they
//! start from.

use tch::{Tensor, no_grad};

use super::aol;
use super::rounding::{LEAST, slowed};
use crate::random::{Stream, normal};
use crate::recipe::Bits;

/// Magnitude, relative to the usual draws, of the noise in the weights from which almost-orthogonal rescaling
/// starts. It tells equal channels apart.
const AOL_NOISE: f32 = 0.01;

/// Describes the weights of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Shape, out × in (× kernel × kernel).
    pub shape: Vec<i64>,
    /// Bits of a weight.
    pub bits: Bits,
    /// Which weights share a scale.
    pub per: Scale,
    /// Distance between two windows along rows and columns.
    pub stride: usize,
    /// Variance of the initial weights, times their fan-in.
    pub spread: f64,
}

impl Weights {
    /// Draws the first weights for (seed, number of the node): normal with variance `spread`/fan-in. Weights
    /// that are rescaled start almost orthogonal.
    pub fn start(&self, (seed, node): (u64, u64), is_rescaled: bool) -> Tensor {
        let fan_in: i64 = self.shape[1..].iter().product();
        let spread = (self.spread / fan_in as f64).sqrt();
        let drawn = |k| (spread * normal(seed, Stream::Weights(node), k)) as f32;
        let mut values: Vec<f32> = (0..(self.shape[0] * fan_in) as u64).map(drawn).collect();
        // Weights of one bit cannot be 0.
        if is_rescaled && self.bits != Bits::Int(1) {
            let start = aol::start(&self.shape);
            values = start.iter().zip(values).map(|(w, n)| w + AOL_NOISE * n).collect();
        }
        Tensor::from_slice(&values).reshape(&self.shape)
    }
}

/// Holds integer-valued weights with their scale: real weight = `levels` × `scale`.
#[derive(Debug)]
pub struct QuantizedWeight {
    /// Same shape as the latent weights; the gradient to the latent ones is that of `levels × scale`,
    /// straight through.
    pub levels: Tensor,
    /// Scales, out × 1 …, or a single element for the whole tensor; positive. They carry a gradient where
    /// they are learned.
    pub scale: Tensor,
}

impl QuantizedWeight {
    /// Returns by how much each `latent` weight lies above its level of `bits` bits, as a real number; 0 where it
    /// is clipped or not quantized. Without gradient.
    pub fn error(&self, latent: &Tensor, bits: Bits) -> Tensor {
        let Bits::Int(bits) = bits else { return latent.detach().zeros_like() };
        let top = top_weight(bits) as f64;
        no_grad(|| ((latent / &self.scale).clamp(-top, top) - &self.levels) * &self.scale)
    }
}

/// Says which weights share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// One scale per output channel.
    Channel,
    /// One scale for the tensor.
    Tensor,
}

/// A channel whose magnitude is below this is dead: its levels are all 0 (or signs) whatever the scale.
const TINY: f64 = 1e-30;

/// Returns the largest size of a `bits`-bit weight's level.
fn top_weight(bits: u32) -> i64 {
    ((1i64 << (bits - 1)) - 1).max(1)
}

/// Quantizes latent weights (out × …), symmetrically about 0:
/// * 1 bit: −1, +1 (0 counts as +1), scale = mean |w|;
/// * 2 bits: ternary, 0 where |w| ≤ 0.7·mean |w|, scale = mean |w| of the others (ternary weight networks, Li
///   2016);
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

/// Quantizes as [`quantize_weight`] does, with a scale that is learned (LSQ, Esser 2020): level =
/// round(clip(w / scale, ±top)), at 1 bit the sign. Gradients pass to the weights within the clip, and to the
/// scale.
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

/// Returns what a learned weight scale starts from: 2·mean |w| / √top (LSQ). Shape of
/// [`QuantizedWeight::scale`].
pub fn initial_scale(latent: &Tensor, bits: Bits, per: Scale) -> Tensor {
    let top = if let Bits::Int(bits) = bits { top_weight(bits) as f64 } else { 1.0 };
    no_grad(|| {
        (latent.abs().mean_dim(&dims(latent, per)[..], true, None) * (2.0 / top.sqrt())).clamp_min(LEAST)
    })
}

/// Returns |level| of each of the `levels` that `latent` weights were quantized to, with the gradient of
/// |latent|. So a level of 0 passes on the sign of its latent weight. Without that it would pass on nothing:
/// bounds, which widen with magnitudes, would press a weight down to the edge of level 0 and leave it there,
/// and it would go back and forth across that edge.
pub fn magnitudes(levels: &Tensor, latent: &Tensor) -> Tensor {
    levels * no_grad(|| signs(latent))
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
    use super::*;
    use tch::Kind;

    fn values(t: &Tensor) -> Vec<f32> {
        Vec::try_from(t.reshape([-1]).to_kind(Kind::Float)).unwrap()
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
        // The derivative d(levels·scale)/d(latent) is 1 everywhere.
        (four.levels * four.scale).sum(Kind::Float).backward();
        assert!(values(&w.grad()).iter().all(|g| (g - 1.0).abs() < 1e-6));
    }

    /// LSQ: a learned scale gets (level − w/scale) of each weight within the clip, ±top outside.
    #[test]
    fn learned_scales_have_gradients() {
        let w = Tensor::from_slice(&[0.2f32, -0.9, 4.0, -0.1]).reshape([1, 4]).set_requires_grad(true);
        let scale = Tensor::from_slice(&[0.5f32]).reshape([1, 1]).set_requires_grad(true);
        let quantized = quantize_weight_by(&w, 3, &scale);
        assert_eq!(values(&quantized.levels), [0.0, -2.0, 3.0, 0.0]);
        (quantized.levels * quantized.scale).sum(Kind::Float).backward();
        assert_eq!(values(&w.grad()), [1.0, 1.0, 0.0, 1.0]);
        let expected = (-0.4 + (-2.0 + 1.8) + 3.0 + 0.2) / 12f32.sqrt();
        assert!((values(&scale.grad())[0] - expected).abs() < 1e-5);
        assert_eq!(values(&quantize_weight_by(&w, 1, &scale).levels), [1.0, -1.0, 1.0, -1.0]);
        let start = initial_scale(&w, Bits::Int(3), Scale::Tensor);
        assert!((values(&start)[0] - 2.0 * 1.3 / 3f32.sqrt()).abs() < 1e-6);
    }

    /// Levels are 7, −3, 0, 0 and −7; those of 0 keep the sign of their weight in the gradient.
    #[test]
    fn magnitudes_press_on_weights_whose_level_is_zero() {
        let w =
            Tensor::from_slice(&[0.7f32, -0.34, 0.04, -0.04, -0.7]).reshape([1, 5]).set_requires_grad(true);
        let four = quantize_weight(&w, Bits::Int(4), Scale::Channel);
        let found = magnitudes(&four.levels, &w);
        assert_eq!(values(&found), [7.0, 3.0, 0.0, 0.0, 7.0]);
        (found * four.scale).sum(Kind::Float).backward();
        let expected = [1.0f32, -1.0, 1.0, -1.0, -1.0];
        assert!(values(&w.grad()).iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-6));
        // One bit has no level 0: the sign of 0 is +1.
        let zero = Tensor::from_slice(&[0.0f32, -1.0]).reshape([1, 2]);
        let one = quantize_weight(&zero, Bits::Int(1), Scale::Channel);
        assert_eq!(values(&magnitudes(&one.levels, &zero)), [1.0, 1.0]);
    }

    #[test]
    fn errors_are_distances_to_the_level() {
        let w = Tensor::from_slice(&[0.6f32, -0.35, 0.05, -3.0]).reshape([1, 4]);
        let near = |bits: Bits, expected: [f32; 4]| {
            let found = values(&quantize_weight(&w, bits, Scale::Channel).error(&w, bits));
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{bits:?}: {found:?}");
        };
        // A step of 1: levels 1, 0, 0, −3.
        near(Bits::Int(3), [-0.4, -0.35, 0.05, 0.0]);
        // Mean |w| is 1, so the levels are 0, 0, 0, −1, of step 3.
        near(Bits::Int(2), [0.6, -0.35, 0.05, 0.0]);
        // Signs times 1, clipped at ±1.
        near(Bits::Int(1), [-0.4, 0.65, -0.95, 0.0]);
        near(Bits::Float, [0.0; 4]);
        let learned = quantize_weight_by(&w, 3, &Tensor::from_slice(&[0.1f32]).reshape([1, 1]));
        let found = values(&learned.error(&w, Bits::Int(3)));
        assert_eq!([found[0], found[1], found[3]], [0.0; 3]);
        assert!(found[2].abs() > 0.04);
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
