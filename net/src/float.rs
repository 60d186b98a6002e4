//! Float networks: the paper's float column, partly quantized networks ("A only") and substitutes for transfer
//! attacks. The same graph and file family as the integer network, never accepted where hardware is meant.

use crate::error::{Fault, FileError, NetworkError};
use crate::file::{FORMAT_VERSION, checksum};
use crate::layer::window::{Axis, output_shape};
use crate::pack::PackedFloats;
use crate::provenance::Provenance;
use crate::{atomic, file::AnyNetwork, file::read_any, graph, shape::Shape};
use ndarray::{Array2, Array3, Array4, ArrayView3};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `format` of a float network's file.
pub(crate) const FORMAT: &str = "dq-float-network";

/// One layer of a float network. Values are real: a pixel is `uint8 / 255`.
#[derive(Clone, Debug, PartialEq)]
pub enum FloatLayer {
    /// The image.
    Input {
        /// Shape of the image.
        shape: Shape,
    },
    /// Convolution without bias, padded with 0.
    Conv {
        /// Output channel × kernel row × kernel column × input channel of the group.
        weights: Array4<f32>,
        /// Strides: rows, columns.
        stride: [usize; 2],
        /// Padding: top, bottom, left, right.
        pad: [usize; 4],
        /// Groups.
        groups: usize,
    },
    /// Fully connected, over the feature map in stream order.
    Dense {
        /// Output × input element.
        weights: Array2<f32>,
    },
    /// `clip(scale·x + bias, 0, ceiling)`, then uniform levels where `bits` is given.
    Activation {
        /// Gain a channel (batch normalization folded).
        scale: Vec<f32>,
        /// Bias a channel.
        bias: Vec<f32>,
        /// 6 for ReLU6.
        ceiling: f32,
        /// Rounds (half to even) to `2^bits − 1` steps of `ceiling`.
        bits: Option<u8>,
    },
    /// Largest value of each window.
    MaxPool {
        /// Window: rows, columns.
        window: [usize; 2],
        /// Strides: rows, columns.
        stride: [usize; 2],
    },
    /// Mean of each channel.
    GlobalMean,
    /// `x + bias`.
    Logits {
        /// Bias a class.
        bias: Vec<f32>,
    },
}

/// One node of a float network.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNode {
    /// Name.
    pub name: String,
    /// What it computes.
    pub layer: FloatLayer,
    /// Names of earlier nodes.
    pub inputs: Vec<String>,
}

/// A float network that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatNetwork {
    /// Name of the network.
    pub name: String,
    /// How it was made.
    pub provenance: Provenance,
    nodes: Vec<FloatNode>,
    sources: Vec<Vec<usize>>,
    shapes: Vec<Shape>,
}

impl FloatNetwork {
    /// The only door: checks names, graph, fields and shapes.
    pub fn new(name: impl Into<String>, nodes: Vec<FloatNode>) -> Result<Self, NetworkError> {
        let sources = graph::resolve(nodes.iter().map(|n| (n.name.as_str(), n.inputs.as_slice())))?;
        let mut shapes: Vec<Shape> = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            let at = |fault| NetworkError::at(&node.name, fault);
            let wanted = usize::from(i > 0);
            if sources[i].len() != wanted {
                return Err(at(Fault::new("inputs", format!("{wanted} of them"), sources[i].len())));
            }
            if matches!(node.layer, FloatLayer::Input { .. }) != (i == 0)
                || matches!(node.layer, FloatLayer::Logits { .. }) != (i + 1 == nodes.len())
            {
                return Err(at(Fault::new(
                    "kind",
                    "the input first, the logits last, only there",
                    "another place",
                )));
            }
            let input = sources[i].first().map_or(Shape::new(1, 1, 1), |&s| shapes[s]);
            shapes.push(output(&node.layer, input).map_err(at)?);
        }
        Ok(Self { name: name.into(), provenance: Provenance::default(), nodes, sources, shapes })
    }

    /// Nodes in topological order.
    pub fn nodes(&self) -> &[FloatNode] {
        &self.nodes
    }

    /// Positions of the nodes that node `i` reads.
    pub fn sources(&self, i: usize) -> &[usize] {
        &self.sources[i]
    }

    /// Shape of node `i`'s output.
    pub fn shape(&self, i: usize) -> Shape {
        self.shapes[i]
    }

    /// Shape of the image.
    pub fn input_shape(&self) -> Shape {
        self.shapes[0]
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.shapes.last().expect("checked: not empty").channels
    }

    /// The reference: logits of one image, in f64 plain loops.
    pub fn eval(&self, image: ArrayView3<u8>) -> Vec<f64> {
        assert_eq!(image.dim(), self.input_shape().dim(), "image shape");
        let mut outputs: Vec<Array3<f64>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let value = match self.sources[i].first() {
                None => image.mapv(|p| f64::from(p) / 255.0),
                Some(&s) => eval(&node.layer, outputs[s].view(), self.shapes[i]),
            };
            outputs.push(value);
        }
        outputs.pop().expect("checked: not empty").into_iter().collect()
    }
}

/// Round half to even, as libtorch rounds.
pub(crate) fn quantize(x: f64, ceiling: f64, bits: u8) -> f64 {
    let steps = f64::from((1u32 << bits) - 1);
    (x * steps / ceiling).round_ties_even() * ceiling / steps
}

fn axes(kernel: [usize; 2], stride: [usize; 2], pad: [usize; 4]) -> (Axis, Axis) {
    (
        Axis { kernel: kernel[0], stride: stride[0], before: pad[0], after: pad[1] },
        Axis { kernel: kernel[1], stride: stride[1], before: pad[2], after: pad[3] },
    )
}

fn output(layer: &FloatLayer, input: Shape) -> Result<Shape, Fault> {
    let finite = |field: &str, mut values: Box<dyn Iterator<Item = &f32> + '_>| match values
        .find(|v| !v.is_finite())
    {
        Some(v) => Err(Fault::new(field, "finite numbers", v)),
        None => Ok(()),
    };
    let count = |field: &str, wanted: usize, found: usize| {
        if wanted == found { Ok(()) } else { Err(Fault::new(field, format!("{wanted}"), found)) }
    };
    match layer {
        FloatLayer::Input { shape } => {
            shape.checked_len().map(|_| *shape).ok_or_else(|| Fault::new("shape", "1 to 2^26 pixels", shape))
        }
        FloatLayer::Conv { weights, stride, pad, groups } => {
            let (outputs, rows, columns, per_group) = weights.dim();
            if weights.is_empty() || *groups == 0 || outputs % groups != 0 {
                return Err(Fault::new("groups", "a divisor of its outputs", groups));
            }
            count("weights", input.channels, per_group * groups)?;
            finite("weights", Box::new(weights.iter()))?;
            let (rows, columns) = axes([rows, columns], *stride, *pad);
            output_shape(input, rows, columns, outputs)
        }
        FloatLayer::Dense { weights } => {
            count("weights", input.len(), weights.dim().1)?;
            finite("weights", Box::new(weights.iter()))?;
            if weights.is_empty() {
                return Err(Fault::new("weights", "at least one weight", "none"));
            }
            Ok(Shape::new(1, 1, weights.dim().0))
        }
        FloatLayer::Activation { scale, bias, ceiling, bits } => {
            count("scale", input.channels, scale.len())?;
            count("bias", input.channels, bias.len())?;
            finite("scale", Box::new(scale.iter()))?;
            finite("bias", Box::new(bias.iter()))?;
            if !(ceiling.is_finite() && *ceiling > 0.0) {
                return Err(Fault::new("ceiling", "finite and above 0", ceiling));
            }
            match bits {
                Some(b) if !(1..=8).contains(b) => Err(Fault::new("bits", "1 to 8", b)),
                _ => Ok(input),
            }
        }
        FloatLayer::MaxPool { window, stride } => {
            let (rows, columns) = axes(*window, *stride, [0; 4]);
            output_shape(input, rows, columns, input.channels)
        }
        FloatLayer::GlobalMean => Ok(Shape::new(1, 1, input.channels)),
        FloatLayer::Logits { bias } => {
            if bias.len() < 2 || input != Shape::new(1, 1, bias.len()) {
                return Err(Fault::new("bias", format!("one a class (at least 2) for {input}"), bias.len()));
            }
            finite("bias", Box::new(bias.iter()))?;
            Ok(input)
        }
    }
}

fn eval(layer: &FloatLayer, x: ArrayView3<f64>, output: Shape) -> Array3<f64> {
    let (height, width, channels) = x.dim();
    match layer {
        FloatLayer::Input { .. } => unreachable!("checked: only the first node is the input"),
        FloatLayer::Conv { weights, stride, pad, groups } => {
            let (outputs, kernel_rows, kernel_columns, per_group) = weights.dim();
            let (rows, columns) = axes([kernel_rows, kernel_columns], *stride, *pad);
            Array3::from_shape_fn(output.dim(), |(oy, ox, o)| {
                let group = o / (outputs / groups);
                let mut acc = 0.0;
                for ky in 0..kernel_rows {
                    for kx in 0..kernel_columns {
                        let (Some(y), Some(c0)) = (rows.tap(oy, ky, height), columns.tap(ox, kx, width))
                        else {
                            continue;
                        };
                        for c in 0..per_group {
                            acc += f64::from(weights[[o, ky, kx, c]]) * x[[y, c0, group * per_group + c]];
                        }
                    }
                }
                acc
            })
        }
        FloatLayer::Dense { weights } => Array3::from_shape_fn(output.dim(), |(_, _, o)| {
            weights.row(o).iter().zip(x).map(|(&w, &v)| f64::from(w) * v).sum()
        }),
        FloatLayer::Activation { scale, bias, ceiling, bits } => {
            let ceiling = f64::from(*ceiling);
            Array3::from_shape_fn(output.dim(), |(y, c0, c)| {
                let z = (x[[y, c0, c]] * f64::from(scale[c]) + f64::from(bias[c])).clamp(0.0, ceiling);
                bits.map_or(z, |bits| quantize(z, ceiling, bits))
            })
        }
        FloatLayer::MaxPool { window, stride } => Array3::from_shape_fn(output.dim(), |(oy, ox, c)| {
            let taps = (0..window[0]).flat_map(|ky| (0..window[1]).map(move |kx| (ky, kx)));
            taps.map(|(ky, kx)| x[[oy * stride[0] + ky, ox * stride[1] + kx, c]]).fold(f64::MIN, f64::max)
        }),
        FloatLayer::GlobalMean => Array3::from_shape_fn((1, 1, channels), |(_, _, c)| {
            x.slice(ndarray::s![.., .., c]).sum() / (height * width) as f64
        }),
        FloatLayer::Logits { bias } => {
            Array3::from_shape_fn(x.dim(), |(y, c0, c)| x[[y, c0, c]] + f64::from(bias[c]))
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    format: String,
    version: u32,
    name: String,
    provenance: Provenance,
    nodes: Vec<NodeDocument>,
    pub(crate) checksum: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeDocument {
    name: String,
    inputs: Vec<String>,
    layer: LayerDocument,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum LayerDocument {
    Input { shape: Shape },
    Conv { weights: PackedFloats, stride: [usize; 2], pad: [usize; 4], groups: usize },
    Dense { weights: PackedFloats },
    Activation { scale: PackedFloats, bias: PackedFloats, ceiling: f32, bits: Option<u8> },
    MaxPool { window: [usize; 2], stride: [usize; 2] },
    GlobalMean {},
    Logits { bias: PackedFloats },
}

impl Document {
    pub(crate) fn without_checksum(&self) -> Self {
        Self {
            format: self.format.clone(),
            version: self.version,
            name: self.name.clone(),
            provenance: self.provenance.clone(),
            nodes: self.nodes.clone(),
            checksum: String::new(),
        }
    }

    pub(crate) fn into_network(self) -> Result<FloatNetwork, NetworkError> {
        let node = |node: NodeDocument| {
            let layer = to_layer(node.layer).map_err(|fault| NetworkError::at(&node.name, fault))?;
            Ok(FloatNode { name: node.name, layer, inputs: node.inputs })
        };
        let nodes = self.nodes.into_iter().map(node).collect::<Result<_, NetworkError>>()?;
        let mut network = FloatNetwork::new(self.name, nodes)?;
        network.provenance = self.provenance;
        Ok(network)
    }
}

/// Reads a float network. An integer network is refused.
pub fn read_float(path: &Path) -> Result<FloatNetwork, FileError> {
    match read_any(path)? {
        AnyNetwork::Float(network) => Ok(network),
        AnyNetwork::Integer(_) => Err(FileError::Field {
            path: path.into(),
            field: "format".into(),
            expected: format!("`{FORMAT}`"),
            found: "an integer network".into(),
        }),
    }
}

/// Writes `network` to `path`, whole or not at all.
pub fn write_float(network: &FloatNetwork, path: &Path) -> Result<(), FileError> {
    let mut document = Document {
        format: FORMAT.into(),
        version: FORMAT_VERSION,
        name: network.name.clone(),
        provenance: network.provenance.clone(),
        nodes: network.nodes.iter().map(to_document).collect(),
        checksum: String::new(),
    };
    document.checksum = checksum(&document);
    let mut text = serde_json::to_string_pretty(&document).expect("plain data");
    text.push('\n');
    atomic::write(path, text.as_bytes()).map_err(|source| FileError::Io {
        path: path.into(),
        action: "writing",
        source,
    })
}

fn to_document(node: &FloatNode) -> NodeDocument {
    let list = |values: &[f32]| PackedFloats::pack(&[values.len()], values.iter().copied());
    let layer = match &node.layer {
        FloatLayer::Input { shape } => LayerDocument::Input { shape: *shape },
        FloatLayer::Conv { weights, stride, pad, groups } => LayerDocument::Conv {
            weights: PackedFloats::pack(weights.shape(), weights.iter().copied()),
            stride: *stride,
            pad: *pad,
            groups: *groups,
        },
        FloatLayer::Dense { weights } => {
            LayerDocument::Dense { weights: PackedFloats::pack(weights.shape(), weights.iter().copied()) }
        }
        FloatLayer::Activation { scale, bias, ceiling, bits } => {
            LayerDocument::Activation { scale: list(scale), bias: list(bias), ceiling: *ceiling, bits: *bits }
        }
        FloatLayer::MaxPool { window, stride } => LayerDocument::MaxPool { window: *window, stride: *stride },
        FloatLayer::GlobalMean => LayerDocument::GlobalMean {},
        FloatLayer::Logits { bias } => LayerDocument::Logits { bias: list(bias) },
    };
    NodeDocument { name: node.name.clone(), inputs: node.inputs.clone(), layer }
}

fn to_layer(document: LayerDocument) -> Result<FloatLayer, Fault> {
    let list = |packed: PackedFloats, field: &str| Ok::<_, Fault>(packed.unpack(field, 1)?.1);
    Ok(match document {
        LayerDocument::Input { shape } => FloatLayer::Input { shape },
        LayerDocument::Conv { weights, stride, pad, groups } => {
            let (shape, values) = weights.unpack("weights", 4)?;
            let weights = Array4::from_shape_vec((shape[0], shape[1], shape[2], shape[3]), values);
            FloatLayer::Conv { weights: weights.expect("counted"), stride, pad, groups }
        }
        LayerDocument::Dense { weights } => {
            let (shape, values) = weights.unpack("weights", 2)?;
            let weights = Array2::from_shape_vec((shape[0], shape[1]), values).expect("counted");
            FloatLayer::Dense { weights }
        }
        LayerDocument::Activation { scale, bias, ceiling, bits } => {
            FloatLayer::Activation { scale: list(scale, "scale")?, bias: list(bias, "bias")?, ceiling, bits }
        }
        LayerDocument::MaxPool { window, stride } => FloatLayer::MaxPool { window, stride },
        LayerDocument::GlobalMean {} => FloatLayer::GlobalMean,
        LayerDocument::Logits { bias } => FloatLayer::Logits { bias: list(bias, "bias")? },
    })
}
