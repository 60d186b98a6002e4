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
use crate::folder::{BEST, RECIPE};
use crate::graph;
use crate::model::{Model, Tensors};
use crate::prove::prove;
use crate::recipe::{BitWidths, Bits, Recipe, StepSize};

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
pub fn is_calibrated(run: &Path, bits: Option<&BitWidths>) -> Result<bool> {
    let bits = resolve(&run_recipe(run)?, bits);
    let path = calibration_path(run, &bits);
    Ok(path.exists() && load::<Calibration>(&path)?.1.belongs(&digest(&run.join(BEST))?, &bits.label()))
}

/// Exports the best checkpoint of the run: the integer network, proved, or the float network where weights or
/// activations are float. `bits` re-quantizes to other bit widths: weights from the latent ones, batch norm
/// recalibrated, proof redone. `images` is the training split, needed where [`is_calibrated`] is false.
pub fn export(run: &Path, bits: Option<&BitWidths>, images: Option<&Images>) -> Result<AnyNetwork> {
    let trained = Trained::open(run, bits)?;
    let evaluation = trained.evaluation(run, images)?;
    let name = if trained.bits == trained.recipe.bits {
        trained.recipe.name.clone()
    } else {
        format!("{}-as-{}", trained.recipe.name, trained.bits.label())
    };
    let provenance = trained.provenance();
    if !evaluation.is_integer() {
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
    let bits = bits_of(run, network)?;
    let trained = Trained::open(run, Some(&bits))?;
    Ok(prove(&trained.evaluation(run, None)?, network)?)
}

/// The float evaluation graph of the run's best checkpoint. `bits` and `images` as in [`export`].
pub fn evaluation(run: &Path, bits: Option<&BitWidths>, images: Option<&Images>) -> Result<Evaluation> {
    Trained::open(run, bits)?.evaluation(run, images)
}

/// The bit widths that the run has to be exported with to give `network`: its own, or one for all layers.
///
/// # Errors
/// Where neither gives its bits.
pub fn bits_of(run: &Path, network: &Network) -> Result<BitWidths> {
    let recipe = run_recipe(run)?;
    let own = Trained::open(run, None)?;
    let (mut weights, mut activations) = (Vec::new(), Vec::new());
    let mut expected = own.model.nodes.iter().filter_map(|node| node.op.bits());
    let mut is_own = true;
    for node in network.nodes() {
        let (list, bits) = match &node.layer {
            Layer::Conv(conv) => (&mut weights, conv.weight_bits),
            Layer::Dense(dense) => (&mut weights, dense.weight_bits),
            Layer::Step(step) => (&mut activations, step.bits),
            _ => continue,
        };
        list.push(bits);
        is_own &= expected.next() == Some(Bits::Int(bits.into()));
    }
    if is_own && expected.next().is_none() {
        return Ok(recipe.bits);
    }
    let one = |what: &str, mut bits: Vec<u8>| {
        bits.dedup();
        match bits[..] {
            [bits] => Ok(Bits::Int(bits.into())),
            [] => Ok(Bits::Int(1)),
            _ => bail!(
                "network `{}`: {what} of {bits:?} bits: {} does not export that",
                network.name,
                run.display()
            ),
        }
    };
    Ok(BitWidths::uniform(one("weights", weights)?, one("activations", activations)?))
}

/// The bit widths that are meant by `bits` of a run of `recipe`. A learned ceiling serves any number of levels; a learned
/// weight scale only the bits that it was learned for.
fn resolve(recipe: &Recipe, bits: Option<&BitWidths>) -> BitWidths {
    match bits {
        None => recipe.bits.clone(),
        Some(bits) if recipe.bits.layers.is_empty() && same_widths(bits, &recipe.bits) => recipe.bits.clone(),
        Some(bits) if bits == &recipe.bits => bits.clone(),
        Some(bits) => BitWidths {
            weight_step: StepSize::Fixed,
            activation_step: recipe.bits.activation_step,
            ..bits.clone()
        },
    }
}

fn same_widths(a: &BitWidths, b: &BitWidths) -> bool {
    (a.weights, a.activations) == (b.weights, b.activations) && a.layers == b.layers
}

/// A run's best checkpoint, to be evaluated at `bits`.
struct Trained {
    recipe: Recipe,
    /// As the run holds it.
    recipe_text: String,
    bits: BitWidths,
    model: Model,
    state: State,
    digest: String,
}

impl Trained {
    fn open(run: &Path, bits: Option<&BitWidths>) -> Result<Trained> {
        let recipe = run_recipe(run).with_context(|| format!("{} is no run", run.display()))?;
        let place = run.join(RECIPE);
        let recipe_text =
            std::fs::read_to_string(&place).with_context(|| format!("cannot read {}", place.display()))?;
        let path = run.join(BEST);
        let (tensors, state): (Tensors, State) = load(&path)?;
        let bits = resolve(&recipe, bits);
        let nodes = graph::build(&recipe.model, recipe.squeeze, &bits, state.image, state.classes)?;
        let mut model = Model::new(nodes, &bits, recipe.train.seed, Device::Cpu);
        restore(&mut model.parameters, &tensors, "", &path)?;
        restore(&mut model.statistics, &tensors, "", &path)?;
        Ok(Trained { recipe, recipe_text, bits, model, state, digest: digest(&path)? })
    }

    /// The evaluation graph, with the run's calibration or, where there is none yet, a new one, which is kept.
    fn evaluation(&self, run: &Path, images: Option<&Images>) -> Result<Evaluation> {
        crate::keep_large_blocks();
        let path = calibration_path(run, &self.bits);
        let mut kept = None;
        if path.exists() {
            let (tensors, calibration): (Tensors, Calibration) = load(&path)?;
            if calibration.belongs(&self.digest, &self.bits.label()) {
                let own = self.model.statistics.iter();
                let mut statistics: Tensors =
                    own.map(|(name, t)| (name.clone(), t.to_kind(tch::Kind::Double))).collect();
                restore(&mut statistics, &tensors, "", &path)?;
                kept = Some(statistics);
            }
        }
        let statistics = if let Some(statistics) = kept {
            statistics
        } else {
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
            let statistics = calibrate(&self.model, images, &learned)?;
            let calibration = Calibration {
                checkpoint: self.digest.clone(),
                bits: self.bits.label(),
                images: learned.len(),
            };
            save(&path, &statistics, &calibration)?;
            statistics
        };
        Evaluation::new(&self.model, &statistics, self.state.image)
    }

    fn provenance(&self) -> Provenance {
        let metrics = [("epochs", self.state.epochs as f64), ("holdout_accuracy", self.state.best_accuracy)];
        Provenance {
            generator: format!("dq {}", env!("CARGO_PKG_VERSION")),
            recipe: self.recipe_text.clone(),
            data_set: self.recipe.data.set.clone(),
            seed: Some(self.recipe.train.seed),
            checkpoint: self.digest.clone(),
            metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}

fn calibration_path(run: &Path, bits: &BitWidths) -> PathBuf {
    run.join(format!("calibrated-{}.safetensors", bits.label()))
}

/// SHA-256 of a file, in hex.
fn digest(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
