//! Names the files in the folder of a run, and tells what a file holds by its hash.

use std::path::Path;

use anyhow::{Context, Result};

/// The recipe with every default filled in.
pub const RECIPE: &str = "recipe.toml";
/// Metrics, one JSON object per epoch.
pub const METRICS: &str = "metrics.jsonl";
/// Everything from which training goes on, as of the newest epoch or, within one, of the newest step that was
/// saved.
pub const LAST: &str = "last.safetensors";
/// The best epoch by held-out images (the earliest of equals).
pub const BEST: &str = "best.safetensors";

/// Returns the SHA-256 of a file, in hex.
pub fn digest(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(dq_net::sha256(&bytes))
}
