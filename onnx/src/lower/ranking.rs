//! What follows the scores and leaves their order: labels, rankings and probabilities.

use super::{State, Value};
use crate::graph::{Graph, Op};
use std::collections::HashMap;

/// Operators that pass probabilities on; those of the second row round them.
const PASSED: &[&str] = &["Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten"];
const ROUNDED: &[&str] = &["QuantizeLinear", "DequantizeLinear"];

impl State {
    /// Keeps the scores before an operator that ranks them, or that rises with each of them.
    pub(super) fn ranked(&mut self, op: &Op) -> Result<Value, String> {
        let stream = self.stream(op, 0)?.clone();
        if op.int("select_last_index", 0) != 0 || op.int("largest", 1) == 0 {
            return Err("expected the largest score, the first on ties".into());
        }
        self.scores = Some((op.inputs[0].clone(), stream));
        Ok(Value::Label { rounded: false })
    }
}

/// Returns what an operator makes of labels, rankings or probabilities.
pub(super) fn of_label(op: &Op, rounded: bool) -> Result<Value, String> {
    match op.kind.as_str() {
        kind if PASSED.contains(&kind) => Ok(Value::Label { rounded }),
        kind if ROUNDED.contains(&kind) => Ok(Value::Label { rounded: true }),
        "ArgMax" | "TopK" if !rounded => Ok(Value::Label { rounded }),
        "ArgMax" | "TopK" => {
            Err("expected the largest score, found that of rounded probabilities, which may tie: choose the \
                 scores before them with --output-tensor"
                .into())
        }
        _ => Err("expected no arithmetic on labels or probabilities: choose the scores with --output-tensor"
            .into()),
    }
}

/// Returns the output of a `Sigmoid` or `Tanh` behind which the graph only rounds: the scores before it are
/// the network's.
pub(super) fn last(graph: &Graph) -> Option<String> {
    let mut name = &graph.output;
    loop {
        let op = graph.ops.iter().find(|op| op.outputs.first() == Some(name))?;
        match op.kind.as_str() {
            "Sigmoid" | "Tanh" if op.domain.is_empty() => return Some(name.clone()),
            "ArgMax" | "TopK" => name = op.inputs.first()?,
            kind if PASSED.contains(&kind) || ROUNDED.contains(&kind) => name = op.inputs.first()?,
            _ => return None,
        }
    }
}

/// Returns the tensors that `QuantizeLinear` makes and nothing but one `Clip` reads.
pub(super) fn clipped(graph: &Graph) -> HashMap<String, Option<i64>> {
    let mut readers: HashMap<&str, Vec<&Op>> = HashMap::new();
    for op in &graph.ops {
        op.inputs.iter().for_each(|input| readers.entry(input).or_default().push(op));
    }
    let is_clipped = |op: &&Op| {
        let Some(output) = op.outputs.first().filter(|o| op.kind == "QuantizeLinear" && **o != graph.output)
        else {
            return false;
        };
        let readers = readers.get(output.as_str()).map_or(&[][..], Vec::as_slice);
        matches!(readers, [clip] if clip.kind == "Clip" && clip.inputs.first() == Some(output))
    };
    graph.ops.iter().filter(is_clipped).map(|op| (op.outputs[0].clone(), None)).collect()
}
