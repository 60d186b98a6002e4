//! Reads and writes the file of a float network, which is a `model.json` with another `format`.

use super::layer::{FloatLayer, LayerForm};
use super::{FloatNetwork, FloatNode};
use crate::atomic;
use crate::error::{FileError, NetworkError};
use crate::file::{AnyNetwork, checksum, read_any, sha256};
use crate::provenance::Provenance;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Value of the field `format` in a float network's file.
pub(crate) const FORMAT: &str = "dq-float-network";
/// The version that is written: the last one that brought something to float networks.
const VERSION: u32 = 2;

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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeDocument {
    name: String,
    inputs: Vec<String>,
    layer: LayerForm,
}

impl Document {
    pub(crate) fn into_network(self) -> Result<FloatNetwork, NetworkError> {
        let node = |node: NodeDocument| {
            let layer =
                FloatLayer::from_form(node.layer).map_err(|fault| NetworkError::at(&node.name, fault))?;
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

/// Returns the SHA-256 (hex) of what the network computes: its nodes, without name and provenance.
pub fn float_content_hash(network: &FloatNetwork) -> String {
    let nodes: Vec<NodeDocument> = network.nodes.iter().map(to_document).collect();
    sha256(&serde_json::to_vec(&nodes).expect("plain data"))
}

/// Writes `network` to `path`, whole or not at all.
pub fn write_float(network: &FloatNetwork, path: &Path) -> Result<(), FileError> {
    let mut document = Document {
        format: FORMAT.into(),
        version: VERSION,
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
    NodeDocument { name: node.name.clone(), inputs: node.inputs.clone(), layer: node.layer.to_form() }
}
