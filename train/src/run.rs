//! From a run folder to networks: reads the checkpoint, calibrates once a bit width, exports, proves. What calibration
//! found is kept in the run (`calibrated-wWaA.safetensors`), so that a proof can be repeated without any data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dq_net::data::Images;
use dq_net::{AnyNetwork, Layer, Network, Proof, Provenance};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::Device;

use crate::batch;
use crate::calibrate::{IMAGES, calibrate};
use crate::checkpoint::{State, load, restore, save};
use crate::evaluate::Evaluation;
use crate::export as build;
use crate::graph;
use crate::model::{Model, Tensors};
use crate::prove::prove;
use crate::recipe::{BitWidths, Bits, Recipe};
use crate::trainer::{BEST, RECIPE};

/// What a calibration file belongs to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Calibration {
    /// SHA-256 of the checkpoint it was measured on.
    checkpoint: String,
    /// Bit widths it was measured at, as `w4a4`.
    bits: String,
    /// Training images it was measured on.
    images: usize,
}

impl Calibration {
    /// Whether it was measured on this checkpoint at these bit widths.
    fn belongs(&self, checkpoint: &str, bits: &str) -> bool {
        self.checkpoint == checkpoint && self.bits == bits
    }
}

/// Reads the resolved recipe of the run in `run`.
pub fn run_recipe(run: &Path) -> Result<Recipe> {
    Ok(Recipe::load(&run.join(RECIPE), &[])?)
}

/// Whether [`export`] and [`evaluation`] need no images: the run was calibrated at these bit widths (`None`: its own).
pub fn is_calibrated(run: &Path, bits: Option<BitWidths>) -> Result<bool> {
    let recipe = run_recipe(run)?;
    let path = calibration_path(run, bits.unwrap_or(recipe.bits));
    let bits = label(bits.unwrap_or(recipe.bits));
    Ok(path.exists() && load::<Calibration>(&path)?.1.belongs(&digest(&run.join(BEST))?, &bits))
}

/// Exports the best checkpoint of the run: the integer network, proved, or the float network where weights or
/// activations are float. `bits` re-quantizes to other bit widths: weights from the latent ones, batch norm
/// recalibrated, proof redone. `images` is the training split, needed where [`is_calibrated`] is false.
pub fn export(run: &Path, bits: Option<BitWidths>, images: Option<&Images>) -> Result<AnyNetwork> {
    let trained = Trained::open(run, bits)?;
    let evaluation = trained.evaluation(run, images)?;
    let name = match bits.filter(|&bits| bits != trained.recipe.bits) {
        None => trained.recipe.name.clone(),
        Some(bits) => format!("{}-as-{}", trained.recipe.name, label(bits)),
    };
    let provenance = trained.provenance();
    if [evaluation.bits.weights, evaluation.bits.activations].contains(&Bits::Float) {
        let mut network = build::float(&name, &evaluation)?;
        network.provenance = provenance;
        return Ok(AnyNetwork::Float(network));
    }
    let mut network = build::integer(&name, &evaluation)?;
    network.proof = Some(prove(&evaluation, &network).context("export is not exact")?);
    network.provenance = provenance;
    Ok(AnyNetwork::Integer(network))
}

/// Proves anew, from the run's checkpoint and calibration and without data, that its float evaluation graph and
/// `network` agree on every input.
///
/// # Errors
/// A [`ProofFailure`](crate::ProofFailure) (downcast to it) where they differ; else what is wrong with the run.
pub fn reprove(run: &Path, network: &Network) -> Result<Proof> {
    let trained = Trained::open(run, Some(bits_of(network)?))?;
    Ok(prove(&trained.evaluation(run, None)?, network)?)
}

/// The float evaluation graph of the run's best checkpoint. `bits` and `images` as in [`export`].
pub fn evaluation(run: &Path, bits: Option<BitWidths>, images: Option<&Images>) -> Result<Evaluation> {
    Trained::open(run, bits)?.evaluation(run, images)
}

/// The bit widths of `network`'s weights and activations, as a run would be exported to.
///
/// # Errors
/// Where its layers have not all the same.
pub fn bits_of(network: &Network) -> Result<BitWidths> {
    let (mut weights, mut activations) = (Vec::new(), Vec::new());
    for node in network.nodes() {
        match &node.layer {
            Layer::Conv(conv) => weights.push(conv.weight_bits),
            Layer::Dense(dense) => weights.push(dense.weight_bits),
            Layer::Step(step) => activations.push(step.bits),
            _ => {}
        }
    }
    let one = |what: &str, mut bits: Vec<u8>| {
        bits.dedup();
        match bits[..] {
            [bits] => Ok(Bits::Int(bits.into())),
            _ => bail!("network `{}`: {what} of {bits:?} bits: no run exports that", network.name),
        }
    };
    Ok(BitWidths { weights: one("weights", weights)?, activations: one("activations", activations)? })
}

/// A run's best checkpoint, to be evaluated at `model.bits`.
struct Trained {
    recipe: Recipe,
    model: Model,
    state: State,
    digest: String,
}

impl Trained {
    fn open(run: &Path, bits: Option<BitWidths>) -> Result<Trained> {
        let recipe = run_recipe(run).with_context(|| format!("{} is no run", run.display()))?;
        let path = run.join(BEST);
        let (tensors, state): (Tensors, State) = load(&path)?;
        let nodes = graph::build(&recipe.model, state.image, state.classes)?;
        let mut model = Model::new(nodes, bits.unwrap_or(recipe.bits), recipe.train.seed, Device::Cpu);
        restore(&mut model.parameters, &tensors, "", &path)?;
        restore(&mut model.statistics, &tensors, "", &path)?;
        Ok(Trained { recipe, model, state, digest: digest(&path)? })
    }

    /// The evaluation graph, with the run's calibration or, where there is none yet, a new one, which is kept.
    fn evaluation(&self, run: &Path, images: Option<&Images>) -> Result<Evaluation> {
        crate::keep_large_blocks();
        let path = calibration_path(run, self.model.bits);
        let mut statistics = Tensors::new();
        if path.exists() {
            let (tensors, calibration): (Tensors, Calibration) = load(&path)?;
            if calibration.belongs(&self.digest, &label(self.model.bits)) {
                statistics.extend(
                    self.model
                        .statistics
                        .iter()
                        .map(|(name, t)| (name.clone(), t.to_kind(tch::Kind::Double))),
                );
                restore(&mut statistics, &tensors, "", &path)?;
            }
        }
        if statistics.is_empty() {
            let images = images.with_context(|| {
                format!(
                    "{} is missing or of another checkpoint or bit width: the training images are needed",
                    path.display()
                )
            })?;
            ensure!(
                images.shape() == self.state.image && images.classes.len() == self.state.classes,
                "{} was trained on images of {:?} and {} classes; {} has {:?} and {}",
                run.display(),
                self.state.image,
                self.state.classes,
                images.name,
                images.shape(),
                images.classes.len()
            );
            let (mut learned, _) =
                batch::split(images.len(), self.recipe.data.holdout, self.recipe.train.seed);
            learned.truncate(IMAGES);
            statistics = calibrate(&self.model, images, &learned)?;
            let calibration = Calibration {
                checkpoint: self.digest.clone(),
                bits: label(self.model.bits),
                images: learned.len(),
            };
            save(&path, &statistics, &calibration)?;
        }
        Evaluation::new(&self.model, &statistics, self.state.image)
    }

    fn provenance(&self) -> Provenance {
        let metrics = [("epochs", self.state.epochs as f64), ("holdout_accuracy", self.state.best_accuracy)];
        Provenance {
            generator: format!("dq {}", env!("CARGO_PKG_VERSION")),
            recipe: self.recipe.to_toml(),
            data_set: self.recipe.data.set.clone(),
            seed: Some(self.recipe.train.seed),
            checkpoint: self.digest.clone(),
            metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}

fn calibration_path(run: &Path, bits: BitWidths) -> PathBuf {
    run.join(format!("calibrated-{}.safetensors", label(bits)))
}

/// `w4a4`; `f` stands for float.
fn label(bits: BitWidths) -> String {
    let one = |bits: Bits| match bits {
        Bits::Float => "f".to_owned(),
        Bits::Int(bits) => bits.to_string(),
    };
    format!("w{}a{}", one(bits.weights), one(bits.activations))
}

/// SHA-256 of a file, in hex.
fn digest(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
