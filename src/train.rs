//! `dq train`: a recipe to a run.

use crate::args::DataArg;
use crate::data;
use crate::ui::{Interrupted, Ui};
use anyhow::Result;
use dq_net::data::Split;
use dq_train::{Event, Options, Recipe};
use serde_json::json;
use std::path::PathBuf;

/// Train a network from a recipe
///
/// Writes RUN/recipe.toml (every setting), metrics.jsonl (one line an epoch),
/// last.safetensors and best.safetensors (best by held-out training images; the test
/// set is never looked at). Ctrl-C keeps the last complete epoch; `--resume` goes on
/// from there.
///
/// Examples:
///   dq train recipes/signs-tiny-dq.toml
///   dq train recipes/cifar10-vgg-small.toml --data cifar10=data/cifar-10 --out runs/dq
///   dq train recipes/cifar10-vgg-small.toml --data cifar10=data/cifar-10 --set dq.beta=0 --set train.epochs=5
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Recipe (TOML).
    recipe: PathBuf,
    /// Data set's folder, e.g. `cifar10=DIR`; `signs` is built in.
    #[arg(long, value_name = "SET=DIR")]
    data: Vec<DataArg>,
    /// Folder of the run (default: `runs/` and the recipe's name).
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Go on from the run's last complete epoch.
    #[arg(long)]
    resume: bool,
    /// Override a key of the recipe, e.g. `dq.beta=0` (repeatable).
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let mut overrides = args.overrides.clone();
    overrides.extend(ui.global.seed.map(|seed| format!("train.seed={seed}")));
    let recipe = Recipe::load(&args.recipe, &overrides)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&recipe.name));
    let images = data::find(&recipe.data.set, &args.data, Split::Train)?;
    let outcome = train(ui, &recipe, &images, &out, args.resume)?;
    let (accuracy, epoch) = outcome.best;
    ui.result(
        &json!({"run": out, "epochs": outcome.epochs, "best_epoch": epoch, "best_holdout_accuracy": accuracy}),
        format!(
            "{} epochs; best held-out accuracy {:.2} % in epoch {epoch}\nnext: dq export {} -o model.json",
            outcome.epochs,
            100.0 * accuracy,
            out.display()
        ),
    )
}

/// Trains with a progress bar; a stop by the user is an [`Interrupted`].
pub fn train(
    ui: &Ui,
    recipe: &Recipe,
    images: &dq_net::data::Images,
    out: &std::path::Path,
    resume: bool,
) -> Result<dq_train::Outcome> {
    ui.note(format!(
        "training {} on {} ({} images, {} threads)",
        recipe.name,
        images.name,
        images.len(),
        ui.threads()
    ));
    let bar = ui.bar("training", 0, "steps");
    let options = Options { run: out, resume, threads: ui.threads(), stop: &ui.stop };
    let outcome = dq_train::train(recipe, images, &options, |event| {
        match event {
        Event::Step { epoch, epochs, step, steps, ce } => {
            bar.set_length((epochs * steps) as u64);
            bar.set_position(((epoch - 1) * steps + step) as u64);
            bar.set_message(format!("epoch {epoch}/{epochs} ce {ce:.3}"));
        }
        Event::Epoch(line) => bar.suspend(|| {
            ui.note(format!(
                "epoch {:3}: cross entropy {:.4}, train {:5.2} %, held out {:5.2} %, lr {:.4}, {:.0} images/s",
                line.epoch,
                line.ce,
                100.0 * line.train_accuracy,
                100.0 * line.holdout_accuracy,
                line.lr,
                line.images_per_second
            ));
        }),
    }
    });
    bar.finish_and_clear();
    let outcome = outcome?;
    if outcome.stopped {
        let kept =
            format!("{} complete epochs are kept in {}; --resume goes on", outcome.epochs, out.display());
        return Err(Interrupted(kept).into());
    }
    Ok(outcome)
}
