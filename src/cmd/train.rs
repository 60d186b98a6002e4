//! Implements `dq train`: turns a recipe into a run, or a grid of recipes into a table. The work is libtorch's.

use crate::shared::args::{DataArg, Device, at_least_one};
use crate::shared::ui::Ui;
use anyhow::Result;
use std::path::PathBuf;
use std::str::FromStr;

/// Train a network from a recipe
///
/// Writes RUN/recipe.toml (every setting), metrics.jsonl (one line per epoch), TensorBoard
/// events, last.safetensors and best.safetensors (best by held-out training images; the
/// test set is never looked at). Ctrl-C keeps every step; a kill loses what came after the
/// last checkpoint. `--resume` goes on from there to the same weights.
///
/// Examples:
///   dq train recipes/signs-tiny-dq.toml
///   dq train recipes/cifar10-vgg-small.toml --data cifar10=data/cifar-10 --out runs/dq
///   dq train recipes/signs-tiny-dq.toml --set adversarial.attack=r+fgsm --set train.epochs=5
///   dq train recipes/signs-tiny-dq.toml --sweep bits.activations=1,2,4 --sweep dq.beta=0,2e-3 --seeds 3
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Recipe (TOML).
    pub recipe: PathBuf,
    /// Data set's folder, e.g. `cifar10=DIR`; `signs` is built in.
    #[arg(long, value_name = "SET=DIR")]
    pub data: Vec<DataArg>,
    /// Folder of the run, or of a sweep's runs (default: `runs/` and the recipe's name).
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Go on from the run's last checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Override a key of the recipe, e.g. `dq.beta=0` (repeatable).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Weights to start from (safetensors; the names are in docs/weights.md).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sweep", "seeds"])]
    pub init: Option<PathBuf>,
    /// Train every combination of these values (repeatable); always resumed; a table at the end.
    #[arg(long, value_name = "KEY=V1,V2,…")]
    pub sweep: Vec<Axis>,
    /// Train each combination with so many seeds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: Option<u64>,
    /// Where to train.
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    pub device: Device,
    /// Longest time between two checkpoints within an epoch.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = at_least_one())]
    pub save_every: u64,
}

/// Holds a key of the recipe and the values that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The key, such as `dq.beta`.
    pub key: String,
    /// Its values, as TOML writes them.
    pub values: Vec<String>,
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, values) = text.split_once('=').ok_or("expected KEY=V1,V2,… (e.g. dq.beta=0,2e-3)")?;
        let values = split(values);
        if values.iter().any(String::is_empty) {
            return Err(format!("`{key}`: a grid with no cell: expected values between commas"));
        }
        Ok(Axis { key: key.trim().to_owned(), values })
    }
}

/// Splits at commas that stand in no bracket and no string.
fn split(text: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut parts) = (0, false, vec![String::new()]);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 && !quoted {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("never empty").push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    ui.torch()?.train(ui, args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_split_at_outer_commas() {
        let axis: Axis = "model.blocks=[[8],[16]],[[4]]".parse().unwrap();
        assert_eq!(axis.values, ["[[8],[16]]", "[[4]]"]);
        for empty in ["dq.beta=", "dq.beta=0,", "dq.beta"] {
            assert!(empty.parse::<Axis>().is_err(), "{empty}");
        }
    }
}
