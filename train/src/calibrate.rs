//! Batch-norm statistics measured anew on the float evaluation graph, layer by layer, each on the outputs of layers
//! that are already measured. Training's running averages are of another graph (bf16, weights in motion); these are
//! what is exported. Never changes a weight.

use anyhow::Result;
use dq_net::data::Images;
use tch::{Kind, Tensor, no_grad};

use crate::batch;
use crate::evaluate::{CHUNK, EvalNode, Evaluation, normalizer};
use crate::model::{Model, Tensors};

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
            let (mean, var) = moments(&outputs[node.inputs[0]]);
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

/// Mean and population variance of each channel (dimension 1) over everything else.
fn moments(chunks: &[Tensor]) -> (Tensor, Tensor) {
    no_grad(|| {
        let rows = |x: &Tensor| wide(x).transpose(0, 1).reshape([x.size()[1], -1]);
        let sum = |x: &Tensor| x.sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        let count: i64 = chunks.iter().map(|x| x.numel() as i64 / x.size()[1]).sum();
        let total = chunks.iter().map(|x| sum(&rows(x))).reduce(|a, b| a + b).expect("at least one chunk");
        let mean = total / count as f64;
        let apart = chunks.iter().map(|x| sum(&(rows(x) - mean.unsqueeze(1)).square()));
        let var = apart.reduce(|a, b| a + b).expect("at least one chunk") / count as f64;
        (mean, var)
    })
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
