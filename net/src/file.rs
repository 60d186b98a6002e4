//! `model.json`: one self-contained, versioned file with a checksum. Reading checks everything and names the node and
//! field that is wrong; writing is whole or not at all.

use crate::error::{Fault, FileError, NetworkError};
use crate::float::{self, FloatNetwork};
use crate::layer::{
    BitDepth, Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Median, Mix, Rescale, Step, SumPool,
    Surrogate,
};
use crate::network::{Network, Node};
use crate::pack::PackedInts;
use crate::provenance::{Proof, Provenance};
use crate::{atomic, read, shape::Shape};
use ndarray::{Array2, Array4};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Newest version of the file format. This program reads it and all before it.
pub const FORMAT_VERSION: u32 = 2;
/// `format` of an integer network's file.
const FORMAT: &str = "dq-network";
/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 28;

/// A network of either family.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyNetwork {
    /// The integer network: what hardware computes.
    Integer(Network),
    /// A float network: for comparison and as a substitute, never for hardware.
    Float(FloatNetwork),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    name: String,
    provenance: Provenance,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    nodes: Vec<NodeDocument>,
    checksum: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeDocument {
    name: String,
    inputs: Vec<String>,
    layer: LayerDocument,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum LayerDocument {
    Input { shape: Shape },
    Conv { weights: PackedInts, weight_bits: u8, stride: [usize; 2], pad: [usize; 4], groups: usize },
    Dense { weights: PackedInts, weight_bits: u8 },
    Step { bits: u8, dir: Vec<i8>, thresholds: PackedInts, surrogate: SurrogateDocument },
    MaxPool { window: [usize; 2], stride: [usize; 2] },
    SumPool { window: [usize; 2], stride: [usize; 2] },
    GlobalSum {},
    Mix { a: i32, b: i32, shift: u8, bits: u8 },
    Rescale { mul: Vec<i32>, add: Vec<i64>, shift: u8, bits: u8, unit: f64 },
    BitDepth { bits: u8 },
    Median {},
    Logits { bias: Vec<i32>, scale: f64 },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SurrogateDocument {
    gain: Vec<f64>,
    open_lo: Vec<i32>,
    open_hi: Vec<i32>,
    unit: f64,
}

/// Reads an integer network. A float network is refused.
pub fn read_network(path: &Path) -> Result<Network, FileError> {
    match read_any(path)? {
        AnyNetwork::Integer(network) => Ok(network),
        AnyNetwork::Float(_) => Err(FileError::Field {
            path: path.into(),
            field: "format".into(),
            expected: format!("`{FORMAT}` (an integer network: export with weight and activation bits)"),
            found: format!("`{}` (a float network)", float::FORMAT),
        }),
    }
}

/// Reads a network of either family.
pub fn read_any(path: &Path) -> Result<AnyNetwork, FileError> {
    let io = |source| FileError::Io { path: path.into(), action: "reading", source };
    let field = |field: &str, expected: String, found: String| FileError::Field {
        path: path.into(),
        field: field.into(),
        expected,
        found,
    };
    let text = read::text(path, MAX_BYTES).map_err(io)?;

    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let head: Head = parse(path, &text)?;
    if ![FORMAT, float::FORMAT].contains(&head.format.as_str()) {
        let known = format!("`{FORMAT}` or `{}`", float::FORMAT);
        return Err(field("format", known, format!("`{}`", head.format)));
    }
    if !(1..=FORMAT_VERSION).contains(&head.version) {
        let found = format!("{} (made by a newer program?)", head.version);
        return Err(field("version", format!("1 to {FORMAT_VERSION}"), found));
    }
    let network = |source| FileError::Network { path: path.into(), source };
    if head.format == float::FORMAT {
        let document: float::Document = parse(path, &text)?;
        check_checksum(path, &document.checksum, &document.without_checksum())?;
        return Ok(AnyNetwork::Float(document.into_network().map_err(network)?));
    }
    let mut document: Document = parse(path, &text)?;
    let checksum = std::mem::take(&mut document.checksum);
    check_checksum(path, &checksum, &document)?;
    Ok(AnyNetwork::Integer(to_network(document).map_err(network)?))
}

/// Writes `network` to `path`, whole or not at all.
pub fn write_network(network: &Network, path: &Path) -> Result<(), FileError> {
    atomic::write(path, to_json(network).as_bytes()).map_err(|source| FileError::Io {
        path: path.into(),
        action: "writing",
        source,
    })
}

/// The file's text: JSON, one line a node's field group, ending in a newline. Byte-stable.
pub fn to_json(network: &Network) -> String {
    let mut document = Document {
        format: FORMAT.into(),
        version: version_of(network),
        name: network.name.clone(),
        provenance: network.provenance.clone(),
        proof: network.proof.clone(),
        nodes: to_documents(network),
        checksum: String::new(),
    };
    document.checksum = checksum(&document);
    let mut text = serde_json::to_string_pretty(&document).expect("plain data");
    text.push('\n');
    text
}

/// The oldest version that has the network's kinds, so that older programs read what they can.
fn version_of(network: &Network) -> u32 {
    let new = |node: &Node| {
        matches!(node.layer, Layer::Mix(_) | Layer::Rescale(_) | Layer::BitDepth(_) | Layer::Median(_))
    };
    if network.nodes().iter().any(new) { FORMAT_VERSION } else { 1 }
}

/// SHA-256 (hex) of what the network computes: its nodes, without name, provenance and proof.
pub fn content_hash(network: &Network) -> String {
    hex(&Sha256::digest(serde_json::to_vec(&to_documents(network)).expect("plain data")))
}

/// SHA-256 over the document with an empty checksum, so that any edit shows.
pub(crate) fn checksum(document: &impl Serialize) -> String {
    format!("sha256:{}", hex(&Sha256::digest(serde_json::to_vec(document).expect("plain data"))))
}

fn check_checksum(path: &Path, written: &str, document: &impl Serialize) -> Result<(), FileError> {
    let computed = checksum(document);
    if computed == written {
        return Ok(());
    }
    Err(FileError::Field {
        path: path.into(),
        field: "checksum".into(),
        expected: format!("{computed} (the file was edited or damaged)"),
        found: written.chars().take(80).collect(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, FileError> {
    serde_json::from_str(text).map_err(|e| FileError::Syntax { path: path.into(), reason: e.to_string() })
}

fn to_documents(network: &Network) -> Vec<NodeDocument> {
    let document = |(i, node): (usize, &Node)| {
        let layer = match &node.layer {
            Layer::Input(l) => LayerDocument::Input { shape: l.shape },
            Layer::Conv(l) => LayerDocument::Conv {
                weights: pack_weights(l.weights.shape(), l.weight_bits, l.weights.iter()),
                weight_bits: l.weight_bits,
                stride: l.stride,
                pad: l.pad,
                groups: l.groups,
            },
            Layer::Dense(l) => LayerDocument::Dense {
                weights: pack_weights(l.weights.shape(), l.weight_bits, l.weights.iter()),
                weight_bits: l.weight_bits,
            },
            Layer::Step(l) => {
                let range = network.wire(network.sources(i)[0]).range;
                let (lo, hi) = (range.lo.min(-range.hi), range.hi.max(-range.lo) + 1);
                let bits = (64 - (hi - lo).leading_zeros()).max(1) as u8;
                let values = l.thresholds.iter().map(|&t| t.into());
                LayerDocument::Step {
                    bits: l.bits,
                    dir: l.dir.clone(),
                    thresholds: PackedInts::pack(l.thresholds.shape(), bits, lo, values),
                    surrogate: SurrogateDocument {
                        gain: l.surrogate.gain.clone(),
                        open_lo: l.surrogate.open_lo.clone(),
                        open_hi: l.surrogate.open_hi.clone(),
                        unit: l.surrogate.unit,
                    },
                }
            }
            Layer::MaxPool(l) => LayerDocument::MaxPool { window: l.window, stride: l.stride },
            Layer::SumPool(l) => LayerDocument::SumPool { window: l.window, stride: l.stride },
            Layer::GlobalSum(GlobalSum) => LayerDocument::GlobalSum {},
            Layer::Mix(Mix { a, b, shift, bits }) => {
                LayerDocument::Mix { a: *a, b: *b, shift: *shift, bits: *bits }
            }
            Layer::Rescale(l) => LayerDocument::Rescale {
                mul: l.mul.clone(),
                add: l.add.clone(),
                shift: l.shift,
                bits: l.bits,
                unit: l.unit,
            },
            Layer::BitDepth(BitDepth { bits }) => LayerDocument::BitDepth { bits: *bits },
            Layer::Median(Median) => LayerDocument::Median {},
            Layer::Logits(l) => LayerDocument::Logits { bias: l.bias.clone(), scale: l.scale },
        };
        NodeDocument { name: node.name.clone(), inputs: node.inputs.clone(), layer }
    };
    network.nodes().iter().enumerate().map(document).collect()
}

fn to_network(document: Document) -> Result<Network, NetworkError> {
    let nodes = document
        .nodes
        .into_iter()
        .map(|node| {
            let layer = to_layer(node.layer).map_err(|fault| NetworkError::at(&node.name, fault))?;
            Ok(Node { name: node.name, layer, inputs: node.inputs })
        })
        .collect::<Result<_, NetworkError>>()?;
    let mut network = Network::new(document.name, nodes)?;
    network.provenance = document.provenance;
    network.proof = document.proof;
    Ok(network)
}

fn to_layer(document: LayerDocument) -> Result<Layer, Fault> {
    Ok(match document {
        LayerDocument::Input { shape } => Layer::Input(Input { shape }),
        LayerDocument::Conv { weights, weight_bits, stride, pad, groups } => {
            let (shape, values) = unpack_weights(&weights, weight_bits, 4)?;
            let weights = Array4::from_shape_vec((shape[0], shape[1], shape[2], shape[3]), values);
            Layer::Conv(Conv { weights: weights.expect("counted"), weight_bits, stride, pad, groups })
        }
        LayerDocument::Dense { weights, weight_bits } => {
            let (shape, values) = unpack_weights(&weights, weight_bits, 2)?;
            let weights = Array2::from_shape_vec((shape[0], shape[1]), values).expect("counted");
            Layer::Dense(Dense { weights, weight_bits })
        }
        LayerDocument::Step { bits, dir, thresholds, surrogate } => {
            let (shape, values) = thresholds.unpack("thresholds", 2)?;
            let narrow = |v: i64| {
                i32::try_from(v).map_err(|_| Fault::new("thresholds", "values of at most 31 bits", v))
            };
            let values = values.into_iter().map(narrow).collect::<Result<Vec<i32>, _>>()?;
            Layer::Step(Step {
                bits,
                dir,
                thresholds: Array2::from_shape_vec((shape[0], shape[1]), values).expect("counted"),
                surrogate: Surrogate {
                    gain: surrogate.gain,
                    open_lo: surrogate.open_lo,
                    open_hi: surrogate.open_hi,
                    unit: surrogate.unit,
                },
            })
        }
        LayerDocument::MaxPool { window, stride } => Layer::MaxPool(MaxPool { window, stride }),
        LayerDocument::SumPool { window, stride } => Layer::SumPool(SumPool { window, stride }),
        LayerDocument::GlobalSum {} => Layer::GlobalSum(GlobalSum),
        LayerDocument::Mix { a, b, shift, bits } => Layer::Mix(Mix { a, b, shift, bits }),
        LayerDocument::Rescale { mul, add, shift, bits, unit } => {
            Layer::Rescale(Rescale { mul, add, shift, bits, unit })
        }
        LayerDocument::BitDepth { bits } => Layer::BitDepth(BitDepth { bits }),
        LayerDocument::Median {} => Layer::Median(Median),
        LayerDocument::Logits { bias, scale } => Layer::Logits(Logits { bias, scale }),
    })
}

/// Weights at their own width: one bit is 0 for −1 and 1 for +1, more are offset by the smallest value.
fn pack_weights<'a>(shape: &[usize], bits: u8, weights: impl Iterator<Item = &'a i8>) -> PackedInts {
    if bits == 1 {
        PackedInts::pack(shape, 1, 0, weights.map(|&w| i64::from(w > 0)))
    } else {
        PackedInts::pack(shape, bits, -(1 << (bits - 1)), weights.map(|&w| w.into()))
    }
}

fn unpack_weights(packed: &PackedInts, bits: u8, rank: usize) -> Result<(Vec<usize>, Vec<i8>), Fault> {
    let (shape, values) = packed.unpack("weights", rank)?;
    let narrow = |v: i64| {
        let v = if bits == 1 { 2 * v - 1 } else { v };
        i8::try_from(v).map_err(|_| Fault::new("weights", format!("values of {bits} bits"), v))
    };
    Ok((shape, values.into_iter().map(narrow).collect::<Result<_, _>>()?))
}
