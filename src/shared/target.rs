//! Uses networks of either family, integer or float, as what is attacked and as what gives gradients.

use super::args::GradArg;
use super::data::{self, TestImages};
use super::libtorch::LibtorchArg;
use super::model;
use super::ui::Ui;
use anyhow::{Result, bail};
use dq_data::Images;
use dq_net::{AnyNetwork, Network};
use dq_sim::attack::suite::{Circuit, Judge};
use dq_sim::study::amplify::Inside;
use dq_sim::{FloatEngine, GradientSource, WhiteBox};
use std::path::{Path, PathBuf};

/// Holds a network of either family, ready to be attacked or to give gradients.
pub enum Target {
    Integer(Box<WhiteBox>),
    /// An integer network, and the same on libtorch, which computes.
    Libtorch(Box<WhiteBox>, Box<dyn Circuit>),
    Float(Box<FloatEngine>),
}

impl Target {
    /// Reads the network in `path`.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::of(dq_net::read_any(path)?))
    }

    /// Reads the network in `path`, or builds the topology that it names with weights that follow `seed`.
    pub fn open_or_build(path: &Path, seed: u64) -> Result<Self> {
        Ok(Self::of(model::open_any(path, seed)?))
    }

    fn of(network: AnyNetwork) -> Self {
        match network {
            AnyNetwork::Integer(network) => Self::Integer(Box::new(WhiteBox::new(&network))),
            AnyNetwork::Float(network) => Self::Float(Box::new(FloatEngine::new(&network))),
        }
    }

    /// Sums an integer network's gradients in the numbers that `grad` names.
    pub fn with_gradients(self, grad: GradArg) -> Self {
        match self {
            Self::Integer(white_box) => Self::Integer(Box::new(white_box.with_gradients(grad.into()))),
            float => float,
        }
    }

    /// Lets libtorch compute an integer network, where `libtorch` asks for it.
    pub fn on(self, ui: &Ui, libtorch: &LibtorchArg) -> Result<Self> {
        match self {
            Self::Integer(white_box) => Ok(match libtorch.circuit(ui, white_box.network())? {
                Some(circuit) => Self::Libtorch(white_box, circuit),
                None => Self::Integer(white_box),
            }),
            other => Ok(other),
        }
    }

    /// Returns the integer network that `option` needs.
    pub fn integer(&self, option: &str) -> Result<&Network> {
        match self {
            Self::Integer(white_box) | Self::Libtorch(white_box, _) => Ok(white_box.network()),
            Self::Float(_) => bail!("{option}: expected an integer network, found a float one"),
        }
    }

    /// Returns twins with the same weights: without quantizers, and with softened ones.
    pub fn ladder(&self) -> Result<Vec<(&'static str, FloatEngine)>> {
        let twin = dq_sim::twin::twin(self.integer("--ladder")?)?;
        let sources = [FloatEngine::new(&twin), FloatEngine::softened(&twin)];
        Ok(dq_sim::twin::LADDER.into_iter().zip(sources).collect())
    }

    /// Returns the SHA-256 of what the network computes.
    pub fn content_hash(&self) -> String {
        match self {
            Self::Integer(white_box) | Self::Libtorch(white_box, _) => {
                dq_net::content_hash(white_box.network())
            }
            Self::Float(engine) => dq_net::float_content_hash(engine.network()),
        }
    }

    /// Returns the network as what is attacked.
    pub fn judge(&self) -> &dyn Judge {
        match self {
            Self::Integer(white_box) => white_box.as_ref(),
            Self::Libtorch(_, circuit) => circuit.as_ref(),
            Self::Float(engine) => engine.as_ref(),
        }
    }

    /// Returns the network as what a study looks into.
    pub fn inside(&self) -> &dyn Inside {
        match self {
            Self::Integer(white_box) | Self::Libtorch(white_box, _) => white_box.as_ref(),
            Self::Float(engine) => engine.as_ref(),
        }
    }

    /// Returns the network as what gives gradients.
    pub fn source(&self) -> &dyn GradientSource {
        match self {
            Self::Integer(white_box) => white_box.as_ref(),
            Self::Libtorch(_, circuit) => circuit.as_ref(),
            Self::Float(engine) => engine.as_ref(),
        }
    }
}

/// Reads the networks of `paths` and the test images, which must fit them all.
pub fn open_all(paths: &[PathBuf], test: &TestImages) -> Result<(Vec<Target>, Images)> {
    let targets = paths.iter().map(|path| Target::open(path)).collect::<Result<Vec<_>>>()?;
    let images = test.open_all()?;
    for target in &targets {
        data::check_fit(&images, target.source().input(), target.source().classes())?;
    }
    Ok((targets, images))
}
