//! Rescales output channels to be almost orthogonal (Prach, Lampert, ECCV 2022).
//!
//! With d_o = (Σ over o' and every shift of |w_o ⋆ w_o'|)^−½, the map diag(d)·W is 1-Lipschitz in the
//! Euclidean norm, for any weights. The shifts are the multiples of the stride; zero padding only leaves
//! columns of the infinite convolution out.
//!
//! Almost-orthogonal rescaling takes the place of batch norm: the gain of each channel follows from the
//! quantized weights, and one factor for all channels from the variance. That factor is multiplied out again
//! at the logits, so the bound is the recipe's, whatever the factor is.

use tch::{Kind, Tensor};

use super::convolve::convolve;
use crate::tensor::vector;

/// Largest block of input channels that an output channel reads at the start.
const BLOCK: usize = 8;

/// Returns Σ |w_o ⋆ w_o'| of each output channel of `weights` (out × in (× k × k)); differentiable.
fn correlations(weights: &Tensor, stride: usize) -> Tensor {
    let w = if weights.dim() == 2 { weights.unsqueeze(-1).unsqueeze(-1) } else { weights.shallow_clone() };
    let pad = (w.size()[2] as usize - 1) / stride * stride;
    let all = convolve(&w, &w, stride, pad);
    all.abs().sum_dim_intlist([1i64, 2, 3].as_slice(), false, w.kind())
}

/// Returns d of each output channel; of a channel without weights 1. Differentiable.
pub fn gains(weights: &Tensor, stride: usize) -> Tensor {
    let sums = correlations(weights, stride);
    let is_dead = sums.eq(0.0);
    sums.masked_fill(&is_dead, 1.0).rsqrt()
}

/// Returns the least d of dense `weights`: with it alone, too, they are 1-Lipschitz. One element,
/// differentiable.
pub fn least_gain(weights: &Tensor) -> Tensor {
    gains(weights, 1).min().reshape([1])
}

/// Returns d of each output channel in f64. Of whole-number weights the sums are exact; roots and quotients
/// are the host's.
pub fn exact_gains(weights: &Tensor, stride: usize, is_whole: bool) -> Vec<f64> {
    let sums = correlations(&weights.to_kind(Kind::Double), stride);
    let sums = vector(&if is_whole { sums.round() } else { sums });
    sums.into_iter().map(|sum| if sum > 0.0 { 1.0 / sum.sqrt() } else { 1.0 }).collect()
}

/// Returns what all channels are multiplied by after their `gains`, so that their variances, `var` before,
/// are 1 on average.
pub fn exact_stretch(gains: &[f64], var: &[f64], epsilon: f64) -> f64 {
    let sum: f64 = gains.iter().zip(var).map(|(gain, var)| gain * gain * var).sum();
    1.0 / (sum / gains.len() as f64 + epsilon).sqrt()
}

/// Returns weights to start from that lose nothing: random ones are rescaled to so little that networks of
/// them do not learn. The channels are cut into blocks; a set of output channels are the rows of a Hadamard
/// matrix on each block, orthogonal whatever their number of bits above 1. Each set reads its channels at
/// pixels of its own, which leaves its rows orthogonal, and every other one is negated, so that a rectifier
/// keeps both halves. All 0, −1, +1; out × in (× k × k).
pub fn start(shape: &[i64]) -> Vec<f32> {
    let size = |axis: usize| shape.get(axis).map_or(1, |&n| n as usize);
    let (outputs, inputs, kernel) = (size(0), size(1), size(2));
    let blocks = blocks(inputs, outputs);
    // These are the (block, row) pairs of a set's rows: first the first rows of all blocks, then the second
    // ones.
    let tallest = blocks.iter().map(|&(_, size)| size).max().unwrap_or(0);
    let rows: Vec<(usize, usize)> = (0..tallest)
        .flat_map(|row| blocks.iter().filter(move |block| row < block.1).map(move |&(first, _)| (first, row)))
        .collect();
    let size_at = |first: usize| blocks.iter().find(|block| block.0 == first).expect("a block").1;
    let mut weights = vec![0.0; outputs * inputs * kernel * kernel];
    for output in 0..outputs {
        let (set, (first, row)) = (output / rows.len(), rows[output % rows.len()]);
        let size = size_at(first);
        let signs: Vec<f32> = (0..size).map(|column| hadamard(size, row, column)).collect();
        // Negating a row whose elements have one sign would give a row that never passes a rectifier: levels
        // are not negative.
        let is_mixed = signs.contains(&-1.0);
        let flip = if is_mixed && set % 2 == 1 { -1.0 } else { 1.0 };
        for (column, sign) in signs.into_iter().enumerate() {
            let input = first + column;
            let [y, x] = tap(kernel, if is_mixed { set / 2 } else { set }, input);
            weights[((output * inputs + input) * kernel + y) * kernel + x] = flip * sign;
        }
    }
    weights
}

/// Returns (first channel, size) of each block: powers of two, as small as lets few outputs still read every
/// input.
fn blocks(inputs: usize, outputs: usize) -> Vec<(usize, usize)> {
    let size =
        inputs.div_ceil(outputs).next_power_of_two().clamp(BLOCK, inputs.next_power_of_two().max(BLOCK));
    let (mut first, mut blocks) = (0, Vec::new());
    while first < inputs {
        let rest = inputs - first;
        let fits = if rest >= size { size } else { 1 << rest.ilog2() };
        blocks.push((first, fits));
        first += fits;
    }
    blocks
}

/// Returns an entry of Sylvester's matrix with its last column negated, so that from a size of four no row is
/// of one sign.
fn hadamard(size: usize, row: usize, column: usize) -> f32 {
    let odd = (row & column).count_ones() % 2 == 1;
    if odd != (column + 1 == size && size > 1) { -1.0 } else { 1.0 }
}

/// Returns the pixel of a window at which set `set` reads channel `input`: the centre at first.
fn tap(kernel: usize, set: usize, input: usize) -> [usize; 2] {
    let taps = kernel * kernel;
    let centre = taps / 2;
    let at = if set == 0 { centre } else { (centre + set + input) % taps };
    [at / kernel, at % kernel]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::spectral::conv_norm;
    use crate::random::{Stream, normal};
    use tch::Device;

    /// Never above 1, whatever the weights, and not far below.
    #[test]
    fn rescaled_convolutions_do_not_expand() {
        for (seed, [outputs, inputs, kernel]) in
            [[4, 3, 3], [8, 8, 3], [3, 9, 1], [6, 2, 5]].into_iter().enumerate()
        {
            let shape = [outputs, inputs, kernel, kernel];
            let n = outputs * inputs * kernel * kernel;
            let draws: Vec<f32> =
                (0..n).map(|i| normal(seed as u64, Stream::Weights(0), i as u64) as f32).collect();
            let weight = Tensor::from_slice(&draws).reshape(shape);
            let started = Tensor::from_slice(&start(&shape)).reshape(shape);
            for (stride, pad) in [(1, kernel / 2), (2, kernel / 2), (1, 0), (3, 1)] {
                let norm = |weight: &Tensor| {
                    let rescaled = weight * gains(weight, stride).reshape([-1, 1, 1, 1]);
                    conv_norm(&rescaled, [inputs as usize, 9, 8], stride, pad as usize)
                };
                let (random, first) = (norm(&weight), norm(&started));
                assert!(random <= 1.0 + 1e-5 && random > 0.3, "{random}");
                assert!((0.7..=1.0 + 1e-5).contains(&first), "{first} at the start");
            }
        }
        // Orthonormal rows have a gain of 1.
        let eye = Tensor::eye(3, (Kind::Float, Device::Cpu));
        assert_eq!(vector(&gains(&eye, 1)), [1.0, 1.0, 1.0]);
        let dead = Tensor::zeros([2, 2], (Kind::Float, Device::Cpu));
        assert_eq!(exact_gains(&dead, 1, true), [1.0, 1.0]);
    }
}
