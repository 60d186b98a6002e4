//! Reads a file's bytes and counts its messages before anything is decoded, so that a hostile file cannot
//! make the decoder allocate much more than the file is long.

use crate::error::ImportError;
use crate::proto::ModelProto;
use prost::Message;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest file that is read.
pub const MAX_BYTES: u64 = 1 << 29;
/// Most nodes of a graph.
const MAX_NODES: usize = 1 << 14;
/// Most messages of all kinds.
const MAX_MESSAGES: usize = 1 << 17;
/// Most bytes outside of tensors' data.
const MAX_STRUCTURE: usize = 1 << 23;

/// Reads a whole file of at most `limit` bytes.
pub fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, ImportError> {
    let io = |source| ImportError::Io { path: path.into(), source };
    let mut bytes = vec![];
    File::open(path).map_err(io)?.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        let reason = format!("expected at most {limit} bytes, found more");
        return Err(ImportError::File { path: path.into(), reason });
    }
    Ok(bytes)
}

/// Decodes a model; the error says what is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<ModelProto, String> {
    let mut counts = Counts { nodes: 0, messages: 0, structure: bytes.len() };
    counts.message(bytes, Kind::Model)?;
    if counts.structure > MAX_STRUCTURE {
        return Err(format!(
            "expected at most {MAX_STRUCTURE} bytes beside the constants' data, found {}",
            counts.structure
        ));
    }
    ModelProto::decode(bytes).map_err(|e| format!("not an ONNX model: {e}"))
}

/// Kinds of message that are looked into.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Other,
}

impl Kind {
    /// Returns the kind of the message in a field; `None` for a field that holds none or is skipped.
    fn child(self, field: u64) -> Option<Kind> {
        Some(match (self, field) {
            (Kind::Model, 7) => Kind::Graph,
            (Kind::Graph, 1) => Kind::Node,
            (Kind::Graph, 5) | (Kind::Attribute, 5) => Kind::Tensor,
            (Kind::Node, 5) => Kind::Attribute,
            (Kind::Model, 8) | (Kind::Graph, 11..=14) | (Kind::Tensor, 13) => Kind::Other,
            _ => return None,
        })
    }
}

struct Counts {
    nodes: usize,
    messages: usize,
    structure: usize,
}

impl Counts {
    fn message(&mut self, mut bytes: &[u8], kind: Kind) -> Result<(), String> {
        const CUT: &str = "not an ONNX model: the file is cut off or no protobuf";
        self.messages += 1;
        self.nodes += usize::from(kind == Kind::Node);
        if self.nodes > MAX_NODES {
            return Err(format!("expected at most {MAX_NODES} nodes, found more"));
        }
        if self.messages > MAX_MESSAGES {
            return Err(format!("expected at most {MAX_MESSAGES} nodes, attributes and tensors, found more"));
        }
        if kind == Kind::Other {
            return Ok(());
        }
        while !bytes.is_empty() {
            let key = varint(&mut bytes).ok_or(CUT)?;
            let skipped = match key & 7 {
                0 => {
                    varint(&mut bytes).ok_or(CUT)?;
                    0
                }
                1 => 8,
                5 => 4,
                2 => {
                    let length = varint(&mut bytes).ok_or(CUT)?;
                    let length = usize::try_from(length).ok().filter(|&n| n <= bytes.len()).ok_or(CUT)?;
                    if let Some(child) = kind.child(key >> 3) {
                        self.message(&bytes[..length], child)?;
                    } else if kind == Kind::Tensor && matches!(key >> 3, 4 | 5 | 7 | 9 | 10) {
                        self.structure -= length;
                    }
                    length
                }
                _ => return Err(CUT.into()),
            };
            bytes = bytes.get(skipped..).ok_or(CUT)?;
        }
        Ok(())
    }
}

/// Reads a variable-length number off the front of `bytes`.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
