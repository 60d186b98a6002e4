//! Lowers a graph to the integer network: each tensor is a chain of exact functions over a wire, and a
//! quantizer ends a chain in a Step.

mod arithmetic;
mod builder;
mod entry;
mod head;
mod linear;
mod pool;
mod residual;
mod step;
mod stream;

pub use arithmetic::{clip_bounds, threshold_axis};
pub use entry::{Image, Normalization};
pub use head::Head;
pub use step::Staircase;

use crate::error::NodeError;
use crate::fold;
use crate::graph::{Graph, Op};
use crate::tensor::{Constant, transposed};
use crate::watch::{Part, Watch};
use builder::Builder;
use std::collections::HashMap;
use std::sync::Arc;
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
    Label,
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

/// Lowers a graph; the error lists all nodes that cannot be imported.
pub fn lower(graph: &Graph, image: Image, watch: Watch) -> Result<Lowered, Failure> {
    let mut state =
        State { builder: Builder::default(), steps: vec![], values: HashMap::new(), scores: None };
    let entry = image.stream(&mut state.builder).map_err(Failure::File)?;
    state.values.insert(graph.input.name.clone(), Value::Stream(entry));
    for (name, constant) in &graph.constants {
        state.values.insert(name.clone(), Value::Constant(constant.clone()));
    }
    let mut refused = vec![];
    watch.begins(Part::Operators, graph.ops.len());
    for op in &graph.ops {
        watch.check().map_err(Failure::File)?;
        let value = state.node(op).unwrap_or_else(|reason| {
            refused.push(op.refused(reason));
            Value::Refused
        });
        for output in op.outputs.iter().filter(|o| !o.is_empty()) {
            state.values.insert(output.clone(), value.clone());
        }
        watch.done();
    }
    if !refused.is_empty() {
        return Err(Failure::Nodes(refused));
    }
    let (name, stream) = match (state.scores.take(), state.values.get(&graph.output)) {
        (Some((name, stream)), Some(Value::Label)) => (name, stream),
        (_, Some(Value::Stream(stream))) => (graph.output.clone(), stream.clone()),
        _ => return Err(Failure::File("output: expected scores of the image, found constants".into())),
    };
    let head = head::head(&mut state.builder, name, &stream).map_err(|reason| {
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
}

impl State {
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
    fn quantized(&mut self, op: &Op, stream: &Stream) -> Result<Value, String> {
        step::quantized(&mut self.builder, &mut self.steps, &op.name, stream).map(Value::Stream)
    }

    fn node(&mut self, op: &Op) -> Result<Value, String> {
        let inputs: Vec<Option<&Value>> = (0..op.inputs.len()).map(|i| self.value(op, i)).collect();
        if let Some(reason) = crate::support::refusal(op) {
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
        if inputs.iter().any(|v| matches!(v, Some(Value::Label))) {
            return match op.kind.as_str() {
                "Identity" | "Cast" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" | "ArgMax" | "TopK" => {
                    Ok(Value::Label)
                }
                _ => {
                    Err("expected no arithmetic on labels or probabilities: choose the scores with --output-tensor"
                        .into())
                }
            };
        }
        let get = |i: usize| constants.get(i).cloned().flatten();
        match op.kind.as_str() {
            "Identity" | "Dropout" | "Cast" => self.passed(op),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
                let stream = self.stream(op, 0)?;
                Ok(Value::Stream(stream.reshaped(fold::new_shape(op, &stream.dims, &get)?)))
            }
            "Transpose" => {
                let stream = self.stream(op, 0)?;
                let (dims, positions) = transposed(&stream.dims, &fold::order(op, stream.dims.len())?);
                let place = Arc::new(positions.iter().map(|&p| stream.place[p]).collect());
                Ok(Value::Stream(Stream { dims, place, ..stream.clone() }))
            }
            "Shape" => Ok(Value::Constant(fold::shape(op, &self.stream(op, 0)?.dims)?)),
            "Quant" | "IntQuant" | "BipolarQuant" | "QuantizeLinear" => self.quantizer(op, &get),
            "DequantizeLinear" => self.dequantizer(op, &get),
            "MultiThreshold" => self.multi_threshold(op, &get),
            "Trunc" => self.truncation(op, &get),
            "Conv" => self.conv(op, &get),
            "MatMul" | "Gemm" => self.dense(op, &get),
            "MaxPool" => self.max_pool(op),
            "AveragePool" | "GlobalAveragePool" | "ReduceMean" => self.mean_pool(op, &get),
            "ArgMax" | "TopK" | "Softmax" | "LogSoftmax" | "Hardmax" => {
                let stream = self.stream(op, 0)?.clone();
                if op.int("select_last_index", 0) != 0 || op.int("largest", 1) == 0 {
                    return Err("expected the largest score, the first on ties".into());
                }
                self.scores = Some((op.inputs[0].clone(), stream));
                Ok(Value::Label)
            }
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
