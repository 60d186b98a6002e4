//! Trains: one recipe, a grid of recipes, or a network of the demo.

use crate::compute;
use crate::sweep;
use crate::training::{How, train};
use anyhow::{Result, bail};
use clap::error::ErrorKind;
use dq::shared::args::Device;
use dq::shared::data;
use dq::shared::files::shown;
use dq::shared::ui::Ui;
use dq::torch::{Lesson, TrainArgs, Trained};
use dq_data::Split;
use dq_net::AnyNetwork;
use dq_train::{Choose, Keep, LAST, Recipe};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Runs `dq train`.
pub fn run(ui: &Ui, args: &TrainArgs) -> Result<()> {
    let compute = compute(ui, args.device)?;
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
    let (share, epoch) = outcome.best;
    let chosen = recipe.attacked.choose;
    let key = format!("best_{}", chosen.measure());
    let what = match chosen {
        Choose::Clean => "accuracy",
        Choose::Attacked => "accuracy under attack",
        Choose::Certified => "certified share",
    };
    ui.result(
        || {
            json!({"run": shown(&out), "quantized": recipe.bits.quantized(), "epochs": outcome.epochs,
                "best_epoch": epoch, key: share})
        },
        format!(
            "{} epochs; best held-out {what} {:.2} % ({}) in epoch {epoch}\nnext: dq export {} -o model.json",
            outcome.epochs,
            100.0 * share,
            recipe.bits.quantized(),
            out.display()
        ),
    )
}

/// Trains a network of the demo, or goes on with it, and exports it.
pub fn demo(ui: &Ui, lesson: &Lesson) -> Result<Trained> {
    let recipe = Recipe::parse(lesson.recipe, lesson.origin, lesson.overrides)?;
    let run = lesson.folder.join(&recipe.name);
    let resume = run.join(LAST).exists();
    let compute = compute(ui, Device::Auto)?;
    let how = How { init: None, resume, save_every: Duration::from_secs(300), compute };
    train(ui, &recipe, lesson.images, &run, &how)?;
    ui.note(format!("{}: exporting, with proof", recipe.name));
    let AnyNetwork::Integer(network) =
        dq_train::export(&run, None, Some(lesson.images), Keep::InRun, compute)?
    else {
        bail!("{}: the demo's recipes are quantized", recipe.name)
    };
    Ok(Trained { name: recipe.name, beta: recipe.dq.beta, run, network })
}
