//! Resolves a MODEL argument: a model's file or, where there is none of that name, a built-in topology with
//! random weights.

use super::ui::Ui;
use anyhow::{Result, anyhow};
use clap::Arg;
use dq_net::{AnyNetwork, FileError, Network, topology};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The integer network that a command takes.
#[derive(clap::Args)]
pub struct ModelArg {
    /// Integer network's file, or a built-in topology with random weights (`cnv`, `wrn-16-4:w4a4`, …).
    #[arg(value_name = "MODEL")]
    model: PathBuf,
}

impl ModelArg {
    /// Reads the network; a topology's weights follow `--seed`.
    pub fn open(&self, ui: &Ui) -> Result<Network> {
        open(&self.model, ui.seed())
    }

    /// Returns what the user gave.
    pub fn path(&self) -> &Path {
        &self.model
    }
}

/// Names other topologies in `--help`, for `mut_arg("model", …)`.
pub fn topologies_such_as(examples: &'static str) -> impl FnOnce(Arg) -> Arg {
    move |arg| {
        arg.help(format!(
            "Integer network's file, or a built-in topology with random weights ({examples}, …)"
        ))
    }
}

/// Says in `--help` what the model has to be, for `mut_arg("model", …)`.
pub fn model_is(what: &'static str) -> impl FnOnce(Arg) -> Arg {
    move |arg| arg.help(what)
}

/// Reads the integer network that `path` names; a topology's weights follow `seed`.
pub fn open(path: &Path, seed: u64) -> Result<Network> {
    match topology_of(path) {
        Some(text) => Ok(topology::build(text, seed)?),
        None => dq_net::read_network(path).map_err(explain),
    }
}

/// Reads what `path` names as [`open`] does, of either family.
pub fn open_any(path: &Path, seed: u64) -> Result<AnyNetwork> {
    match topology_of(path) {
        Some(text) => Ok(AnyNetwork::Integer(topology::build(text, seed)?)),
        None => dq_net::read_any(path).map_err(explain),
    }
}

fn topology_of(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| topology::is_named(text) && !path.is_file())
}

/// Says which topologies there are where a file with a bare name is missing: it may be one misspelt.
fn explain(error: FileError) -> anyhow::Error {
    match &error {
        FileError::Io { path, source, .. }
            if source.kind() == ErrorKind::NotFound
                && path.extension().is_none()
                && path.components().count() == 1 =>
        {
            let known: Vec<&str> = topology::ALL.iter().map(|topology| topology.name).collect();
            anyhow!("{error}; nor is it a built-in topology ({})", known.join(", "))
        }
        _ => error.into(),
    }
}
