//! Holds everything that training changes: parameters, statistics, momentum, their moving average. Its
//! tensors are a checkpoint.

use std::path::Path;

use anyhow::Result;
use tch::{Device, Tensor, no_grad};

use crate::fit::model::Model;
use crate::fit::optimizer::{Rates, update, zero_momentum};
use crate::node::Node;
use crate::node::values::Values;
use crate::recipe::Recipe;
use crate::run::checkpoint::restore;
use crate::tensor::Tensors;

/// Prefix of the names of momentum buffers in a checkpoint.
const MOMENTUM: &str = "momentum.";
/// Prefix of the names of learned tensors, in a checkpoint whose plain names are those of the moving average.
const LATEST: &str = "latest.";

/// Holds a network in training.
pub struct Learner {
    /// The network that the next step changes.
    pub model: Model,
    momentum: Tensors,
    /// The moving average of parameters and statistics.
    average: Option<Model>,
    decay: f64,
}

impl Learner {
    /// Makes an untrained network.
    pub fn new(recipe: &Recipe, nodes: Vec<Node>, device: Device) -> Learner {
        let model = Model::new(nodes, &recipe.bits, recipe.train.seed, device);
        let momentum = zero_momentum(&model);
        let decay = recipe.train.ema;
        let average = (decay > 0.0).then(|| model.copy());
        Learner { model, momentum, average, decay }
    }

    /// Sets learned ceilings from a batch of training images, before the first step.
    pub fn fit(&mut self, images: &Tensor) {
        self.model.fit_ceilings(images);
        self.average = self.average.as_ref().map(|_| self.model.copy());
    }

    /// Makes one update from the gradients that `backward` left.
    pub fn update(&mut self, recipe: &Recipe, rates: Rates) {
        update(&mut self.model, &mut self.momentum, &recipe.optimizer, &recipe.dq, rates);
        let Some(average) = &mut self.average else { return };
        no_grad(|| {
            for ((_, old), (_, new)) in average.values.iter_mut().zip(self.model.values.iter()) {
                let _ = old.lerp_(new, 1.0 - self.decay);
            }
        });
    }

    /// Returns what is evaluated and exported.
    pub fn evaluated(&self) -> &Model {
        self.average.as_ref().unwrap_or(&self.model)
    }

    /// Returns what is exported, under its own names.
    pub fn exported(&self) -> Tensors {
        let named = self.evaluated().values.iter();
        named.map(|(name, t)| (name.clone(), t.shallow_clone())).collect()
    }

    /// Returns all that training goes on from.
    pub fn checkpoint(&self) -> Tensors {
        let mut tensors = self.exported();
        let prefixed = |prefix: &str, from: &Tensors| -> Vec<_> {
            from.iter().map(|(name, t)| (format!("{prefix}{name}"), t.shallow_clone())).collect()
        };
        tensors.extend(prefixed(MOMENTUM, &self.momentum));
        if self.average.is_some() {
            tensors.extend(prefixed(LATEST, &self.model.values.parameters));
            tensors.extend(prefixed(LATEST, &self.model.values.statistics));
        }
        tensors
    }

    /// Goes back to what [`checkpoint`](Self::checkpoint) gave; `path` is what errors call it.
    pub fn restore(&mut self, tensors: &Tensors, path: &Path) -> Result<()> {
        let put = |values: &mut Values, prefix: &str| {
            restore(&mut values.parameters, tensors, prefix, path)?;
            restore(&mut values.statistics, tensors, prefix, path)
        };
        let mut latest = "";
        if let Some(average) = &mut self.average {
            put(&mut average.values, "")?;
            latest = LATEST;
        }
        put(&mut self.model.values, latest)?;
        restore(&mut self.momentum, tensors, MOMENTUM, path)
    }

    /// Starts from weights found elsewhere: see [`crate::run::import`].
    pub fn start_from(&mut self, tensors: &Tensors, path: &Path) -> Result<()> {
        crate::run::import::into(&mut self.model.values, tensors, path)?;
        self.average = self.average.as_ref().map(|_| self.model.copy());
        Ok(())
    }
}
