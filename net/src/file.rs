//! Reads and writes `model.json`: one self-contained, versioned file with a checksum. Reading checks
//! everything and names the node and field that is wrong; a file is written whole or not at all.

use crate::error::{FileError, NetworkError};
use crate::float::{self, FloatNetwork};
use crate::layer::{Layer, LayerForm};
use crate::network::{Network, Node};
use crate::provenance::{Proof, Provenance};
use crate::wire::Wire;
use crate::{atomic, read};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::path::Path;

/// Newest version of the file format. This program reads this version and all before it.
pub const FORMAT_VERSION: u32 = 4;
/// Value of the field `format` in an integer network's file.
const FORMAT: &str = "dq-network";
/// Size of the largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 28;

/// Holds a network of either family.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyNetwork {
    /// An integer network: what hardware computes.
    Integer(Network),
    /// A float network: it serves for comparison and as a substitute, never for hardware.
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
    layer: LayerForm,
}

/// Reads an integer network. A float network is refused.
pub fn read_network(path: &Path) -> Result<Network, FileError> {
    integer(path, read_any(path)?)
}

/// Reads an integer network from the text that [`to_json`] writes.
pub fn from_json(text: &str) -> Result<Network, FileError> {
    let path = Path::new("model.json");
    integer(path, any_of_text(path, text)?)
}

/// Refuses a float network, read from `path`.
fn integer(path: &Path, network: AnyNetwork) -> Result<Network, FileError> {
    match network {
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
    any_of_text(path, &read::text(path, MAX_BYTES).map_err(io)?)
}

/// Reads a network of either family from the text of the file at `path`.
fn any_of_text(path: &Path, text: &str) -> Result<AnyNetwork, FileError> {
    let field = |field: &str, expected: String, found: String| FileError::Field {
        path: path.into(),
        field: field.into(),
        expected,
        found,
    };

    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let head: Head = parse(path, text)?;
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
        let mut document: float::Document = parse(path, text)?;
        let checksum = std::mem::take(&mut document.checksum);
        check_checksum(path, &checksum, &document)?;
        return Ok(AnyNetwork::Float(document.into_network().map_err(network)?));
    }
    let mut document: Document = parse(path, text)?;
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

/// Returns the file's text: indented JSON that ends in a newline. Equal networks give equal bytes.
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

/// Returns the oldest version that has all the network's kinds of layer and their fields, so that older
/// programs can read the file.
fn version_of(network: &Network) -> u32 {
    network.nodes().iter().map(|node| node.layer.since()).max().expect("checked: not empty")
}

/// Returns the SHA-256 (hex) of what the network computes: its nodes, without name, provenance and proof.
pub fn content_hash(network: &Network) -> String {
    json_sha256(&to_documents(network))
}

/// Returns the SHA-256 over the document with an empty checksum, so that any edit shows.
pub(crate) fn checksum(document: &impl Serialize) -> String {
    format!("sha256:{}", json_sha256(document))
}

/// Returns the SHA-256 of a document's JSON without spaces, which is nowhere kept as a whole.
fn json_sha256(document: &impl Serialize) -> String {
    struct Hash(Sha256);
    impl Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new());
    serde_json::to_writer(&mut hash, document).expect("plain data");
    hex(&hash.0.finalize())
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

/// Returns the SHA-256 of `bytes`, as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, FileError> {
    serde_json::from_str(text).map_err(|e| FileError::Syntax { path: path.into(), reason: e.to_string() })
}

fn to_documents(network: &Network) -> Vec<NodeDocument> {
    let document = |(i, node): (usize, &Node)| {
        let inputs: Vec<Wire> = network.sources(i).iter().map(|&source| network.wire(source)).collect();
        NodeDocument {
            name: node.name.clone(),
            inputs: node.inputs.clone(),
            layer: node.layer.to_form(&inputs),
        }
    };
    network.nodes().iter().enumerate().map(document).collect()
}

fn to_network(document: Document) -> Result<Network, NetworkError> {
    let nodes = document
        .nodes
        .into_iter()
        .map(|node| {
            let layer = Layer::from_form(node.layer).map_err(|fault| NetworkError::at(&node.name, fault))?;
            Ok(Node { name: node.name, layer, inputs: node.inputs })
        })
        .collect::<Result<_, NetworkError>>()?;
    let mut network = Network::new(document.name, nodes)?;
    network.provenance = document.provenance;
    network.proof = document.proof;
    Ok(network)
}
