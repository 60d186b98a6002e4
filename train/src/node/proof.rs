//! Compares both sides of a proof: each difference names node, element and both sides.

use dq_net::Layer;
use ndarray::ArrayD;
use ndarray::Dimension;

/// Says where the float evaluation graph and the integer network differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`, {element}: the float model has {float}, the integer network {integer}")]
pub struct ProofFailure {
    /// Name of the node.
    pub node: String,
    /// The part of the node that differs: a field, or an element of its output.
    pub element: String,
    /// The value on the float side.
    pub float: String,
    /// The value on the integer side.
    pub integer: String,
}

/// Returns the failure of `element` of `node`.
pub fn failure(node: &str, element: &str, float: impl ToString, integer: impl ToString) -> ProofFailure {
    let (node, element) = (node.to_owned(), element.to_owned());
    ProofFailure { node, element, float: float.to_string(), integer: integer.to_string() }
}

/// Returns the failure of a node that the integer network has another kind of layer for.
pub fn other_kind(node: &str, float: &str, layer: &Layer) -> ProofFailure {
    failure(node, "kind", float, layer.kind().name())
}

/// Demands that both sides are equal.
pub fn same<T: PartialEq + std::fmt::Debug>(
    node: &str,
    element: &str,
    float: &T,
    integer: &T,
) -> Result<(), ProofFailure> {
    if float == integer {
        return Ok(());
    }
    Err(failure(node, element, format!("{float:?}"), format!("{integer:?}")))
}

/// Demands that both sides are equal, element by element.
pub fn same_elements(
    node: &str,
    field: &str,
    float: &ArrayD<i64>,
    integer: &ArrayD<i64>,
) -> Result<(), ProofFailure> {
    same(node, &format!("shape of {field}"), &float.shape(), &integer.shape())?;
    for ((index, a), b) in float.indexed_iter().zip(integer) {
        if a != b {
            return Err(failure(node, &format!("{field}{:?}", index.slice()), a, b));
        }
    }
    Ok(())
}
