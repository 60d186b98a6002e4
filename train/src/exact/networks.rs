//! Turns the folder of a run into networks: exports, proofs and the evaluation graph.

use std::path::Path;

use anyhow::{Context, Result};
use dq_data::Images;
use dq_net::{AnyNetwork, Network, Proof};

use super::evaluation::Evaluation;
use super::export as build;
use super::prove::prove;
use super::saved::{Calibration, Keep, Saved, Trained, calibration_path, resolve, run_recipe};
use crate::compute::Compute;
use crate::recipe::BitWidths;
use crate::run::checkpoint::load;
use crate::run::files::{BEST, digest};

/// Returns whether [`export`] and [`evaluation`] need no images: the run was calibrated at these bit widths
/// (`None`: its own).
pub fn is_calibrated(run: &Path, bits: Option<&BitWidths>) -> Result<bool> {
    let bits = resolve(&run_recipe(run)?, bits);
    let path = calibration_path(run, &bits);
    Ok(path.exists() && load::<Calibration>(&path)?.1.belongs(&digest(&run.join(BEST))?, &bits.label()))
}

/// Exports the best checkpoint of the run: the integer network, proved, or the float network where weights or
/// activations are float. `bits` re-quantizes to other bit widths: weights from the latent ones, batch norm
/// recalibrated, proof redone. `images` is the training split, needed where [`is_calibrated`] is false;
/// `keep` says what becomes of the calibration that they give.
pub fn export(
    run: &Path,
    bits: Option<&BitWidths>,
    images: Option<&Images>,
    keep: Keep,
    compute: Compute,
) -> Result<AnyNetwork> {
    let trained = Trained::open(run, bits)?;
    let evaluation = trained.evaluation(run, images, keep, compute)?;
    exported(&trained, &evaluation)
}

/// Returns the network of an evaluation graph, integer and proved where it can be.
fn exported(trained: &Trained, evaluation: &Evaluation) -> Result<AnyNetwork> {
    let name = if trained.bits == trained.recipe.bits {
        trained.recipe.name.clone()
    } else {
        format!("{}-as-{}", trained.recipe.name, trained.bits.label())
    };
    let provenance = trained.provenance();
    if !evaluation.is_integer() {
        let mut network = build::float(&name, evaluation)?;
        network.provenance = provenance;
        return Ok(AnyNetwork::Float(network));
    }
    let mut network = build::integer(&name, evaluation)?;
    network.proof = Some(prove(evaluation, &network).context("export is not exact")?);
    network.provenance = provenance;
    Ok(AnyNetwork::Integer(network))
}

/// Proves anew, from the run's checkpoint and calibration and without data, that its float evaluation graph
/// and `network` agree on every input.
///
/// # Errors
/// A [`ProofFailure`](crate::ProofFailure) (downcast to it) where they differ; else what is wrong with the
/// run.
pub fn reprove(run: &Path, network: &Network, compute: Compute) -> Result<Proof> {
    Ok(proved(run, network, compute)?.0)
}

/// Proves as [`reprove`] does, and also returns the evaluation graph that was proved.
pub fn proved(run: &Path, network: &Network, compute: Compute) -> Result<(Proof, Evaluation)> {
    let saved = Saved::read(run)?;
    let bits = saved.bits_of(network, run)?;
    let evaluation = saved.at(bits)?.evaluation(run, None, Keep::Nowhere, compute)?;
    Ok((prove(&evaluation, network)?, evaluation))
}

/// Returns the float evaluation graph of the run's best checkpoint. `bits` and `images` are those of
/// [`export`].
pub fn evaluation(
    run: &Path,
    bits: Option<&BitWidths>,
    images: Option<&Images>,
    compute: Compute,
) -> Result<Evaluation> {
    Trained::open(run, bits)?.evaluation(run, images, Keep::InRun, compute)
}
