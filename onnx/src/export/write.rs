//! Collects the operators and constants of a graph.

use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, StringStringEntryProto, TensorAnnotation,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use dq_net::{Network, Range};

/// Domain of QONNX's operators.
pub const QONNX: &str = "qonnx.custom_op.general";
/// Codes of element types.
pub const FLOAT: i32 = 1;
const INT64: i32 = 7;
pub const DOUBLE: i32 = 11;

/// A graph being written.
pub struct Writer {
    graph: GraphProto,
}

/// A tensor that an operator makes.
pub struct Tensor {
    /// Name.
    pub name: String,
    /// Code of its elements' type.
    pub element: i32,
    /// Shape, with 1 as the batch.
    pub dims: Vec<usize>,
}

impl Writer {
    /// Begins the graph of `network` with its input and output.
    pub fn new(network: &Network) -> Self {
        let (height, width, channels) = network.input_shape().dim();
        let nodes = network.nodes();
        let last = nodes.last().map_or("", |node| node.name.as_str());
        let graph = GraphProto {
            name: network.name.clone(),
            input: vec![value(&nodes[0].name, FLOAT, &[1, channels, height, width])],
            output: vec![value(last, FLOAT, &[1, network.classes()])],
            ..Default::default()
        };
        Writer { graph }
    }

    /// Ends the graph.
    pub fn finish(self) -> GraphProto {
        self.graph
    }

    /// Adds an operator of ONNX that makes the tensor `output`, whose name it bears.
    pub fn op(&mut self, kind: &str, inputs: &[&str], output: &Tensor, attributes: Vec<AttributeProto>) {
        self.node(("", kind), inputs, output, attributes);
    }

    /// Adds an operator of QONNX.
    pub fn qonnx(&mut self, kind: &str, inputs: &[&str], output: &Tensor, attributes: Vec<AttributeProto>) {
        self.node((QONNX, kind), inputs, output, attributes);
    }

    fn node(
        &mut self,
        (domain, kind): (&str, &str),
        inputs: &[&str],
        output: &Tensor,
        attribute: Vec<AttributeProto>,
    ) {
        let Tensor { name, element, dims } = output;
        if self.graph.output.iter().all(|last| last.name != *name) {
            self.graph.value_info.push(value(name, *element, dims));
        }
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: kind.into(),
            domain: domain.into(),
            attribute,
        });
    }

    /// Adds a constant of float32 and returns its name.
    pub fn floats(&mut self, name: String, dims: &[usize], values: impl Iterator<Item = f32>) -> String {
        let bytes = values.flat_map(f32::to_le_bytes).collect();
        self.constant(name, FLOAT, dims, bytes)
    }

    /// Adds a constant of float64 and returns its name.
    pub fn doubles(&mut self, name: String, dims: &[usize], values: impl Iterator<Item = f64>) -> String {
        let bytes = values.flat_map(f64::to_le_bytes).collect();
        self.constant(name, DOUBLE, dims, bytes)
    }

    /// Adds a vector of int64 and returns its name.
    pub fn integers(&mut self, name: String, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, INT64, &[values.len()], bytes)
    }

    fn constant(&mut self, name: String, data_type: i32, dims: &[usize], raw_data: Vec<u8>) -> String {
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.graph.initializer.push(TensorProto {
            dims,
            data_type,
            name: name.clone(),
            raw_data,
            ..Default::default()
        });
        name
    }

    /// Notes the data type of a tensor.
    pub fn annotate(&mut self, tensor: &str, datatype: String) {
        let note = StringStringEntryProto { key: "finn_datatype".into(), value: datatype };
        self.graph
            .quantization_annotation
            .push(TensorAnnotation { tensor_name: tensor.into(), quant_parameter_tensor_names: vec![note] });
    }
}

/// Returns FINN's name of the narrowest type that holds a range.
pub fn datatype(range: Range) -> String {
    format!("{}{}", if range.signed() { "INT" } else { "UINT" }, range.bits())
}

/// Returns FINN's name of the type of weights.
pub fn weight_type(bits: u8) -> String {
    if bits == 1 { "BIPOLAR".into() } else { format!("INT{bits}") }
}

/// Makes an attribute of one integer.
pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: 2, ..Default::default() }
}

/// Makes an attribute of several integers.
pub fn ints(name: &str, ints: &[usize]) -> AttributeProto {
    let ints = ints.iter().map(|&i| i as i64).collect();
    AttributeProto { name: name.into(), ints, r#type: 7, ..Default::default() }
}

/// Makes an attribute of one number.
pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f, r#type: 1, ..Default::default() }
}

/// Makes an attribute of text.
pub fn text(name: &str, text: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: text.into(), r#type: 3, ..Default::default() }
}

/// Returns name, type and shape of a tensor.
fn value(name: &str, elem_type: i32, dims: &[usize]) -> ValueInfoProto {
    let dim = dims.iter().map(|&d| DimensionProto { dim_value: Some(d as i64), dim_param: None }).collect();
    let tensor = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
