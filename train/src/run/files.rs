//! Names of the files in the folder of a run.

/// The resolved recipe.
pub const RECIPE: &str = "recipe.toml";
/// One JSON object per epoch.
pub const METRICS: &str = "metrics.jsonl";
/// All that training goes on from, as of the newest epoch or, within one, of the newest step that was saved.
pub const LAST: &str = "last.safetensors";
/// The best epoch by held-out images (the earliest of equals).
pub const BEST: &str = "best.safetensors";
