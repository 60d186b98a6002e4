//! Defines the errors of an import: what is wrong with a file, or with which of its nodes.

use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// One node that cannot be imported, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeError {
    /// The node's name, or that of its first output where it has none.
    pub node: String,
    /// Its operator.
    pub operator: String,
    /// The operator's domain; empty for ONNX's own.
    pub domain: String,
    /// What is wrong and what to do instead.
    pub reason: String,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = if self.domain.is_empty() { "" } else { &format!("{}.", shown(&self.domain)) };
        write!(f, "node `{}` ({domain}{}): {}", shown(&self.node), shown(&self.operator), self.reason)
    }
}

/// The reason why a file was not imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The operating system refused.
    #[error("{path}: reading: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not an ONNX model, or not a sound one.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// Nodes that have no exact integer meaning here; all of them.
    #[error("{path}: {}", list(nodes), path = path.display())]
    Nodes {
        /// The file.
        path: PathBuf,
        /// The nodes, in the order of the graph.
        nodes: Vec<NodeError>,
    },
    /// The graph has values beyond what the exact arithmetic of the proof holds.
    #[error("{path}: expected values that the proof can follow exactly: {reason}", path = path.display())]
    Unproved {
        /// The file.
        path: PathBuf,
        /// Where, and why not.
        reason: String,
    },
    /// Somebody stopped the import, see [`crate::Watch`].
    #[error("{path}: the import was stopped", path = path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
    },
    /// The integer network and the file's graph disagree: a fault of this program.
    #[error("{path}: the integer network differs from the graph: {reason}", path = path.display())]
    Proof {
        /// The file.
        path: PathBuf,
        /// Where they differ.
        reason: String,
    },
}

/// How many nodes an error lists before it only counts them.
const LISTED: usize = 20;

fn list(nodes: &[NodeError]) -> String {
    if let [node] = nodes {
        return node.to_string();
    }
    let mut text = format!("{} nodes cannot be imported:", nodes.len());
    for node in nodes.iter().take(LISTED) {
        text += &format!("\n  {node}");
    }
    if nodes.len() > LISTED {
        text += &format!("\n  and {} more", nodes.len() - LISTED);
    }
    text
}

/// Returns a name as messages show it: printable and at most 100 characters.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect()
}
