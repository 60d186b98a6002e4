//! Builds small ONNX files.

use dq_onnx::proto::*;
use dq_onnx::{Import, ImportError, Options};
use prost::Message;
use std::cell::RefCell;

/// A graph under construction.
#[derive(Default)]
pub struct Builder {
    pub graph: GraphProto,
    count: usize,
}

/// An attribute.
pub enum Attr<'a> {
    Int(i64),
    Float(f32),
    Ints(&'a [i64]),
    Text(&'a str),
}

pub fn attribute(name: &str, value: &Attr) -> AttributeProto {
    let mut attribute = AttributeProto { name: name.into(), ..Default::default() };
    match value {
        Attr::Int(i) => (attribute.i, attribute.r#type) = (*i, 2),
        Attr::Float(f) => (attribute.f, attribute.r#type) = (*f, 1),
        Attr::Ints(ints) => (attribute.ints, attribute.r#type) = (ints.to_vec(), 7),
        Attr::Text(s) => (attribute.s, attribute.r#type) = (s.as_bytes().to_vec(), 3),
    }
    attribute
}

pub fn value(name: &str, element: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|&d| DimensionProto { dim_value: Some(d), dim_param: None }).collect();
    let tensor_type = Some(TensorTypeProto { elem_type: element, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

impl Builder {
    /// Begins a graph that reads `x`.
    pub fn new(element: i32, dims: &[i64]) -> Self {
        let mut builder = Builder::default();
        builder.graph.input.push(value("x", element, dims));
        builder
    }

    /// Adds a constant of float32.
    pub fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        let name = self.name("c");
        self.graph.initializer.push(TensorProto {
            dims: dims.to_vec(),
            data_type: 1,
            float_data: values.to_vec(),
            name: name.clone(),
            ..Default::default()
        });
        name
    }

    /// Adds one float32.
    pub fn float(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }

    /// Adds a constant of whole numbers: 2 uint8, 3 int8, 6 int32, 7 int64.
    pub fn ints(&mut self, element: i32, dims: &[i64], values: &[i64]) -> String {
        let name = self.name("c");
        let mut tensor =
            TensorProto { dims: dims.to_vec(), data_type: element, name: name.clone(), ..Default::default() };
        if element == 7 {
            tensor.int64_data = values.to_vec();
        } else {
            tensor.int32_data = values.iter().map(|&v| v as i32).collect();
        }
        self.graph.initializer.push(tensor);
        name
    }

    fn name(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    /// Adds a node and returns the name of its output. `kind` may carry a domain: `domain:Kind`.
    pub fn node(&mut self, kind: &str, inputs: &[&str], attributes: &[(&str, Attr)]) -> String {
        let (domain, kind) = kind.split_once(':').unwrap_or(("", kind));
        let output = self.name("t");
        let name = self.name(kind);
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&s| s.into()).collect(),
            output: vec![output.clone()],
            name,
            op_type: kind.into(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            domain: domain.into(),
        });
        output
    }

    /// Adds QONNX's quantizer of one scale.
    pub fn quant(&mut self, x: &str, scale: f32, bits: u8, signed: bool) -> String {
        let (s, z, b) = (self.float(scale), self.float(0.0), self.float(bits.into()));
        let attributes = [
            ("signed", Attr::Int(signed.into())),
            ("narrow", Attr::Int(0)),
            ("rounding_mode", Attr::Text("ROUND")),
        ];
        self.node("qonnx.custom_op.general:Quant", &[x, &s, &z, &b], &attributes)
    }

    /// Ends the graph and returns the file's bytes.
    pub fn bytes(&self, output: &str) -> Vec<u8> {
        let mut graph = self.graph.clone();
        graph.output.push(value(output, 1, &[]));
        bytes(graph)
    }

    /// Imports the graph up to `output`.
    pub fn import(&self, output: &str) -> Result<Import, ImportError> {
        import(&self.bytes(output), &Options::default())
    }
}

pub fn bytes(graph: GraphProto) -> Vec<u8> {
    let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
    ModelProto { ir_version: 8, graph: Some(graph), opset_import: vec![opset], ..Default::default() }
        .encode_to_vec()
}

/// Imports a file of these bytes.
pub fn import(bytes: &[u8], options: &Options) -> Result<Import, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, bytes).unwrap();
    let imported = dq_onnx::import(&path, options);
    let as_it_is =
        options.normalization.reading.is_none() && options.output.is_none() && !options.round_scores;
    if imported.is_ok() && as_it_is {
        RECORDED.with_borrow_mut(|recorded| recorded.push(bytes.to_vec()));
    }
    imported
}

thread_local! {
    static RECORDED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(vec![]) };
}

/// Runs a test and returns the files that it imported.
pub fn recorded(test: fn()) -> Vec<Vec<u8>> {
    RECORDED.take();
    test();
    RECORDED.take()
}

/// Numbers from 0 on that look random.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % n as u64) as usize
    }

    pub fn float(&mut self) -> f32 {
        self.below(2001) as f32 / 1000.0 - 1.0
    }

    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}
