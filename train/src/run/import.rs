//! Imports weights from elsewhere: a safetensors file whose names are this program's, so that a network
//! trained in PyTorch can be fine-tuned. `docs/weights.md` says the names. Never guesses: a tensor that fits
//! nothing is an error.

use std::path::Path;

use anyhow::{Result, bail};

use super::checkpoint;
use crate::node::values::Values;
use crate::tensor::Tensors;

/// Endings of tensors that may be missing: such a tensor then starts as in a new network. Batch norm's
/// statistics are measured anew in any case.
const OPTIONAL: [&str; 5] = [".mean", ".var", ".scale", ".ceiling", ".shares"];

/// Copies every tensor of `tensors` to the parameter or statistic of its name.
///
/// # Errors
/// A name that the network has not, one of its own that is missing, another shape, a number that is not
/// finite.
pub fn into(values: &mut Values, tensors: &Tensors, path: &Path) -> Result<()> {
    let own = || values.iter();
    if let Some(stranger) = tensors.keys().find(|name| !own().any(|(own, _)| own == *name)) {
        let nearest = own().min_by_key(|(own, _)| strsim::damerau_levenshtein(own, stranger));
        let nearest = nearest.map(|(name, _)| format!(": did you mean `{name}`?")).unwrap_or_default();
        bail!("{}: the network has no tensor `{stranger}`{nearest}", path.display());
    }
    let optional = |name: &str| OPTIONAL.iter().any(|end| name.ends_with(end));
    if let Some((name, t)) = own().find(|(name, _)| !tensors.contains_key(*name) && !optional(name)) {
        bail!("{}: tensor `{name}` of shape {:?} is missing", path.display(), t.size());
    }
    for (name, target) in values.iter_mut() {
        let Some(source) = tensors.get(name) else { continue };
        checkpoint::copy(target, source, || format!("{}: tensor `{name}`", path.display()))?;
    }
    Ok(())
}
