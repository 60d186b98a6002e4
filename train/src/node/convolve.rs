//! Is the only place where libtorch convolves. Kernels and strides are square; there is zero padding, no bias
//! and no groups.

use tch::Tensor;

/// Convolves `input` (batch × in × height × width) with `weights` (out × in × k × k), `pad` zeros on every
/// side.
///
/// A strided 1×1 convolution is computed as one of stride 1 on the pixels that it reads. That is the same
/// sum, and faster in training. It also keeps away from oneDNN's AVX2 kernel for the gradient by the weights
/// of such a layer, which writes outside its memory where there are fewer than 8 input channels.
pub fn convolve(input: &Tensor, weights: &Tensor, stride: usize, pad: usize) -> Tensor {
    let (stride, pad) = (stride as i64, pad as i64);
    let plain = |input: &Tensor, stride: i64, pad: i64| {
        input.conv2d(weights, None::<Tensor>, [stride, stride], [pad, pad], [1, 1], 1)
    };
    if stride == 1 || weights.size()[2] > 1 {
        return plain(input, stride, pad);
    }
    let padded = if pad > 0 { input.constant_pad_nd([pad, pad, pad, pad]) } else { input.shallow_clone() };
    plain(&every(&padded, stride), 1, 0)
}

/// Returns every `stride`-th pixel of every `stride`-th row.
fn every(input: &Tensor, stride: i64) -> Tensor {
    // A mean of one pixel is that pixel. Unlike a slice, it leaves the gradient in the memory format of the
    // input.
    input.avg_pool2d([1, 1], [stride, stride], [0, 0], false, true, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, bits};
    use crate::tensor::vector;
    use std::process::Command;
    use tch::Kind;

    /// Returns whole numbers from −3 to 3: sums of their products are exact in fp32.
    fn whole(shape: [i64; 4], stream: u64) -> Tensor {
        let draw = |i| (bits(1, Stream::Probe(stream), i) % 7) as f64 - 3.0;
        let values: Vec<f64> = (0..shape.iter().product::<i64>() as u64).map(draw).collect();
        Tensor::from_slice(&values).reshape(shape)
    }

    /// Returns output, gradient by the input and gradient by the weights, computed in `kind`, channels last
    /// as in training.
    fn all(kind: Kind, input: &Tensor, weights: &Tensor, stride: usize, pad: usize) -> [Vec<f64>; 3] {
        let rows = input.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let [input, weights] = [&rows, weights].map(|t| t.to_kind(kind).detach().set_requires_grad(true));
        let output = if kind == Kind::Double {
            let (s, p) = (stride as i64, pad as i64);
            input.conv2d(&weights, None::<Tensor>, [s, s], [p, p], [1, 1], 1)
        } else {
            convolve(&input, &weights, stride, pad)
        };
        let slopes = whole(output.size().try_into().expect("four dimensions"), 3).to_kind(kind);
        (&output * slopes).sum(kind).backward();
        [output.detach(), input.grad(), weights.grad()].map(|t| vector(&t.contiguous()))
    }

    /// They equal those of the convolution in f64, which libtorch computes without oneDNN.
    #[test]
    fn sums_and_gradients_are_exact() {
        let windows =
            [(1, 2, 0), (1, 4, 0), (1, 2, 1), (1, 1, 0), (3, 1, 1), (3, 2, 1), (3, 3, 0), (5, 2, 2)];
        let channels = [(1, 1), (3, 5), (4, 8), (7, 16), (8, 8), (12, 4)];
        for ((kernel, stride, pad), (inputs, outputs)) in
            windows.into_iter().flat_map(|window| channels.map(|channels| (window, channels)))
        {
            // A stride that divides the size has a kernel of its own.
            for size in [8, 9] {
                let input = whole([20, inputs, size, size], 1);
                let weights = whole([outputs, inputs, kernel, kernel], 2);
                let expected = all(Kind::Double, &input, &weights, stride, pad);
                let found = all(Kind::Float, &input, &weights, stride, pad);
                for (what, i) in ["sums", "slopes of pixels", "slopes of weights"].into_iter().zip(0..) {
                    assert!(
                        found[i] == expected[i],
                        "{what}: {inputs} to {outputs} channels of {size}×{size}, a kernel of {kernel}, \
                         stride {stride}, pad {pad}"
                    );
                }
            }
        }
    }

    /// The test above passes on the plainest processor that oneDNN has kernels for, with an allocator that
    /// checks its memory.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn nothing_is_written_outside_its_memory() {
        let mut command = Command::new(std::env::current_exe().expect("a test program has a path"));
        command.args(["--exact", "node::convolve::tests::sums_and_gradients_are_exact", "--test-threads=1"]);
        command.env("ONEDNN_MAX_CPU_ISA", "AVX2");
        command.env("LD_PRELOAD", "libc_malloc_debug.so.0").env("MALLOC_CHECK_", "3");
        let output = command.output().expect("this program starts again");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
    }
}
