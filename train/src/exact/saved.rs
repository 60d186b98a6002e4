//! Reads what a run has saved: its recipe, its best checkpoint, and what calibration found, which is kept in
//! the run (`calibrated-wWaA.safetensors`), so that a proof can be repeated without any data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dq_data::Images;
use dq_net::{Layer, Network, Provenance};
use serde::{Deserialize, Serialize};
use tch::Device;

use super::calibrate::{IMAGES, calibrate};
use super::evaluation::Evaluation;
use crate::compute::Compute;
use crate::fit::batch;
use crate::fit::model::Model;
use crate::graph;
use crate::node::Node;
use crate::recipe::{BitWidths, Bits, Recipe, StepSize};
use crate::run::checkpoint::{State, load, restore, save};
use crate::run::files::{BEST, RECIPE, digest};
use crate::tensor::Tensors;

/// Reads the resolved recipe of the run in `run`.
pub fn run_recipe(run: &Path) -> Result<Recipe> {
    Ok(Recipe::load(&run.join(RECIPE), &[])?)
}

/// Says what a calibration file belongs to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// SHA-256 of the checkpoint on which it was measured.
    checkpoint: String,
    /// Bit widths at which it was measured, as `w4a4`.
    bits: String,
    /// Number of training images on which it was measured.
    images: usize,
    /// Whether the images were augmented as in training. Older calibrations were not augmented, and are done
    /// again.
    #[serde(default)]
    augmented: bool,
}

impl Calibration {
    /// Returns whether it was measured on this checkpoint at these bit widths.
    pub fn belongs(&self, checkpoint: &str, bits: &str) -> bool {
        self.augmented && self.checkpoint == checkpoint && self.bits == bits
    }
}

/// Says what becomes of a new calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It stays in the run, where later exports and proofs find it.
    InRun,
    /// It is forgotten, and the run's folder stays as it is.
    Nowhere,
}

/// Returns the bit widths that are meant by `bits` of a run of `recipe`. A learned ceiling serves any number
/// of levels; a learned weight scale only the bits that it was learned for.
pub fn resolve(recipe: &Recipe, bits: Option<&BitWidths>) -> BitWidths {
    let own = &recipe.bits;
    let widths = |bits: &BitWidths| (bits.weights, bits.activations, bits.layers.clone());
    match bits.filter(|&bits| bits != own && (widths(bits) != widths(own) || !own.layers.is_empty())) {
        None => own.clone(),
        Some(bits) => {
            BitWidths { weight_step: StepSize::Fixed, activation_step: own.activation_step, ..bits.clone() }
        }
    }
}

/// Holds what a run saved: its recipe and its best checkpoint.
pub struct Saved {
    recipe: Recipe,
    /// The recipe's text in the run.
    recipe_text: String,
    path: PathBuf,
    tensors: Tensors,
    state: State,
    digest: String,
}

impl Saved {
    pub fn read(run: &Path) -> Result<Saved> {
        let recipe = run_recipe(run).with_context(|| format!("{} is no run", run.display()))?;
        let place = run.join(RECIPE);
        let recipe_text =
            std::fs::read_to_string(&place).with_context(|| format!("cannot read {}", place.display()))?;
        let path = run.join(BEST);
        let (tensors, state): (Tensors, State) = load(&path)?;
        let digest = digest(&path)?;
        Ok(Saved { recipe, recipe_text, path, tensors, state, digest })
    }

    fn nodes(&self, bits: &BitWidths) -> Result<Vec<Node>> {
        graph::build(&self.recipe.model, self.recipe.squeeze, bits, self.state.image, self.state.classes)
    }

    /// Returns the network of the checkpoint at `bits`.
    pub fn at(self, bits: BitWidths) -> Result<Trained> {
        let mut model = Model::new(self.nodes(&bits)?, &bits, self.recipe.train.seed, Device::Cpu);
        restore(&mut model.values.parameters, &self.tensors, "", &self.path)?;
        restore(&mut model.values.statistics, &self.tensors, "", &self.path)?;
        let Saved { recipe, recipe_text, state, digest, .. } = self;
        Ok(Trained { recipe, recipe_text, bits, model, state, digest })
    }

    /// Returns the bit widths that the run has to be exported with to give `network`: its own, or one for all
    /// layers.
    ///
    /// # Errors
    /// Where neither gives its bits.
    pub fn bits_of(&self, network: &Network, run: &Path) -> Result<BitWidths> {
        let (mut weights, mut activations) = (Vec::new(), Vec::new());
        let mut found = Vec::new();
        for node in network.nodes() {
            let (list, bits) = match &node.layer {
                Layer::Conv(conv) => (&mut weights, conv.weight_bits),
                Layer::Dense(dense) => (&mut weights, dense.weight_bits),
                Layer::Step(step) => (&mut activations, step.bits),
                _ => continue,
            };
            list.push(bits);
            found.push(Bits::Int(bits.into()));
        }
        let own = self.nodes(&self.recipe.bits)?;
        if own.iter().filter_map(|node| node.op.kind().bits()).eq(found) {
            return Ok(self.recipe.bits.clone());
        }
        let only = |what: &str, mut bits: Vec<u8>| {
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
        let uniform = BitWidths::uniform(only("weights", weights)?, only("activations", activations)?);
        Ok(resolve(&self.recipe, Some(&uniform)))
    }
}

/// Holds a run's best checkpoint, to be evaluated at `bits`.
pub struct Trained {
    /// The recipe, as it was read.
    pub recipe: Recipe,
    /// The recipe's text in the run.
    recipe_text: String,
    /// Bit widths of the evaluation.
    pub bits: BitWidths,
    model: Model,
    state: State,
    digest: String,
}

impl Trained {
    pub fn open(run: &Path, bits: Option<&BitWidths>) -> Result<Trained> {
        let saved = Saved::read(run)?;
        let bits = resolve(&saved.recipe, bits);
        saved.at(bits)
    }

    /// Returns the evaluation graph, with the run's calibration or, where there is none yet, a new one, which
    /// is kept.
    pub fn evaluation(
        &self,
        run: &Path,
        images: Option<&Images>,
        keep: Keep,
        compute: Compute,
    ) -> Result<Evaluation> {
        let device = compute.begin();
        let path = calibration_path(run, &self.bits);
        let statistics = match self.kept_statistics(&path)? {
            Some(statistics) => statistics,
            None => self.measured_statistics(run, images, keep, device)?,
        };
        Evaluation::new(&self.model, &statistics, self.state.image, device)
    }

    /// Returns what an earlier calibration at these bits found on this checkpoint.
    fn kept_statistics(&self, path: &Path) -> Result<Option<Tensors>> {
        if !path.exists() {
            return Ok(None);
        }
        let (tensors, calibration): (Tensors, Calibration) = load(path)?;
        if !calibration.belongs(&self.digest, &self.bits.label()) {
            return Ok(None);
        }
        let own = self.model.values.statistics.iter();
        let mut statistics: Tensors =
            own.map(|(name, t)| (name.clone(), t.to_kind(tch::Kind::Double))).collect();
        restore(&mut statistics, &tensors, "", path)?;
        Ok(Some(statistics))
    }

    /// Calibrates anew, and keeps what it finds in the run.
    fn measured_statistics(
        &self,
        run: &Path,
        images: Option<&Images>,
        keep: Keep,
        device: Device,
    ) -> Result<Tensors> {
        let path = calibration_path(run, &self.bits);
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
        let (mut learned, _) = batch::split(images.len(), self.recipe.data.holdout, self.recipe.train.seed);
        learned.truncate(IMAGES);
        let statistics = calibrate(&self.model, images, &learned, &self.recipe, device)?;
        let calibration = Calibration {
            checkpoint: self.digest.clone(),
            bits: self.bits.label(),
            images: learned.len(),
            augmented: true,
        };
        if keep == Keep::InRun {
            save(&path, &statistics, &calibration)?;
        }
        Ok(statistics)
    }

    pub fn provenance(&self) -> Provenance {
        let measure = self.recipe.attacked.choose.measure();
        let metrics = [("epochs", self.state.epochs as f64), (measure, self.state.best_accuracy)];
        Provenance {
            generator: format!("dq {}", env!("CARGO_PKG_VERSION")),
            recipe: self.recipe_text.clone(),
            data_set: self.recipe.data.set.clone(),
            seed: Some(self.recipe.train.seed),
            checkpoint: self.digest.clone(),
            onnx: String::new(),
            metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}

pub fn calibration_path(run: &Path, bits: &BitWidths) -> PathBuf {
    run.join(format!("calibrated-{}.safetensors", bits.label()))
}
