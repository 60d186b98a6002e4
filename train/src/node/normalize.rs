//! Normalizes accumulators before an activation or the residual stream: in training, and as exact constants.

use tch::{Kind, Tensor, no_grad};

use super::aol;
use super::ends::Ends;
use super::kind::{At, Frozen, Mode};
use super::norm::Norm;
use super::signal::{Signal, Unit};
use crate::recipe::Bits;
use crate::tensor::{along_channels, vector};

/// Constant that is added to the variance, in squared accumulator units.
pub const EPSILON: f64 = 1e-5;
/// Share of a new batch in the running mean and variance.
const MOMENTUM: f64 = 0.1;

/// Holds a normalized input.
pub struct Normalized {
    /// The normalized real value, times the factor that was asked for.
    pub z: Tensor,
    /// Factor by which the real value moves further than that of the input (one element, without gradient),
    /// where weights are rescaled.
    stretch: Option<Tensor>,
    norm: Norm,
}

impl Norm {
    /// Normalizes the real value of `input` as node `at` does, and multiplies it by `factor`.
    pub fn apply(self, at: &At, input: &Signal, factor: f64) -> Normalized {
        let x = &input.x;
        let (z, stretch) = match self {
            Norm::Batch => (batch_norm(at, x, factor), None),
            Norm::Aol => {
                let Rescaled { gain, bias, mean, var, stretch } = Rescaled::of(at, x, factor);
                if at.mode != Mode::Evaluate {
                    no_grad(|| {
                        for (what, new) in [("mean", &mean), ("var", &var)] {
                            let _ = at.values.statistic(at.name, what).shallow_clone().lerp_(new, MOMENTUM);
                        }
                    });
                }
                (affine(x, &gain, &bias), Some(stretch / input.unit.tensor(x.device()).detach()))
            }
            Norm::None => {
                let one = input.unit.tensor(x.device()) * factor;
                (x * one.to_kind(x.kind()) + input.unit.offset * factor, None)
            }
        };
        Normalized { z, stretch, norm: self }
    }

    /// Bounds what [`apply`](Self::apply) returns over boxes whose accumulators `ends` bound. In training
    /// the statistics are those of `input`, which they pass gradients to.
    pub fn bounds(self, at: &At, input: &Signal, ends: &Ends, factor: f64) -> Ends {
        match self {
            Norm::Batch if at.mode == Mode::Evaluate => {
                ends.monotone(at.values.parameter(at.name, "gain"), |x| batch_norm(at, x, factor))
            }
            Norm::Batch => {
                let (mean, var) = moments(&input.x.to_kind(Kind::Float));
                let gain = at.values.parameter(at.name, "gain") * (var + EPSILON).rsqrt() * factor;
                let bias = at.values.parameter(at.name, "bias") * factor - mean * &gain;
                ends.monotone(&gain, |x| fused_affine(x, &gain, &bias))
            }
            Norm::Aol => {
                let Rescaled { gain, bias, .. } = Rescaled::of(at, &input.x, factor);
                ends.rising(|x| affine(x, &gain, &bias))
            }
            Norm::None => {
                let one = input.unit.tensor(ends.low.device()) * factor;
                ends.rising(|x| x * &one + input.unit.offset * factor)
            }
        }
    }
}

impl Normalized {
    /// Returns how many times further than the image the normalized value moves at most, where that is known
    /// of `input`.
    pub fn reach(&self, input: &Unit) -> Option<Tensor> {
        let before = input.known_reach();
        match self.norm {
            Norm::None => before,
            Norm::Batch | Norm::Aol => Some(before? * self.stretch.as_ref()?),
        }
    }
}

/// Holds what almost-orthogonal rescaling makes of accumulators x: gain·x + bias, per channel.
///
/// Each accumulator's mean is taken away, it is rescaled so that weights and this are 1-Lipschitz together,
/// all channels are multiplied by one number that gives them unit variance on average, and the learned bias
/// is added; all times a factor.
struct Rescaled {
    gain: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    /// The one number of all channels, without gradient: what the network is bounded by does not depend on
    /// it.
    stretch: Tensor,
}

impl Rescaled {
    fn of(at: &At, input: &Tensor, factor: f64) -> Rescaled {
        let (source, weights) = at.source.as_ref().expect("only accumulators are rescaled");
        let gain = aol::gains(&at.values.weights(source, weights).levels, weights.stride);
        let running = |what: &str| at.values.statistic(at.name, what);
        let (mean, var) = if at.mode == Mode::Evaluate {
            (running("mean").shallow_clone(), running("var").shallow_clone())
        } else {
            let mean = input.mean_dim(positions(input), false, Kind::Float);
            let var = no_grad(|| input.to_kind(Kind::Float).var_dim(positions(input), false, false));
            (mean, var)
        };
        let stretch = no_grad(|| (gain.square() * &var).mean(Kind::Float) + EPSILON).rsqrt().reshape([1]);
        let gain = gain * &stretch * factor;
        let bias = at.values.parameter(at.name, "bias") * factor - &mean * &gain;
        Rescaled { gain, bias, mean, var, stretch }
    }
}

/// Returns mean and population variance of each channel, with gradients, in few passes over memory: the gradient
/// of libtorch's own mean divides every element, and its variance is slow along channels.
fn moments(input: &Tensor) -> (Tensor, Tensor) {
    let dims = positions(input);
    let share = input.size()[1] as f64 / input.numel() as f64;
    let mean = input.sum_dim_intlist(dims, false, Kind::Float) * share;
    // The variance has no gradient by the mean. Both factors of a square have the same gradient: one of them is
    // computed, and counts twice.
    let centred = input - mean.detach().reshape(along_channels(input));
    let var = (centred.detach() * centred).sum_dim_intlist(dims, false, Kind::Float) * share;
    (mean, &var * 2.0 - var.detach())
}

/// Returns the dimensions of a batch beside that of channels.
fn positions(input: &Tensor) -> &'static [i64] {
    if input.dim() == 4 { &[0, 2, 3] } else { &[0] }
}

/// Returns gain·x + bias, per channel, in the number format of `x`.
fn affine(x: &Tensor, gain: &Tensor, bias: &Tensor) -> Tensor {
    let along = |t: &Tensor| t.to_kind(x.kind()).reshape(along_channels(x));
    x * along(gain) + along(bias)
}

/// Returns gain·x + bias, per channel, of fp32 numbers. It is computed as a batch norm with mean 0 and variance 1,
/// which is faster than [`affine`].
fn fused_affine(x: &Tensor, gain: &Tensor, bias: &Tensor) -> Tensor {
    let (mean, var) = no_grad(|| (gain.zeros_like(), gain.ones_like()));
    x.batch_norm(Some(gain), Some(bias), Some(&mean), Some(&var), false, 0.0, 0.0, false)
}

/// Normalizes by batch norm; gain and bias are multiplied by `factor`.
fn batch_norm(at: &At, input: &Tensor, factor: f64) -> Tensor {
    let statistic = |what: &str| Some(at.values.statistic(at.name, what).shallow_clone());
    let affine = |what: &str| {
        let parameter = at.values.parameter(at.name, what);
        if factor == 1.0 { parameter.shallow_clone() } else { parameter * factor }
    };
    input.batch_norm(
        Some(affine("gain")),
        Some(affine("bias")),
        statistic("mean"),
        statistic("var"),
        at.mode != Mode::Evaluate,
        MOMENTUM,
        EPSILON,
        false,
    )
}

/// Says what an exact step or rescale multiplies and adds per channel.
pub enum Affine {
    /// Batch norm: gain, bias, mean and variance of each accumulator.
    Batch {
        /// Learned gain.
        gain: Tensor,
        /// Learned bias.
        bias: Tensor,
        /// Mean of the accumulator.
        mean: Tensor,
        /// Variance of the accumulator.
        var: Tensor,
    },
    /// Almost-orthogonal rescaling: (accumulator − mean)·factor + bias.
    Rescaled {
        /// One factor per channel, f64.
        factor: Tensor,
        /// Learned bias.
        bias: Tensor,
        /// Mean of the accumulator.
        mean: Tensor,
    },
    /// The real value, unchanged: accumulator·unit + offset.
    Plain {
        /// Real value of one unit.
        unit: f64,
        /// Real value of the number 0.
        offset: f64,
    },
}

impl Norm {
    /// Returns the exact constants of node `at`, and how much further its real value moves than that of what
    /// it reads, where weights are rescaled (else 1).
    pub fn exact(self, at: &Frozen) -> (Affine, f64) {
        let source = at.source.expect("a normalization reads a node");
        let device = at.device;
        let parameter = |what: &str| at.values.parameter(at.name, what).detach().to_device(device);
        let statistic = |what: &str| at.statistics[&format!("{}.{what}", at.name)].to_device(device);
        match self {
            Norm::Batch => {
                let [gain, bias] = ["gain", "bias"].map(parameter);
                (Affine::Batch { gain, bias, mean: statistic("mean"), var: statistic("var") }, 1.0)
            }
            Norm::Aol => {
                let sums = source.sums.expect("only accumulators are rescaled");
                let gains = aol::exact_gains(sums.weights, sums.stride, sums.bits != Bits::Float);
                let stretch = aol::exact_stretch(&gains, &vector(&statistic("var")), EPSILON);
                let factor: Vec<f64> = gains.into_iter().map(|gain| gain * stretch).collect();
                let factor = Tensor::from_slice(&factor).to_device(device);
                let affine = Affine::Rescaled { factor, bias: parameter("bias"), mean: statistic("mean") };
                (affine, stretch / source.facts.unit)
            }
            Norm::None => (Affine::Plain { unit: source.facts.unit, offset: source.facts.offset }, 1.0),
        }
    }
}

/// Returns gain / √(var + ε) of each channel, f64, on the device of `gain`. The host computes it, whose roots
/// and quotients are rounded as IEEE 754 says, so that no device changes a bit of an exported network.
pub fn exact_factor(gain: &Tensor, var: &Tensor) -> Tensor {
    let values = vector(gain).into_iter().zip(vector(var)).map(|(gain, var)| gain / (var + EPSILON).sqrt());
    Tensor::from_slice(&values.collect::<Vec<f64>>()).to_device(gain.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, normal};

    fn drawn(shape: &[i64], seed: u64) -> Tensor {
        let count: i64 = shape.iter().product();
        let values: Vec<f64> = (0..count as u64).map(|k| normal(seed, Stream::Weights(0), k)).collect();
        Tensor::from_slice(&values).to_kind(Kind::Float).reshape(shape)
    }

    /// Whatever is computed in few passes has the values and the gradients of what it stands for.
    #[test]
    fn fewer_passes_give_the_same() {
        for shape in [&[6, 3, 4, 5][..], &[6, 3]] {
            let found = |quick: bool| {
                let inputs = [shape, &[3], &[3]].map(|shape| drawn(shape, 1).set_requires_grad(true));
                let [x, gain, bias] = &inputs;
                let dims = positions(x);
                let (mean, var, line) = if quick {
                    let (mean, var) = moments(x);
                    (mean, var, fused_affine(x, gain, bias))
                } else {
                    let (mean, var) = (x.mean_dim(dims, false, Kind::Float), x.var_dim(dims, false, false));
                    (mean, var, affine(x, gain, bias))
                };
                let parts = [mean * drawn(&[3], 2), var * drawn(&[3], 3), line * drawn(shape, 4)];
                parts.iter().map(|part| part.sum(Kind::Float)).sum::<Tensor>().backward();
                let gradients = inputs.iter().flat_map(|input| vector(&input.grad()));
                parts.iter().flat_map(vector).chain(gradients).collect::<Vec<f64>>()
            };
            let (quick, plain) = (found(true), found(false));
            assert_eq!(quick.len(), plain.len());
            assert!(quick.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-4), "{shape:?}");
        }
    }
}
