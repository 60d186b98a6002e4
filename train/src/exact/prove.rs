//! The proof that the float evaluation graph and an integer network agree on every input: same graph and constants,
//! every boundary of every step re-evaluated on both sides with the float code, every node compared on random integer
//! probes. Never trusts what export found: it reads the network alone.

use dq_net::layer::Step;
use dq_net::{Layer, LayerProof, Network, Proof, Range, Shape};
use ndarray::{Array3, ArrayD, ArrayView3, Dimension};
use tch::{Kind, Tensor, no_grad};

use crate::exact::evaluate::{EvalNode, EvalOp, Evaluation};
use crate::exact::export::{kernel_last, matrix};
use crate::node::step::{Boundaries, StepFunction, directed, integers, vector};
use crate::random::{Stream, bits};
use crate::recipe::Bits;

/// Random images that go through the whole graph, and random inputs that each node gets alone.
pub const PROBES: u64 = 4;

/// Where the float evaluation graph and the integer network differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`, {element}: the float model has {float}, the integer network {integer}")]
pub struct ProofFailure {
    /// The node.
    pub node: String,
    /// What of it: a field, or an element of its output.
    pub element: String,
    /// On the float side.
    pub float: String,
    /// On the integer side.
    pub integer: String,
}

/// Proves that `evaluation` and `network` agree on every input.
///
/// # Errors
/// The first difference.
pub(crate) fn prove(evaluation: &Evaluation, network: &Network) -> Result<Proof, ProofFailure> {
    let names = |names: Vec<&str>| names.join(", ");
    let ours = names(evaluation.nodes.iter().map(|n| n.name.as_str()).collect());
    let theirs = names(network.nodes().iter().map(|n| n.name.as_str()).collect());
    same("network", "nodes", &ours, &theirs)?;
    let mut proof = Proof { probes: PROBES, ..Proof::default() };
    for (i, node) in evaluation.nodes.iter().enumerate() {
        same(&node.name, "inputs", &node.inputs, &network.sources(i).to_vec())?;
        let wire = network.wire(i);
        let range = node.range.expect("an integer network is of quantized layers");
        same(&node.name, "range", &range.to_string(), &wire.range.to_string())?;
        if let Some(layer) = constants(evaluation, node, &network.nodes()[i].layer, wire.shape)? {
            proof.boundaries += layer.boundaries;
            proof.layers.push(layer);
        }
    }
    // The integer side is plain loops: its probes run beside each other.
    let probes: Vec<Probed> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..PROBES).map(|probe| scope.spawn(move || Probed::new(network, probe))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a checked network evaluates")).collect()
    });
    probes.iter().try_for_each(|probe| no_grad(|| probe.compare(evaluation)))?;
    Ok(proof)
}

/// Compares a node's constants; the proof of a step.
fn constants(
    evaluation: &Evaluation,
    node: &EvalNode,
    layer: &Layer,
    shape: Shape,
) -> Result<Option<LayerProof>, ProofFailure> {
    let name = &node.name;
    match (&node.op, layer) {
        (EvalOp::Input, Layer::Input(_)) => {
            let [height, width, channels] = evaluation.image;
            same(name, "shape", &Shape::new(height, width, channels).to_string(), &shape.to_string())?;
        }
        (EvalOp::BitDepth { bits }, Layer::BitDepth(depth)) => {
            same(name, "bits", bits, &depth.bits.into())?;
        }
        (EvalOp::Rescale(function), Layer::Rescale(rescale)) => {
            same(name, "rescale", &function.layer(), rescale)?;
        }
        (EvalOp::Mix { mix: ours, .. }, Layer::Mix(mix)) => same(name, "mix", ours, mix)?,
        (EvalOp::Median, Layer::Median(_)) => {}
        (EvalOp::Conv { weights, stride, pad, bits, .. }, Layer::Conv(conv)) => {
            same(name, "weight bits", bits, &Bits::Int(conv.weight_bits.into()))?;
            let float = kernel_last(weights, |v| v as i64).into_dyn();
            same_elements(name, "weights", &float, &conv.weights.mapv(i64::from).into_dyn())?;
            let window = (&[*pad; 4], &[*stride; 2], &1);
            same(name, "pad, stride and groups", &window, &(&conv.pad, &conv.stride, &conv.groups))?;
        }
        (EvalOp::Dense { weights, bits, .. }, Layer::Dense(dense)) => {
            same(name, "weight bits", bits, &Bits::Int(dense.weight_bits.into()))?;
            let float = matrix(weights, |v| v as i64).into_dyn();
            same_elements(name, "weights", &float, &dense.weights.mapv(i64::from).into_dyn())?;
        }
        (EvalOp::Step(function), Layer::Step(step)) => {
            let range =
                evaluation.nodes[node.inputs[0]].range.expect("an integer network is of quantized layers");
            return steps(node, function, step, range).map(Some);
        }
        (EvalOp::MaxPool, Layer::MaxPool(pool)) => {
            same(name, "window and stride", &([2, 2], [2, 2]), &(pool.window, pool.stride))?;
        }
        (EvalOp::GlobalSum { .. }, Layer::GlobalSum(_)) => {}
        (EvalOp::Logits { bias }, Layer::Logits(logits)) => {
            let integer: Vec<i64> = logits.bias.iter().map(|&b| b.into()).collect();
            same(name, "bias", &integers(bias), &integer)?;
            same(name, "scale", &evaluation.scale, &logits.scale)?;
        }
        (op, layer) => {
            let float = format!("{op:?}");
            let kind = float.split([' ', '(']).next().unwrap_or_default().to_owned();
            return Err(failure(name, "kind", kind, layer.kind().name()));
        }
    }
    Ok(None)
}

/// Re-evaluates both sides of every threshold of `step`, for accumulators in `range`, and compares its surrogate.
fn steps(
    node: &EvalNode,
    function: &StepFunction,
    step: &Step,
    range: Range,
) -> Result<LayerProof, ProofFailure> {
    let name = &node.name;
    let (channels, count) = step.thresholds.dim();
    same(name, "channels", &(function.channels() as usize), &channels)?;
    let dir: Vec<i8> = vector(&function.direction()).into_iter().map(|d| d as i8).collect();
    same(name, "dir", &dir, &step.dir)?;

    let flat: Vec<f64> = step.thresholds.iter().map(|&t| t.into()).collect();
    let device = crate::device();
    let thresholds = Tensor::from_slice(&flat).to_device(device).reshape([channels as i64, count as i64]);
    let direction = function.direction().unsqueeze(1);
    let (low, high) = directed(&direction, range.lo, range.hi);
    let level = Tensor::arange_start(1, count as i64 + 1, (Kind::Double, device)).unsqueeze(0);
    // At the threshold the level is reached, just below it is not; beyond the range's ends there is nothing to reach.
    for (offset, reached) in [(0.0, true), (-1.0, false)] {
        let at = &thresholds + offset;
        let inside = at.ge_tensor(&low).logical_and(&at.le_tensor(&high));
        let acc = &at.clamp_tensor(Some(&low), Some(&high)) * &direction;
        let levels = function.levels(&acc, &[-1, 1]);
        let reaches = levels.ge_tensor(&level);
        let wrong = if reached { reaches.logical_not() } else { reaches }.logical_and(&inside);
        if let Some(first) = integers(&wrong.nonzero()).chunks_exact(2).next() {
            let (c, t) = (first[0] as usize, first[1] as usize);
            let acc = acc.double_value(first) as i64;
            let place = format!("channel {c}, threshold {t}, accumulator {acc}");
            return Err(failure(name, &place, levels.double_value(first), step.level(c, acc as i32)));
        }
    }
    let found = function.boundaries(range.lo, range.hi);
    surrogate(node, step, &found)?;
    Ok(LayerProof {
        node: name.clone(),
        boundaries: (channels * count) as u64,
        acc_lo: range.lo,
        acc_hi: range.hi,
    })
}

fn surrogate(node: &EvalNode, step: &Step, found: &Boundaries) -> Result<(), ProofFailure> {
    let given = &step.surrogate;
    let wide = |v: &[i32]| v.iter().map(|&v| i64::from(v)).collect::<Vec<_>>();
    same(&node.name, "surrogate.gain", &found.gain, &given.gain)?;
    same(&node.name, "surrogate.open_lo", &found.open_lo, &wide(&given.open_lo))?;
    same(&node.name, "surrogate.open_hi", &found.open_hi, &wide(&given.open_hi))?;
    same(&node.name, "surrogate.unit", &node.unit, &given.unit)
}

/// What the integer network makes of one probe.
struct Probed {
    image: Array3<i32>,
    /// Of the image, a node.
    outputs: Vec<Array3<i32>>,
    /// Of random inputs from the whole ranges of its input wires, a node but the first.
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

    /// The whole graph on the image: that nodes are wired alike; then each node alone.
    fn compare(&self, evaluation: &Evaluation) -> Result<(), ProofFailure> {
        let float = evaluation.outputs(&batch_of_one(&self.image.mapv(f64::from)));
        for ((node, float), integer) in evaluation.nodes.iter().zip(&float).zip(&self.outputs) {
            compare(&node.name, float, integer)?;
        }
        for (node, (inputs, integer)) in evaluation.nodes.iter().skip(1).zip(&self.alone) {
            let batches: Vec<Tensor> = (inputs.iter().zip(&node.inputs))
                .map(|(input, &source)| {
                    let batch = batch_of_one(&input.mapv(f64::from));
                    if evaluation.nodes[source].flat { batch.flatten(1, -1) } else { batch }
                })
                .collect();
            let batches: Vec<&Tensor> = batches.iter().collect();
            compare(&node.name, &evaluation.compute(node, &batches), integer)?;
        }
        Ok(())
    }
}

/// The first element that differs; `float` is 1 × channels × height × width, or 1 × channels.
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

/// height × width × channels of uniform values in `range`, the same for the same `probe` and `node`.
fn random(shape: Shape, range: Range, probe: u64, node: u64) -> Array3<i64> {
    let width = (range.hi - range.lo + 1) as u64;
    let mut index = 0;
    Array3::from_shape_simple_fn(shape.dim(), || {
        index += 1;
        range.lo + (bits(node, Stream::Probe(probe), index) % width) as i64
    })
}

/// 1 × channels × height × width.
fn batch_of_one(image: &Array3<f64>) -> Tensor {
    let (height, width, channels) = image.dim();
    let values: Vec<f64> = image.iter().copied().collect();
    let shape = [1, height as i64, width as i64, channels as i64];
    Tensor::from_slice(&values).to_device(crate::device()).reshape(shape).permute([0, 3, 1, 2])
}

fn same<T: PartialEq + std::fmt::Debug>(
    node: &str,
    element: &str,
    float: &T,
    integer: &T,
) -> Result<(), ProofFailure> {
    if float == integer {
        return Ok(());
    }
    Err(failure(node, element, format!("{float:?}"), format!("{integer:?}")))
}

fn same_elements(
    node: &str,
    field: &str,
    float: &ArrayD<i64>,
    integer: &ArrayD<i64>,
) -> Result<(), ProofFailure> {
    same(node, &format!("shape of {field}"), &float.shape(), &integer.shape())?;
    for ((index, a), b) in float.indexed_iter().zip(integer) {
        if a != b {
            return Err(failure(node, &format!("{field}{:?}", index.slice()), a, b));
        }
    }
    Ok(())
}

fn failure(node: &str, element: &str, float: impl ToString, integer: impl ToString) -> ProofFailure {
    let (node, element) = (node.to_owned(), element.to_owned());
    ProofFailure { node, element, float: float.to_string(), integer: integer.to_string() }
}
