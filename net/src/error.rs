//! Defines errors that name the place: file, node, field, what was expected and what was found.

use std::path::PathBuf;
use thiserror::Error;

/// Describes a wrong field of a layer, as long as it is not known which node the layer belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: expected {expected}, found {found}")]
pub struct Fault {
    /// The field, e.g. `weights` or `thresholds[3]`.
    pub field: String,
    /// What would be right.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Fault {
    /// Makes a fault in `field`.
    pub fn new(field: impl Into<String>, expected: impl Into<String>, found: impl ToString) -> Self {
        Self { field: field.into(), expected: expected.into(), found: found.to_string() }
    }
}

/// Says why a list of nodes is not a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("node `{node}`, {field}: expected {expected}, found {found}")]
pub struct NetworkError {
    /// The node's name (or its position where the name itself is wrong).
    pub node: String,
    /// The field of the node.
    pub field: String,
    /// What would be right.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl NetworkError {
    /// Makes the error for `fault` in `node`.
    pub fn at(node: impl Into<String>, fault: Fault) -> Self {
        Self { node: node.into(), field: fault.field, expected: fault.expected, found: fault.found }
    }
}

/// Says why a model file could not be read or written.
#[derive(Debug, Error)]
pub enum FileError {
    /// The operating system refused to read or write.
    #[error("{path}: {action}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done: `reading` or `writing`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not JSON, or its JSON is not of this structure.
    #[error("{path}: not a model file: {reason}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        reason: String,
    },
    /// A field of the file itself is wrong (format, version, checksum, …).
    #[error("{path}: {field}: expected {expected}, found {found}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What would be right.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The nodes do not make a network.
    #[error("{path}: {source}", path = path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// Node and field.
        source: NetworkError,
    },
}
