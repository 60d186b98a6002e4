//! Lowers a graph to the integer network: each tensor is a chain of exact functions over a wire, and a
//! quantizer ends a chain in a Step.

mod arithmetic;
mod arrange;
mod builder;
mod concat;
mod entry;
mod head;
mod levels;
mod linear;
mod pad;
mod pool;
mod ranking;
mod residual;
mod scores;
mod step;
mod stream;
mod weights;
mod window;

pub use entry::{Image, Normalization, Reading};
pub use head::Head;
pub use step::Staircase;

use crate::chain::Chain;
use crate::error::NodeError;
use crate::fold;
use crate::graph::{Graph, Op};
use crate::tensor::Constant;
use crate::watch::{Part, Watch};
use builder::Builder;
use pad::Padded;
use std::collections::HashMap;
use stream::Stream;

/// What a tensor of the graph is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Known numbers.
    Constant(Constant),
    /// The roots of known numbers.
    Root(Constant),
    /// Something of the image.
    Stream(Stream),
    /// Label, probabilities or ranking of the scores: it may only be the output.
    Label {
        /// Whether probabilities were rounded, so that some may be alike that were not.
        rounded: bool,
    },
    /// The result of a node that cannot be imported.
    Refused,
}

/// The network of a graph, and what its proof needs.
pub struct Lowered {
    /// The network's name is still to be given.
    pub builder: BuilderOf,
    /// Its Steps.
    pub steps: Vec<Staircase>,
    /// Its scores.
    pub head: Head,
    /// How pixels become the graph's input.
    pub image: Image,
}

/// Makes the network under a name.
pub struct BuilderOf(Builder);

impl BuilderOf {
    /// Makes the network.
    pub fn network(&self, name: &str) -> Result<dq_net::Network, String> {
        self.0.network(name).map_err(|e| e.to_string())
    }
}

/// Lowers a graph; the error lists all nodes that cannot be imported. `round` says whether scores of several
/// scales may be rounded so that close ones change places.
pub fn lower(graph: &Graph, image: Image, round: bool, watch: Watch) -> Result<Lowered, Failure> {
    let mut state = State::new(graph);
    let entry = image.stream(&mut state.builder).map_err(Failure::File)?;
    state.values.insert(graph.input.name.clone(), Value::Stream(entry));
    for (name, constant) in &graph.constants {
        state.values.insert(name.clone(), Value::Constant(constant.clone()));
    }
    let mut refused = vec![];
    watch.begins(Part::Operators, graph.ops.len());
    for op in &graph.ops {
        watch.check().map_err(Failure::File)?;
        let mut value = Value::Refused;
        for (part, output) in op.outputs.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
            // Only the outputs of a Split differ.
            if part == 0 || op.kind == "Split" {
                value = state.node(op, part).unwrap_or_else(|reason| {
                    refused.push(op.refused(reason));
                    Value::Refused
                });
            }
            state.values.insert(output.clone(), value.clone());
        }
        watch.done();
    }
    if !refused.is_empty() {
        return Err(Failure::Nodes(refused));
    }
    let (name, stream) = match (state.scores.take(), state.values.get(&graph.output)) {
        (Some((name, stream)), Some(Value::Label { .. })) => (name, stream),
        (_, Some(Value::Stream(stream))) => (graph.output.clone(), stream.clone()),
        _ => return Err(Failure::File("output: expected scores of the image, found constants".into())),
    };
    let head = head::head(&mut state.builder, name, &stream, round).map_err(|reason| {
        let last = graph.ops.iter().rev().find(|op| op.outputs.contains(&graph.output));
        match last {
            Some(op) => Failure::Nodes(vec![op.refused(reason)]),
            None => Failure::File(reason),
        }
    })?;
    Ok(Lowered { builder: BuilderOf(state.builder), steps: state.steps, head, image })
}

/// Why a graph was not lowered.
pub enum Failure {
    /// Something of the whole file.
    File(String),
    /// These nodes.
    Nodes(Vec<NodeError>),
}

/// The work in progress.
struct State {
    builder: Builder,
    steps: Vec<Staircase>,
    values: HashMap<String, Value>,
    /// Name and stream of the scores, once a node that only ranks them was met.
    scores: Option<(String, Stream)>,
    /// Tensors that a quantizer makes and only a `Clip` reads, and what stands for 0 in them.
    clipped: HashMap<String, Option<i64>>,
    /// Name of the tensor that the last function before the output makes, where that leaves the order of
    /// scores.
    last: Option<String>,
    /// Nodes that only pad.
    pads: HashMap<usize, Padded>,
    /// Chains over a node that became Steps, so that two readers share one.
    made: Vec<(usize, Chain, Stream)>,
}

impl State {
    fn new(graph: &Graph) -> Self {
        State {
            builder: Builder::default(),
            steps: vec![],
            values: HashMap::new(),
            scores: None,
            clipped: ranking::clipped(graph),
            last: ranking::last(graph),
            pads: HashMap::new(),
            made: vec![],
        }
    }

    fn value(&self, op: &Op, i: usize) -> Option<&Value> {
        self.values.get(op.input(i)?)
    }

    /// Returns input `i`, where it is a constant.
    fn constant(&self, op: &Op, i: usize) -> Option<Constant> {
        match self.value(op, i) {
            Some(Value::Constant(constant)) => Some(constant.clone()),
            _ => None,
        }
    }

    /// Returns input `i`, where it depends on the image.
    fn stream(&self, op: &Op, i: usize) -> Result<&Stream, String> {
        match self.value(op, i) {
            Some(Value::Stream(stream)) => Ok(stream),
            _ => Err(format!("input {i}: expected values that depend on the image")),
        }
    }

    fn channels(&self, stream: &Stream) -> usize {
        self.builder.wire(stream.node).shape.channels
    }

    /// Makes the Step of a stream whose chain ends in a quantizer.
    fn quantized(&mut self, op: &Op, stream: (&Stream, Option<i64>)) -> Result<Value, String> {
        step::quantized(&mut self.builder, &mut self.steps, &op.name, stream).map(Value::Stream)
    }

    /// Lowers an operator to its output `part`.
    fn node(&mut self, op: &Op, part: usize) -> Result<Value, String> {
        let inputs: Vec<Option<&Value>> = (0..op.inputs.len()).map(|i| self.value(op, i)).collect();
        let is_last = self.last.as_deref() == op.outputs.first().map(String::as_str);
        if let Some(reason) = crate::support::refusal(op).filter(|_| !is_last) {
            return Err(reason);
        }
        // What cannot be imported was said of the node that made it.
        if inputs.iter().any(|v| matches!(v, Some(Value::Refused))) {
            return Ok(Value::Refused);
        }
        let constants: Vec<Option<Constant>> = (0..op.inputs.len()).map(|i| self.constant(op, i)).collect();
        let all = inputs.iter().all(|v| v.is_none() || matches!(v, Some(Value::Constant(_))));
        if all && let Some(squares) = fold::squares(op, &constants)? {
            let roots = fold::rational_roots(&squares);
            return Ok(roots.map_or(Value::Root(squares), Value::Constant));
        }
        if all && let Some(constant) = fold::fold(op, &constants)? {
            return Ok(Value::Constant(constant));
        }
        let label = inputs.iter().flatten().find_map(|v| match v {
            Value::Label { rounded } => Some(*rounded),
            _ => None,
        });
        if let Some(rounded) = label {
            return ranking::of_label(op, rounded);
        }
        let get = |i: usize| constants.get(i).cloned().flatten();
        if let Some(moved) = self.moved(op, &get, part)? {
            return Ok(moved);
        }
        match op.kind.as_str() {
            "Identity" | "Dropout" | "Cast" => self.passed(op),
            "Shape" => Ok(Value::Constant(fold::shape(op, &self.stream(op, 0)?.dims)?)),
            "Quant" | "IntQuant" | "BipolarQuant" | "QuantizeLinear" => self.quantizer(op, &get),
            "DequantizeLinear" => self.dequantizer(op, &get),
            "MultiThreshold" => self.multi_threshold(op, &get),
            "Trunc" => self.truncation(op, &get),
            "Conv" => self.conv(op, &get),
            "MatMul" | "Gemm" => self.dense(op, &get),
            "Concat" => self.concat(op),
            "Pad" => self.pad(op, &get),
            "MaxPool" | "GlobalMaxPool" => self.max_pool(op),
            "AveragePool" | "GlobalAveragePool" | "ReduceMean" => self.mean_pool(op, &get),
            "ArgMax" | "TopK" | "Softmax" | "LogSoftmax" | "Hardmax" | "Sigmoid" | "Tanh" => self.ranked(op),
            _ => self.elementwise(op, &get),
        }
    }

    /// Passes a stream on; a cast to whole numbers only where its values are whole already.
    fn passed(&self, op: &Op) -> Result<Value, String> {
        let stream = self.stream(op, 0)?;
        if op.kind == "Cast" {
            let element = crate::tensor::Element::of(op.int("to", 1) as i32)?;
            if element.limits().is_some() && !ends_whole(stream) {
                return Err("to: expected float32: a cast to whole numbers rounds (use a quantizer)".into());
            }
        }
        Ok(Value::Stream(stream.clone()))
    }
}

/// Returns whether a stream's values are levels and whole numbers added to them.
fn ends_whole(stream: &Stream) -> bool {
    let whole = |link: &crate::chain::Link| match link {
        crate::chain::Link::Add(a) => a.0.iter().all(num_rational::Ratio::is_integer),
        link => link.is_staircase(),
    };
    stream.chain.0.iter().all(whole)
}
