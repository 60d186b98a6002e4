//! Almost-orthogonal rescaling (Prach, Lampert, ECCV 2022), of output channels: with d_o = (Σ over o' and every shift of
//! |w_o ⋆ w_o'|)^−½, the map diag(d)·W is 1-Lipschitz in the Euclidean norm, for any weights, zero padding and stride: those
//! only leave rows and columns of the infinite convolution out.

use tch::{Kind, Tensor};

use crate::step::vector;

/// Σ |w_o ⋆ w_o'| of each output channel of `weights` (out × in (× k × k)); differentiable.
fn correlations(weights: &Tensor) -> Tensor {
    let w = if weights.dim() == 2 { weights.unsqueeze(-1).unsqueeze(-1) } else { weights.shallow_clone() };
    let pad = w.size()[2] - 1;
    let all = w.conv2d(&w, None::<Tensor>, [1, 1], [pad, pad], [1, 1], 1);
    all.abs().sum_dim_intlist([1i64, 2, 3].as_slice(), false, w.kind())
}

/// d of each output channel; of a channel without weights 1. Differentiable.
pub fn gains(weights: &Tensor) -> Tensor {
    let sums = correlations(weights);
    let is_dead = sums.eq(0.0);
    sums.masked_fill(&is_dead, 1.0).rsqrt()
}

/// d times `unit`, in f64. Of whole-number weights the sums are exact; the root is the host's.
pub fn exact_gains(weights: &Tensor, unit: f64, is_whole: bool) -> Vec<f64> {
    let sums = correlations(&weights.to_kind(Kind::Double));
    let sums = vector(&if is_whole { sums.round() } else { sums });
    sums.into_iter().map(|sum| unit / if sum > 0.0 { sum.sqrt() } else { 1.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Evaluation;
    use crate::graph;
    use crate::model::{Model, Tensors};
    use crate::random::{Stream, bits, normal};
    use crate::recipe::Recipe;
    use crate::spectral::conv_norm;
    use tch::Device;

    /// Never above 1, whatever the weights, and not far below.
    #[test]
    fn rescaled_convolutions_do_not_expand() {
        for (seed, [outputs, inputs, kernel]) in
            [[4, 3, 3], [8, 8, 3], [3, 9, 1], [6, 2, 5]].into_iter().enumerate()
        {
            let n = outputs * inputs * kernel * kernel;
            let draws: Vec<f32> =
                (0..n).map(|i| normal(seed as u64, Stream::Weights(0), i as u64) as f32).collect();
            let weight = Tensor::from_slice(&draws).reshape([outputs, inputs, kernel, kernel]);
            let rescaled = &weight * gains(&weight).reshape([-1, 1, 1, 1]);
            for (stride, pad) in [(1, kernel / 2), (2, kernel / 2), (1, 0)] {
                let norm = conv_norm(&rescaled, [inputs as usize, 9, 8], stride, pad as usize);
                assert!(norm <= 1.0 + 1e-5 && norm > 0.3, "{norm}");
            }
        }
        // Orthonormal rows lose nothing.
        let eye = Tensor::eye(3, (Kind::Float, Device::Cpu));
        assert_eq!(vector(&gains(&eye)), [1.0, 1.0, 1.0]);
        let dead = Tensor::zeros([2, 2], (Kind::Float, Device::Cpu));
        assert_eq!(exact_gains(&dead, 0.5, true), [0.5, 0.5]);
    }

    /// A whole network of random weights, up to its logits, quantizers left out: no two images move apart.
    #[test]
    fn a_network_does_not_expand() {
        for architecture in [
            "architecture = \"vgg\", blocks = [[6, 5], [8]]",
            "architecture = \"wrn\", depth = 10, width = 0.25",
            "architecture = \"resnet\", depth = 8, width = 0.25",
        ] {
            let text = format!(
                "data.set = \"cifar10\"\nbits = {{activations = \"float\"}}\nmodel = {{normalization = \"aol\", {architecture}}}"
            );
            let recipe = Recipe::parse(&text, "test", &[]).unwrap();
            let nodes = graph::build(&recipe.model, recipe.squeeze, &recipe.bits, [8, 8, 3], 4).unwrap();
            let model = Model::new(nodes, &recipe.bits, 5, Device::Cpu);
            let evaluation = Evaluation::new(&model, &Tensors::new(), [8, 8, 3]).unwrap();
            let last = evaluation.nodes.iter().position(|node| node.name == "sum").unwrap();
            let image = |seed: u64| -> Tensor {
                let draw = |i| (bits(seed, Stream::Probe(0), i) % 256) as f64;
                Tensor::from_slice(&(0..192).map(draw).collect::<Vec<f64>>()).reshape([1, 3, 8, 8])
            };
            let mut largest: f64 = 0.0;
            for seed in 0..20 {
                let (a, b) = (image(2 * seed), image(2 * seed + 1));
                let features = |x: &Tensor| &evaluation.outputs(x)[last] * evaluation.nodes[last].unit;
                let moved = (features(&a) - features(&b)).norm().double_value(&[]);
                largest = largest.max(moved / ((a - b).norm().double_value(&[]) / 255.0));
            }
            assert!(largest <= 1.0 && largest > 1e-4, "{architecture}: {largest}");
        }
    }
}
