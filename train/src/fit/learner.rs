//! Everything that training changes: parameters, statistics, momentum, their moving average. Its tensors are a checkpoint.

use std::path::Path;

use anyhow::Result;
use tch::{Device, Tensor, no_grad};

use crate::fit::model::{Model, Tensors};
use crate::fit::optimizer::{update, zero_momentum};
use crate::graph::Node;
use crate::recipe::Recipe;
use crate::run::checkpoint::restore;

/// Prefix of momentum buffers in a checkpoint.
const MOMENTUM: &str = "momentum.";
/// Prefix of what is learned, in a checkpoint whose unprefixed tensors are the moving average.
const LATEST: &str = "latest.";

/// A network in training.
pub struct Learner {
    /// As the next step takes it.
    pub model: Model,
    momentum: Tensors,
    /// Moving average of parameters and statistics.
    average: Option<Model>,
    decay: f64,
}

impl Learner {
    /// Untrained.
    pub fn new(recipe: &Recipe, nodes: Vec<Node>, device: Device) -> Learner {
        let model = Model::new(nodes, &recipe.bits, recipe.train.seed, device);
        let momentum = zero_momentum(&model);
        let decay = recipe.train.ema;
        let average = (decay > 0.0).then(|| model.copy());
        Learner { model, momentum, average, decay }
    }

    /// Before the first step: sets learned ceilings from a batch of what will be learned from.
    pub fn fit(&mut self, images: &Tensor) {
        self.model.fit_ceilings(images);
        self.average = self.average.as_ref().map(|_| self.model.copy());
    }

    /// One update from the gradients that `backward` left, at learning rate `lr`.
    pub fn update(&mut self, recipe: &Recipe, lr: f64) {
        update(&mut self.model, &mut self.momentum, &recipe.optimizer, &recipe.dq, lr);
        let Some(average) = &mut self.average else { return };
        no_grad(|| {
            let old = average.parameters.values_mut().chain(average.statistics.values_mut());
            for (old, new) in old.zip(self.model.parameters.values().chain(self.model.statistics.values())) {
                let _ = old.lerp_(new, 1.0 - self.decay);
            }
        });
    }

    /// What is evaluated and exported.
    pub fn evaluated(&self) -> &Model {
        self.average.as_ref().unwrap_or(&self.model)
    }

    /// What is exported, under its own names.
    pub fn exported(&self) -> Tensors {
        let model = self.evaluated();
        let named = model.parameters.iter().chain(&model.statistics);
        named.map(|(name, t)| (name.clone(), t.shallow_clone())).collect()
    }

    /// All that training goes on from.
    pub fn checkpoint(&self) -> Tensors {
        let mut tensors = self.exported();
        let prefixed = |prefix: &str, from: &Tensors| -> Vec<_> {
            from.iter().map(|(name, t)| (format!("{prefix}{name}"), t.shallow_clone())).collect()
        };
        tensors.extend(prefixed(MOMENTUM, &self.momentum));
        if self.average.is_some() {
            tensors.extend(prefixed(LATEST, &self.model.parameters));
            tensors.extend(prefixed(LATEST, &self.model.statistics));
        }
        tensors
    }

    /// Back to what [`checkpoint`](Self::checkpoint) gave; `path` is what errors call it.
    pub fn restore(&mut self, tensors: &Tensors, path: &Path) -> Result<()> {
        let mut latest = "";
        if let Some(average) = &mut self.average {
            restore(&mut average.parameters, tensors, "", path)?;
            restore(&mut average.statistics, tensors, "", path)?;
            latest = LATEST;
        }
        restore(&mut self.model.parameters, tensors, latest, path)?;
        restore(&mut self.model.statistics, tensors, latest, path)?;
        restore(&mut self.momentum, tensors, MOMENTUM, path)
    }

    /// Starts from weights found elsewhere: see [`crate::run::import`].
    pub fn start_from(&mut self, tensors: &Tensors, path: &Path) -> Result<()> {
        crate::run::import::into(&mut self.model, tensors, path)?;
        self.average = self.average.as_ref().map(|_| self.model.copy());
        Ok(())
    }
}
