//! Measures batch-norm statistics anew on the float evaluation graph, layer by layer, each on the outputs of
//! layers that are already measured. Training's running averages belong to another graph (bf16, weights in
//! motion); these are what is exported. Never changes a weight.

use anyhow::Result;
use dq_data::Images;
use dq_net::Range;
use tch::{Device, Kind, Tensor, no_grad};

use super::evaluation::{CHUNK, Evaluation};
use crate::fit::batch;
use crate::fit::model::Model;
use crate::graph::last_uses;
use crate::recipe::Recipe;
use crate::tensor::{Tensors, integers};

/// Number of training images on which statistics are measured.
pub const IMAGES: usize = 2000;

/// Number of the epoch whose augmentation the statistics use: no epoch of training has it.
const EPOCH: usize = usize::MAX;

/// Measures `NODE.mean` and `NODE.var` (population variance) of every normalization's input over all
/// positions of images `indices`, f64. They are augmented as in training: the weights learned with the
/// statistics of such images, and those of plain ones (no black borders, no holes) cost the exported network
/// two to three points on CIFAR-10.
pub fn calibrate(
    model: &Model,
    images: &Images,
    indices: &[usize],
    recipe: &Recipe,
    device: Device,
) -> Result<Tensors> {
    let own = model.values.statistics.iter();
    let mut statistics: Tensors = own.map(|(k, t)| (k.clone(), t.detach().to_kind(Kind::Double))).collect();
    let mut evaluation = Evaluation::new(model, &statistics, images.shape(), device)?;
    let last_use = last_uses(evaluation.nodes.iter().map(|node| node.inputs.as_slice()));
    let source = batch::Source::new(images, Kind::Uint8, device);
    let augmented = |chunk| source.augmented(chunk, &recipe.data, recipe.train.seed, EPOCH);
    let mut outputs: Vec<Vec<Tensor>> = Vec::new();
    for i in 0..evaluation.nodes.len() {
        let named = model.nodes.iter().find(|node| node.name == evaluation.nodes[i].name);
        if let Some(node) = named.filter(|node| node.op.kind().normalized().is_some()) {
            let from = node.inputs[0];
            let (mean, var) = moments(&outputs[from], evaluation.nodes[from].facts.range);
            statistics.insert(format!("{}.mean", node.name), mean);
            statistics.insert(format!("{}.var", node.name), var);
            evaluation.renormalize(i, (model, node), &statistics)?;
        }
        let node = &evaluation.nodes[i];
        let output = match node.inputs[..] {
            [] => indices.chunks(CHUNK).map(augmented).collect(),
            ref sources => (0..outputs[sources[0]].len())
                .map(|chunk| {
                    let inputs: Vec<Tensor> = sources.iter().map(|&s| wide(&outputs[s][chunk])).collect();
                    let inputs: Vec<&Tensor> = inputs.iter().collect();
                    compact(node.facts.range, no_grad(|| node.op.compute(&node.facts, &inputs)))
                })
                .collect(),
        };
        outputs.push(output);
        for (source, kept) in outputs.iter_mut().enumerate() {
            if last_use[source] <= i {
                kept.clear();
            }
        }
    }
    Ok(statistics)
}

/// Returns mean and population variance of each channel (dimension 1) over everything else. Of whole numbers
/// they come from exact sums, so that no order of summation and no device changes them.
fn moments(chunks: &[Tensor], range: Option<Range>) -> (Tensor, Tensor) {
    let each = |x: &Tensor| x.numel() as i64 / x.size()[1];
    let count: i64 = chunks.iter().map(each).sum();
    let sums = |x: &Tensor, kind: Kind| {
        let dims: &[i64] = if x.dim() == 4 { &[0, 2, 3] } else { &[0] };
        no_grad(|| {
            let x = x.to_kind(kind);
            [x.sum_dim_intlist(dims, false, kind), x.square().sum_dim_intlist(dims, false, kind)]
        })
    };
    // This is the largest sum of squares of one chunk.
    let largest = range.map(|range| f64::from(range.hi.max(-range.lo) as i32).powi(2));
    let most = largest.map(|square| square * chunks.iter().map(each).max().unwrap_or(0) as f64);
    let kind = match most {
        Some(most) if most < 53f64.exp2() => Kind::Double,
        Some(most) if most < 63f64.exp2() => Kind::Int64,
        _ => return real_moments(chunks, count as f64),
    };
    let channels = chunks[0].size()[1] as usize;
    let mut totals = vec![[0i128; 2]; channels];
    for chunk in chunks {
        let [sum, squares] = sums(chunk, kind).map(|t| integers(&t));
        for (total, (sum, square)) in totals.iter_mut().zip(sum.into_iter().zip(squares)) {
            *total = [total[0] + i128::from(sum), total[1] + i128::from(square)];
        }
    }
    let n = i128::from(count);
    let mean: Vec<f64> = totals.iter().map(|&[sum, _]| sum as f64 / count as f64).collect();
    let apart = |&[sum, squares]: &[i128; 2]| (squares * n - sum * sum) as f64 / (count as f64).powi(2);
    let var: Vec<f64> = totals.iter().map(apart).collect();
    (Tensor::from_slice(&mean), Tensor::from_slice(&var))
}

/// Returns the same of real numbers, in two passes.
fn real_moments(chunks: &[Tensor], count: f64) -> (Tensor, Tensor) {
    let rows = |x: &Tensor| wide(x).transpose(0, 1).reshape([x.size()[1], -1]);
    let sum = |x: Tensor| x.sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
    let total = |each: &dyn Fn(&Tensor) -> Tensor| {
        no_grad(|| chunks.iter().map(each).reduce(|a, b| a + b).expect("at least one chunk"))
    };
    let mean = total(&|x| sum(rows(x))) / count;
    let var = total(&|x| sum((rows(x) - mean.unsqueeze(1)).square())) / count;
    (mean, var)
}

fn wide(x: &Tensor) -> Tensor {
    x.to_kind(Kind::Double)
}

/// Returns values of `range` in the smallest number format that holds them: exactly where they are whole
/// numbers.
fn compact(range: Option<Range>, x: Tensor) -> Tensor {
    match range {
        Some(range) if range.lo >= 0 && range.hi < 256 => x.to_kind(Kind::Uint8),
        Some(range) if range.lo >= i16::MIN.into() && range.hi <= i16::MAX.into() => x.to_kind(Kind::Int16),
        Some(_) => x.to_kind(Kind::Int),
        None => x.to_kind(Kind::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::vector;

    #[test]
    fn whole_numbers_have_the_same_moments_either_way() {
        let values: Vec<i32> = (0..240).map(|i| (i * 7919) % 1000 - 300).collect();
        let chunks = [
            Tensor::from_slice(&values[..96]).reshape([4, 3, 2, 4]),
            Tensor::from_slice(&values[96..]).reshape([6, 3, 2, 4]),
        ];
        let (mean, var) = moments(&chunks, Some(Range::new(-300, 699)));
        let (other_mean, other_var) = moments(&chunks, None);
        for (a, b) in
            vector(&mean).iter().zip(vector(&other_mean)).chain(vector(&var).iter().zip(vector(&other_var)))
        {
            assert!((a - b).abs() < 1e-9 * b.abs(), "{a}, {b}");
        }
    }
}
