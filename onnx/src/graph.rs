//! Defines the checked graph: constants read, nodes that the output needs in topological order, and typed
//! access to attributes.

use crate::error::{NodeError, shown};
use crate::load;
use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use crate::tensor::{Constant, Element};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// One operator of the graph.
#[derive(Clone, Debug)]
pub struct Op {
    /// Name, for messages and for the network's nodes.
    pub name: String,
    /// Operator.
    pub kind: String,
    /// Domain of the operator.
    pub domain: String,
    /// Names of the tensors that it reads; an empty one is left out.
    pub inputs: Vec<String>,
    /// Names of the tensors that it makes.
    pub outputs: Vec<String>,
    attributes: HashMap<String, AttributeProto>,
}

impl Op {
    /// Makes an operator of ONNX's own domain.
    pub fn new(name: &str, kind: &str, inputs: &[&str], output: &str) -> Self {
        Op {
            name: name.into(),
            kind: kind.into(),
            domain: String::new(),
            inputs: inputs.iter().map(|&s| s.into()).collect(),
            outputs: vec![output.into()],
            attributes: HashMap::new(),
        }
    }

    fn read(node: &NodeProto) -> Self {
        let first = node.output.iter().find(|o| !o.is_empty());
        let name = if node.name.is_empty() { first.cloned().unwrap_or_default() } else { node.name.clone() };
        let mut inputs = node.input.clone();
        // The input's bit width plays no part in the form with six inputs; exporters compute it by
        // logarithms.
        if node.op_type == "Trunc" && inputs.len() == 6 {
            inputs[3].clear();
        }
        Op {
            name,
            kind: node.op_type.clone(),
            domain: if node.domain == "ai.onnx" { String::new() } else { node.domain.clone() },
            inputs,
            outputs: node.output.clone(),
            attributes: node.attribute.iter().map(|a| (a.name.clone(), a.clone())).collect(),
        }
    }

    /// Returns the operator with the attributes of another.
    pub fn with_attributes(mut self, other: &Op) -> Self {
        self.attributes.clone_from(&other.attributes);
        self
    }

    /// Returns the operator with one more attribute.
    pub fn with_int(mut self, name: &str, value: i64) -> Self {
        let attribute = AttributeProto { name: name.into(), i: value, r#type: 2, ..Default::default() };
        self.attributes.insert(name.into(), attribute);
        self
    }

    /// Returns the operator with one more attribute, a list.
    pub fn with_ints(mut self, name: &str, values: &[i64]) -> Self {
        let attribute =
            AttributeProto { name: name.into(), ints: values.to_vec(), r#type: 7, ..Default::default() };
        self.attributes.insert(name.into(), attribute);
        self
    }

    /// Returns the error that this node cannot be imported for `reason`.
    pub fn refused(&self, reason: impl Into<String>) -> NodeError {
        NodeError {
            node: self.name.clone(),
            operator: self.kind.clone(),
            domain: self.domain.clone(),
            reason: reason.into(),
        }
    }

    /// Returns the name of input `i`; `None` where it is left out.
    pub fn input(&self, i: usize) -> Option<&str> {
        self.inputs.get(i).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Returns an attribute.
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attributes.get(name)
    }

    /// Returns an attribute that is a whole number.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    /// Returns an attribute that is a number.
    pub fn float(&self, name: &str, default: f32) -> Result<crate::number::Q, String> {
        let value = self.attribute(name).map_or(default, |a| a.f);
        crate::number::of_f32(value).ok_or_else(|| format!("{name}: expected a finite number, found {value}"))
    }

    /// Returns an attribute that is a list of whole numbers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    /// Returns an attribute that is a text.
    pub fn text(&self, name: &str, default: &str) -> String {
        match self.attribute(name) {
            Some(a) => String::from_utf8_lossy(&a.s).into_owned(),
            None => default.into(),
        }
    }

    /// Returns a list of sizes, one per spatial axis: `default` where the attribute is not there.
    pub fn sizes(&self, name: &str, count: usize, default: usize) -> Result<Vec<usize>, String> {
        let Some(ints) = self.ints(name) else { return Ok(vec![default; count]) };
        let sizes: Option<Vec<usize>> =
            ints.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v < 1 << 20)).collect();
        match sizes {
            Some(sizes) if sizes.len() == count => Ok(sizes),
            _ => Err(format!("{name}: expected {count} sizes of at least 0, found {ints:?}")),
        }
    }
}

/// The graph's input.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name of the tensor.
    pub name: String,
    /// Shape, with 1 as the batch.
    pub dims: Vec<usize>,
    /// Type of an element.
    pub element: Element,
    /// FINN's data type of it, such as `UINT8`.
    pub datatype: Option<String>,
}

/// A checked graph.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Operators that the output needs, in topological order.
    pub ops: Vec<Op>,
    /// Constants by name.
    pub constants: HashMap<String, Constant>,
    /// The input.
    pub input: Entry,
    /// Name of the output.
    pub output: String,
    /// Version of ONNX's own operators.
    pub opset: i64,
}

impl Graph {
    /// Checks a file's graph. `output` chooses one of several outputs; files with the data of constants lie
    /// in `folder`.
    pub fn read(model: &ModelProto, folder: &Path, output: Option<&str>) -> Result<Self, String> {
        let graph = model.graph.as_ref().ok_or("not an ONNX model: expected a graph")?;
        if model.opset_import.is_empty() {
            return Err("not a whole ONNX model: expected `opset_import`".into());
        }
        let output = chosen_output(graph, output)?;
        let ops = needed(graph.node.iter().map(Op::read).collect(), &output)?;
        let mut read: HashSet<&str> =
            ops.iter().flat_map(|op| op.inputs.iter()).map(String::as_str).collect();
        read.insert(&output);
        let mut constants = HashMap::new();
        for tensor in graph.initializer.iter().filter(|t| read.contains(t.name.as_str())) {
            constants.insert(tensor.name.clone(), load::constant(tensor, folder)?);
        }
        for op in ops.iter().filter(|op| op.kind == "Constant") {
            let output = op.outputs.first().cloned().unwrap_or_default();
            constants.insert(output, constant_node(op, folder)?);
        }
        let entries: Vec<&ValueInfoProto> = graph
            .input
            .iter()
            .filter(|i| read.contains(i.name.as_str()) && !constants.contains_key(&i.name))
            .collect();
        let [entry] = entries[..] else {
            let names: Vec<String> = entries.iter().take(5).map(|i| shown(&i.name)).collect();
            return Err(format!(
                "inputs: expected one that the output needs, found {}: {names:?}",
                entries.len()
            ));
        };
        let input = read_entry(graph, entry)?;
        check_names(&ops, &constants, &input.name)?;
        let own = |o: &&crate::proto::OperatorSetIdProto| o.domain.is_empty() || o.domain == "ai.onnx";
        let opset = model.opset_import.iter().find(own).map_or(13, |o| o.version);
        let ops = ops.into_iter().filter(|op| op.kind != "Constant").collect();
        Ok(Graph { ops, constants, input, output, opset })
    }
}

/// Returns the outputs, without those that are constants where others depend on the image: exporters give
/// scales and bit widths of the last quantizer beside its values.
fn outputs(graph: &GraphProto) -> Vec<&str> {
    let names = graph.output.iter().map(|o| o.name.as_str());
    if graph.output.len() < 2 {
        return names.collect();
    }
    let constant: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let mut readers: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
    for node in &graph.node {
        for input in &node.input {
            readers.entry(input).or_default().push(node);
        }
    }
    let inputs = graph.input.iter().map(|i| i.name.as_str());
    let mut open: Vec<&str> = inputs.filter(|i| !constant.contains(i)).collect();
    let mut moving: HashSet<&str> = open.iter().copied().collect();
    while let Some(name) = open.pop() {
        let made = readers.get(name).into_iter().flatten().flat_map(|node| &node.output);
        open.extend(made.map(String::as_str).filter(|o| !o.is_empty() && moving.insert(o)));
    }
    let (of_image, rest): (Vec<&str>, Vec<&str>) = names.partition(|name| moving.contains(name));
    if of_image.is_empty() { rest } else { of_image }
}

fn chosen_output(graph: &GraphProto, wanted: Option<&str>) -> Result<String, String> {
    let names = outputs(graph);
    let list = || names.iter().take(10).map(|n| format!("`{}`", shown(n))).collect::<Vec<_>>().join(", ");
    match (wanted, &names[..]) {
        (Some(wanted), _) if names.contains(&wanted) => Ok(wanted.into()),
        (Some(wanted), _) => {
            Err(format!("--output-tensor: expected one of {}, found `{}`", list(), shown(wanted)))
        }
        (None, [name]) => Ok((*name).into()),
        (None, []) => Err("outputs: expected one, found none".into()),
        (None, _) => Err(format!("outputs: expected one, found {}: choose with --output-tensor", list())),
    }
}

/// Returns the operators that `output` needs, in topological order.
fn needed(ops: Vec<Op>, output: &str) -> Result<Vec<Op>, String> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (i, op) in ops.iter().enumerate() {
        for name in op.outputs.iter().filter(|o| !o.is_empty()) {
            if maker.insert(name, i).is_some() {
                return Err(format!("tensor `{}`: expected one node that makes it, found two", shown(name)));
            }
        }
    }
    // Depth first, without recursion: a node is entered, then left after all that it reads.
    let (mut order, mut entered, mut left) = (vec![], vec![false; ops.len()], vec![false; ops.len()]);
    let mut stack: Vec<(usize, bool)> = maker.get(output).map(|&i| (i, false)).into_iter().collect();
    while let Some((i, leaving)) = stack.pop() {
        if leaving {
            left[i] = true;
            order.push(i);
            continue;
        }
        if entered[i] {
            if !left[i] {
                return Err(format!("node `{}`: expected no cycle, found one", shown(&ops[i].name)));
            }
            continue;
        }
        entered[i] = true;
        stack.push((i, true));
        let sources: Vec<usize> =
            ops[i].inputs.iter().filter_map(|n| maker.get(n.as_str()).copied()).collect();
        if let Some(&s) = sources.iter().find(|&&s| entered[s] && !left[s]) {
            return Err(format!("node `{}`: expected no cycle, found one", shown(&ops[s].name)));
        }
        stack.extend(sources.into_iter().rev().filter(|&s| !left[s]).map(|s| (s, false)));
    }
    let mut ops: Vec<Option<Op>> = ops.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|i| ops[i].take()).collect())
}

/// Checks that every tensor that is read is made or given.
fn check_names(ops: &[Op], constants: &HashMap<String, Constant>, input: &str) -> Result<(), String> {
    let made: HashSet<&str> = ops.iter().flat_map(|op| &op.outputs).map(String::as_str).collect();
    for op in ops {
        for name in op.inputs.iter().filter(|n| !n.is_empty()) {
            if !(made.contains(name.as_str()) || constants.contains_key(name) || name == input) {
                let (node, name) = (shown(&op.name), shown(name));
                return Err(format!("node `{node}`: expected a tensor of the graph, found `{name}`"));
            }
        }
    }
    Ok(())
}

fn constant_node(op: &Op, folder: &Path) -> Result<Constant, String> {
    let named = |reason: String| format!("node `{}` (Constant): {reason}", shown(&op.name));
    let int = |dims, values| Ok(Constant::ints(dims, values));
    let float = |dims, values: &[f32]| {
        let exact = values.iter().map(|&v| crate::number::of_f32(v)).collect::<Option<Vec<_>>>();
        let values = exact.ok_or_else(|| named("expected finite numbers".into()))?;
        Ok(Constant::exact(dims, values))
    };
    if let Some(tensor) = op.attribute("value").and_then(|a| a.t.as_ref()) {
        return load::constant(tensor, folder).map_err(named);
    }
    if let Some(a) = op.attribute("value_float") {
        return float(vec![], &[a.f]);
    }
    if let Some(a) = op.attribute("value_floats") {
        return float(vec![a.floats.len()], &a.floats);
    }
    if let Some(a) = op.attribute("value_int") {
        return int(vec![], vec![a.i]);
    }
    if let Some(a) = op.attribute("value_ints") {
        return int(vec![a.ints.len()], a.ints.clone());
    }
    Err(named("expected a `value` of numbers".into()))
}

fn read_entry(graph: &GraphProto, entry: &ValueInfoProto) -> Result<Entry, String> {
    let named = |reason: String| format!("input `{}`: {reason}", shown(&entry.name));
    let tensor = entry.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| named("expected a tensor".into()))?;
    let shape = tensor.shape.as_ref().ok_or_else(|| named("expected a shape".into()))?;
    let mut dims = vec![];
    for (axis, dim) in shape.dim.iter().enumerate() {
        let size = dim.dim_value.and_then(|v| usize::try_from(v).ok()).filter(|&v| v > 0);
        dims.push(match (axis, size) {
            (0, _) => 1,
            (_, Some(size)) => size,
            _ => {
                return Err(named(format!(
                    "axis {axis}: expected a fixed size (export with a fixed image size)"
                )));
            }
        });
    }
    let len = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= 1 << 26);
    if dims.len() < 2 || len.is_none() {
        return Err(named("shape: expected batch, channels, height and width, at most 2^26 pixels".into()));
    }
    let element = Element::of(tensor.elem_type).map_err(named)?;
    let noted = graph.quantization_annotation.iter().find(|a| a.tensor_name == entry.name);
    let datatype =
        noted.and_then(|a| a.quant_parameter_tensor_names.iter().find(|e| e.key == "finn_datatype"));
    Ok(Entry { name: entry.name.clone(), dims, element, datatype: datatype.map(|e| e.value.clone()) })
}
