//! Feature squeezing on tensors of pixels or levels, batch × channels × height × width: the twin of `dq-net`'s layers.
//! Gradients pass the rounding as if it were not there (BPDA), and go to the chosen pixel of a median.

use tch::{Kind, Tensor, no_grad};

/// Pixels 0…255 at `bits` bits: round(p·top / 255) for whole pixels, top = 2^bits − 1.
pub fn bit_depth(pixels: &Tensor, bits: u32) -> Tensor {
    let top = f64::from((1u32 << bits) - 1);
    let mut levels = pixels * (top / 255.0);
    no_grad(|| {
        // ⌊(2·p·top + 255) / 510⌋ in f64, which is never a whole number: 510·k is even, 2·p·top + 255 odd. So neither a
        // rounded quotient nor a rounded inverse of 510 changes the floor.
        let exact = ((pixels.to_kind(Kind::Double) * (2.0 * top) + 255.0) / 510.0).floor();
        levels.copy_(&exact);
    });
    levels
}

/// The lower of the two middle values of each pixel, its upper, its left and its upper left neighbour; the border is
/// repeated. Of equal values the first in row-major order is chosen.
pub fn median(x: &Tensor) -> Tensor {
    let (height, width) = (x.size()[2], x.size()[3]);
    let above = |t: &Tensor| Tensor::cat(&[t.narrow(2, 0, 1), t.narrow(2, 0, height - 1)], 2);
    let left = |t: &Tensor| Tensor::cat(&[t.narrow(3, 0, 1), t.narrow(3, 0, width - 1)], 3);
    let taps = Tensor::stack(&[left(&above(x)), above(x), left(x), x.shallow_clone()], -1);
    let chosen = no_grad(|| {
        let (sorted, _) = taps.sort(-1, false);
        let equal = taps.eq_tensor(&sorted.narrow(-1, 1, 1)).to_kind(Kind::Int64);
        let rank = Tensor::from_slice(&[4i64, 3, 2, 1]).to_device(x.device());
        (equal * rank).argmax(-1, true)
    });
    taps.gather(-1, &chosen, false).squeeze_dim(-1)
}

#[cfg(test)]
mod tests {
    use dq_net::layer::{BitDepth, Kind as _, Median};
    use ndarray::Array3;

    use super::*;
    use crate::node::step::integers;
    use crate::random::{Stream, bits};

    /// Against the layers themselves, on random pixels.
    #[test]
    fn equal_to_the_layers() {
        let image = Array3::from_shape_fn((5, 4, 2), |(y, x, c)| {
            (bits(3, Stream::Probe(0), (y * 8 + x * 2 + c) as u64) % 256) as i32
        });
        let values: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
        let tensor = Tensor::from_slice(&values).reshape([1, 5, 4, 2]).permute([0, 3, 1, 2]);
        let rows = |t: &Tensor| integers(&t.permute([0, 2, 3, 1]));
        for depth in 1..=8u8 {
            let expected = BitDepth { bits: depth }.eval(&[image.view()]);
            let found = bit_depth(&tensor, depth.into());
            assert_eq!(rows(&found), expected.iter().map(|&v| v.into()).collect::<Vec<i64>>());
            let expected = Median.eval(&[expected.view()]);
            assert_eq!(rows(&median(&found)), expected.iter().map(|&v| v.into()).collect::<Vec<i64>>());
        }
    }
}
