//! Implements `dq train`: turns a recipe into a run, or a grid of recipes into a table.

mod sweep;

use crate::shared::args::{DataArg, Device, at_least_one};
use crate::shared::data;
use crate::shared::files::shown;
use crate::shared::training::{How, train};
use crate::shared::ui::Ui;
use anyhow::Result;
use clap::error::ErrorKind;
use dq_data::Split;
use dq_train::Recipe;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use sweep::Axis;

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
    recipe: PathBuf,
    /// Data set's folder, e.g. `cifar10=DIR`; `signs` is built in.
    #[arg(long, value_name = "SET=DIR")]
    data: Vec<DataArg>,
    /// Folder of the run, or of a sweep's runs (default: `runs/` and the recipe's name).
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Go on from the run's last checkpoint.
    #[arg(long)]
    resume: bool,
    /// Override a key of the recipe, e.g. `dq.beta=0` (repeatable).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Weights to start from (safetensors; the names are in docs/weights.md).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sweep", "seeds"])]
    init: Option<PathBuf>,
    /// Train every combination of these values (repeatable); always resumed; a table at the end.
    #[arg(long, value_name = "KEY=V1,V2,…")]
    sweep: Vec<Axis>,
    /// Train each combination with so many seeds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: Option<u64>,
    /// Where to train.
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    device: Device,
    /// Longest time between two checkpoints within an epoch.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = at_least_one())]
    save_every: u64,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let compute = args.device.compute(ui.threads())?;
    if let Some(seed) = ui.global.seed.filter(|&seed| seed > Recipe::MAX_SEED) {
        let text = format!("--seed: expected 0 to {}, found {seed}\n", Recipe::MAX_SEED);
        clap::Error::raw(ErrorKind::ValueValidation, text).exit();
    }
    let mut overrides = args.overrides.clone();
    overrides.extend(ui.global.seed.map(|seed| format!("train.seed={seed}")));
    let recipe = Recipe::load(&args.recipe, &overrides)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&recipe.name));
    let swept = !args.sweep.is_empty() || args.seeds.is_some();
    let how = How {
        init: args.init.as_deref(),
        resume: swept || args.resume,
        save_every: Duration::from_secs(args.save_every),
        compute,
    };
    if swept {
        let grid = sweep::Grid::new(&args.recipe, &overrides, &args.sweep, args.seeds.unwrap_or(1))?;
        let images = data::find(&grid.data_set()?, &args.data, Split::Train)?;
        return sweep::run(ui, &grid, &images, &out, &how);
    }
    let images = data::find(&recipe.data.set, &args.data, Split::Train)?;
    let outcome = train(ui, &recipe, &images, &out, &how)?;
    let (accuracy, epoch) = outcome.best;
    ui.result(
        || {
            json!({"run": shown(&out), "quantized": recipe.bits.quantized(), "epochs": outcome.epochs,
                "best_epoch": epoch, "best_holdout_accuracy": accuracy})
        },
        format!(
            "{} epochs; best held-out accuracy {:.2} % ({}) in epoch {epoch}\nnext: dq export {} -o \
             model.json",
            outcome.epochs,
            100.0 * accuracy,
            recipe.bits.quantized(),
            out.display()
        ),
    )
}
