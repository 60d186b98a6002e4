//! Proves that the float evaluation graph and an integer network agree on every input: same graph and
//! constants, every boundary of every step re-evaluated on both sides with the float code, every node
//! compared on random integer probes. Never trusts what export found: it reads the network alone.

use dq_net::{Network, Proof, Range, Shape};
use ndarray::{Array3, ArrayView3};
use tch::{Device, Tensor, no_grad};

use super::evaluation::Evaluation;
use crate::node::proof::{ProofFailure, failure, same};
use crate::random::{Stream, bits};
use crate::tensor::vector;

/// Number of random images that go through the whole graph, and of random inputs that each node gets alone.
pub const PROBES: u64 = 4;

/// Proves that `evaluation` and `network` agree on every input.
///
/// # Errors
/// The first difference.
pub fn prove(evaluation: &Evaluation, network: &Network) -> Result<Proof, ProofFailure> {
    let names = |names: Vec<&str>| names.join(", ");
    let ours = names(evaluation.nodes.iter().map(|n| n.name.as_str()).collect());
    let theirs = names(network.nodes().iter().map(|n| n.name.as_str()).collect());
    same("network", "nodes", &ours, &theirs)?;
    let mut proof = Proof { probes: PROBES, ..Proof::default() };
    for (i, node) in evaluation.nodes.iter().enumerate() {
        same(&node.name, "inputs", &node.inputs, &network.sources(i).to_vec())?;
        let range = node.facts.range.expect("an integer network is of quantized layers");
        same(&node.name, "range", &range.to_string(), &network.wire(i).range.to_string())?;
        if let Some(layer) = node.op.prove(&evaluation.place(i), &network.nodes()[i].layer)? {
            proof.boundaries += layer.boundaries;
            proof.layers.push(layer);
        }
    }
    // The integer side runs plain loops, so its probes run in parallel.
    let probes: Vec<Probed> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..PROBES).map(|probe| scope.spawn(move || Probed::new(network, probe))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a checked network evaluates")).collect()
    });
    probes.iter().try_for_each(|probe| no_grad(|| probe.compare(evaluation)))?;
    Ok(proof)
}

/// Holds what the integer network makes of one probe.
struct Probed {
    image: Array3<i32>,
    /// Each node's output for the image.
    outputs: Vec<Array3<i32>>,
    /// For each node but the first: random inputs from the whole ranges of its input wires, and its output
    /// for them.
    alone: Vec<(Vec<Array3<i32>>, Array3<i32>)>,
}

impl Probed {
    fn new(network: &Network, probe: u64) -> Probed {
        let image = random(network.input_shape(), Range::levels(8), probe, 0).mapv(|v| v as u8);
        let alone = (1..network.nodes().len()).map(|i| {
            let inputs: Vec<Array3<i32>> = (network.sources(i).iter().enumerate())
                .map(|(port, &source)| {
                    let wire = network.wire(source);
                    random(wire.shape, wire.range, probe, ((i as u64) << 8) | port as u64).mapv(|v| v as i32)
                })
                .collect();
            let views: Vec<ArrayView3<i32>> = inputs.iter().map(|input| input.view()).collect();
            let output = network.nodes()[i].layer.kind().eval(&views);
            (inputs, output)
        });
        Probed {
            alone: alone.collect(),
            outputs: network.eval_nodes(image.view()),
            image: image.mapv(i32::from),
        }
    }

    /// Compares the whole graph on the image, so that nodes are wired alike; then each node alone.
    fn compare(&self, evaluation: &Evaluation) -> Result<(), ProofFailure> {
        let float = evaluation.outputs(&batch_of_one(&self.image, evaluation.device()));
        for ((node, float), integer) in evaluation.nodes.iter().zip(&float).zip(&self.outputs) {
            compare(&node.name, float, integer)?;
        }
        for (node, (inputs, integer)) in evaluation.nodes.iter().skip(1).zip(&self.alone) {
            let batches: Vec<Tensor> = (inputs.iter().zip(&node.inputs))
                .map(|(input, &source)| {
                    let batch = batch_of_one(input, evaluation.device());
                    if evaluation.nodes[source].facts.flat { batch.flatten(1, -1) } else { batch }
                })
                .collect();
            let batches: Vec<&Tensor> = batches.iter().collect();
            compare(&node.name, &node.op.compute(&node.facts, &batches), integer)?;
        }
        Ok(())
    }
}

/// Demands that all elements are equal; `float` is 1 × channels × height × width, or 1 × channels.
fn compare(name: &str, float: &Tensor, integer: &Array3<i32>) -> Result<(), ProofFailure> {
    let float = if float.dim() == 4 { float.permute([0, 2, 3, 1]) } else { float.shallow_clone() };
    let values = vector(&float);
    same(name, "elements", &values.len(), &integer.len())?;
    for (float, ((y, x, c), &integer)) in values.iter().zip(integer.indexed_iter()) {
        if *float != f64::from(integer) {
            return Err(failure(name, &format!("output row {y}, column {x}, channel {c}"), float, integer));
        }
    }
    Ok(())
}

/// Returns height × width × channels of uniform values in `range`, the same for the same `probe` and `node`.
fn random(shape: Shape, range: Range, probe: u64, node: u64) -> Array3<i64> {
    let width = (range.hi - range.lo + 1) as u64;
    let mut index = 0;
    Array3::from_shape_simple_fn(shape.dim(), || {
        index += 1;
        range.lo + (bits(node, Stream::Probe(probe), index) % width) as i64
    })
}

/// Returns `image` as a batch of one: 1 × channels × height × width.
fn batch_of_one(image: &Array3<i32>, device: Device) -> Tensor {
    let (height, width, channels) = image.dim();
    let values: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
    let shape = [1, height as i64, width as i64, channels as i64];
    Tensor::from_slice(&values).to_device(device).reshape(shape).permute([0, 3, 1, 2])
}
