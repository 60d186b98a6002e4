//! Reads and writes the file of a float network, which is a `model.json` with another `format`.

use super::{FloatLayer, FloatNetwork, FloatNode};
use crate::error::{Fault, FileError, NetworkError};
use crate::file::{AnyNetwork, FORMAT_VERSION, checksum, read_any};
use crate::pack::PackedFloats;
use crate::provenance::Provenance;
use crate::{atomic, shape::Shape};
use ndarray::{Array2, Array4};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `format` of a float network's file.
pub(crate) const FORMAT: &str = "dq-float-network";

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
    Levels { scale: PackedFloats, bias: PackedFloats, points: PackedFloats, unit: f32 },
    Affine { scale: PackedFloats, bias: PackedFloats },
    Mix { a: f32, b: f32 },
    BitDepth { bits: u8 },
    Median {},
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
        FloatLayer::Levels { scale, bias, points, unit } => {
            LayerDocument::Levels { scale: list(scale), bias: list(bias), points: list(points), unit: *unit }
        }
        FloatLayer::Affine { scale, bias } => LayerDocument::Affine { scale: list(scale), bias: list(bias) },
        FloatLayer::Mix { a, b } => LayerDocument::Mix { a: *a, b: *b },
        FloatLayer::BitDepth { bits } => LayerDocument::BitDepth { bits: *bits },
        FloatLayer::Median => LayerDocument::Median {},
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
        LayerDocument::Levels { scale, bias, points, unit } => FloatLayer::Levels {
            scale: list(scale, "scale")?,
            bias: list(bias, "bias")?,
            points: list(points, "points")?,
            unit,
        },
        LayerDocument::Affine { scale, bias } => {
            FloatLayer::Affine { scale: list(scale, "scale")?, bias: list(bias, "bias")? }
        }
        LayerDocument::Mix { a, b } => FloatLayer::Mix { a, b },
        LayerDocument::BitDepth { bits } => FloatLayer::BitDepth { bits },
        LayerDocument::Median {} => FloatLayer::Median,
        LayerDocument::MaxPool { window, stride } => FloatLayer::MaxPool { window, stride },
        LayerDocument::GlobalMean {} => FloatLayer::GlobalMean,
        LayerDocument::Logits { bias } => FloatLayer::Logits { bias: list(bias, "bias")? },
    })
}
