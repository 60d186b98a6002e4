//! Batch-norm statistics measured anew on the float evaluation graph, layer by layer, each on the outputs of layers
//! that are already measured. Training's running averages are of another graph (bf16, weights in motion); these are
//! what is exported. Never changes a weight.

use anyhow::Result;
use dq_net::Range;
use dq_net::data::Images;
use tch::{Kind, Tensor, no_grad};

use crate::batch;
use crate::evaluate::{CHUNK, EvalNode, Evaluation, normalizer};
use crate::model::{Model, Tensors};
use crate::step::integers;

/// Training images that statistics are measured on.
pub const IMAGES: usize = 2000;

/// `NODE.mean` and `NODE.var` (population variance) of every batch norm's input over all positions of images
/// `indices`, f64.
pub(crate) fn calibrate(model: &Model, images: &Images, indices: &[usize]) -> Result<Tensors> {
    let mut statistics: Tensors =
        model.statistics.iter().map(|(k, t)| (k.clone(), t.detach().to_kind(Kind::Double))).collect();
    let mut evaluation = Evaluation::new(model, &statistics, images.shape())?;
    let last_use = last_uses(&evaluation.nodes);
    let mut outputs: Vec<Vec<Tensor>> = Vec::new();
    for i in 0..evaluation.nodes.len() {
        let named = model.nodes.iter().find(|node| node.name == evaluation.nodes[i].name);
        if let Some(node) = named.filter(|node| node.op.normalized().is_some()) {
            let source = node.inputs[0];
            let (mean, var) = moments(&outputs[source], evaluation.nodes[source].range);
            statistics.insert(format!("{}.mean", node.name), mean);
            statistics.insert(format!("{}.var", node.name), var);
            evaluation.renormalize(i, normalizer(model, node, &statistics, (1.0, 0.0)))?;
        }
        let node = &evaluation.nodes[i];
        let output = match node.inputs[..] {
            [] => {
                let chunks = indices.chunks(CHUNK);
                chunks.map(|c| batch::pixels(images, c, Kind::Uint8, crate::device())).collect()
            }
            ref sources => (0..outputs[sources[0]].len())
                .map(|chunk| {
                    let inputs: Vec<Tensor> = sources.iter().map(|&s| wide(&outputs[s][chunk])).collect();
                    let inputs: Vec<&Tensor> = inputs.iter().collect();
                    compact(node, no_grad(|| evaluation.compute(node, &inputs)))
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

/// The last node that reads each node's output (itself where none does).
fn last_uses(nodes: &[EvalNode]) -> Vec<usize> {
    let mut last: Vec<usize> = (0..nodes.len()).collect();
    for (i, node) in nodes.iter().enumerate() {
        for &source in &node.inputs {
            last[source] = i;
        }
    }
    last
}

/// Mean and population variance of each channel (dimension 1) over everything else. Of whole numbers they come from exact
/// sums, so that no order of summation and no device changes them.
fn moments(chunks: &[Tensor], range: Option<Range>) -> (Tensor, Tensor) {
    let count: i64 = chunks.iter().map(|x| x.numel() as i64 / x.size()[1]).sum();
    let rows = |x: &Tensor, kind: Kind| x.to_kind(kind).transpose(0, 1).reshape([x.size()[1], -1]);
    let sum = |x: Tensor, kind: Kind| x.sum_dim_intlist([1i64].as_slice(), false, kind);
    let total = |each: &dyn Fn(&Tensor) -> Tensor| {
        no_grad(|| chunks.iter().map(each).reduce(|a, b| a + b).expect("at least one chunk"))
    };
    let largest = range.map(|range| range.hi.max(-range.lo));
    if largest.is_some_and(|m| i128::from(m) * i128::from(m) * i128::from(count) < 1 << 62) {
        let whole = Kind::Int64;
        let sums = integers(&total(&|x| sum(rows(x, whole), whole)));
        let squares = integers(&total(&|x| sum(rows(x, whole).square(), whole)));
        let n = count as f64;
        let mean: Vec<f64> = sums.iter().map(|&s| s as f64 / n).collect();
        let apart = |(&s, &q): (&i64, &i64)| {
            (i128::from(q) * i128::from(count) - i128::from(s) * i128::from(s)) as f64 / (n * n)
        };
        let var: Vec<f64> = sums.iter().zip(&squares).map(apart).collect();
        return (Tensor::from_slice(&mean), Tensor::from_slice(&var));
    }
    let mean = total(&|x| sum(rows(x, Kind::Double), Kind::Double)) / count as f64;
    let apart = |x: &Tensor| sum((rows(x, Kind::Double) - mean.unsqueeze(1)).square(), Kind::Double);
    let var = total(&apart) / count as f64;
    (mean, var)
}

fn wide(x: &Tensor) -> Tensor {
    x.to_kind(Kind::Double)
}

/// The smallest kind that holds a node's values: exactly where they are whole numbers.
fn compact(node: &EvalNode, x: Tensor) -> Tensor {
    match node.range {
        Some(range) if range.lo >= 0 && range.hi < 256 => x.to_kind(Kind::Uint8),
        Some(range) if range.lo >= i16::MIN.into() && range.hi <= i16::MAX.into() => x.to_kind(Kind::Int16),
        Some(_) => x.to_kind(Kind::Int),
        None => x.to_kind(Kind::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::vector;

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
