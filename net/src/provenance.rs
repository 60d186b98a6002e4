//! Records where a network comes from and what was proved of it. This never changes what it computes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The record of how a network was made. Every field may be empty: an imported network has no recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Program and version that wrote the network.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub generator: String,
    /// The resolved training recipe (TOML).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recipe: String,
    /// Training set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_set: String,
    /// Training seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// SHA-256 of the checkpoint that was exported.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub checkpoint: String,
    /// Figures known when it was written, e.g. `holdout_accuracy`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// The result of proving that the float evaluation model and the integer network agree on every input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Step boundaries whose two sides were both evaluated with the float code.
    pub boundaries: u64,
    /// Random integer probes on which every node was compared, element by element.
    pub probes: u64,
    /// One entry per Step, in node order.
    pub layers: Vec<LayerProof>,
}

/// The proof of one Step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerProof {
    /// The Step's name.
    pub node: String,
    /// Boundaries checked on both sides (thresholds that are always or never crossed are checked at the
    /// range's ends).
    pub boundaries: u64,
    /// Smallest reachable accumulator.
    pub acc_lo: i64,
    /// Largest reachable accumulator.
    pub acc_hi: i64,
}
