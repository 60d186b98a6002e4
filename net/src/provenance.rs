//! Records where a network comes from and what was proved of it. This never changes what it computes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Records how a network was made. Every field may be empty: an imported network has no recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Program and version that wrote the network.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub generator: String,
    /// The training recipe (TOML), with every default filled in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recipe: String,
    /// Name of the training set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_set: String,
    /// Seed of the training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// SHA-256 of the checkpoint that was exported.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub checkpoint: String,
    /// SHA-256 of the ONNX file that was imported.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub onnx: String,
    /// Figures that were known when the network was written, e.g. `holdout_accuracy`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// Holds the result of proving that the float evaluation model and the integer network agree on every input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Number of Step boundaries whose two sides were both evaluated with the float code.
    pub boundaries: u64,
    /// Number of random integer probes on which every node was compared, element by element.
    pub probes: u64,
    /// One entry per Step, in node order.
    pub layers: Vec<LayerProof>,
}

/// Holds the proof of one Step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerProof {
    /// The Step's name.
    pub node: String,
    /// Number of boundaries that were checked on both sides (a threshold that is always or never crossed is
    /// checked at the range's ends).
    pub boundaries: u64,
    /// Smallest reachable accumulator.
    pub acc_lo: i64,
    /// Largest reachable accumulator.
    pub acc_hi: i64,
}
