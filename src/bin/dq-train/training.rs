//! Trains with a progress bar and a line per epoch.

use anyhow::Result;
use dq::shared::ui::{Interrupted, Ui};
use dq_data::Images;
use dq_train::{Compute, EpochMetrics, Event, Options, Outcome, Recipe};
use std::path::Path;
use std::time::Duration;

/// Says where training starts, and sets what does not change the result.
pub struct How<'a> {
    /// Weights to start from.
    pub init: Option<&'a Path>,
    /// Whether training goes on from the run's last checkpoint, if there is one.
    pub resume: bool,
    /// The longest time between two checkpoints within an epoch.
    pub save_every: Duration,
    /// Where libtorch computes.
    pub compute: Compute,
}

/// Trains with a progress bar; a stop by the user is an [`Interrupted`].
pub fn train(ui: &Ui, recipe: &Recipe, images: &Images, out: &Path, how: &How) -> Result<Outcome> {
    ui.note(format!(
        "training {} ({}) on {} ({} images, {} threads)",
        recipe.name,
        recipe.bits.quantized(),
        images.name,
        images.len(),
        ui.threads()
    ));
    let bar = ui.bar("training", 0, "steps");
    let How { init, resume, save_every, compute } = *how;
    let options = Options { run: out, resume, init, compute, save_every, stop: &ui.stop };
    let outcome = dq_train::train(recipe, images, &options, |event| match event {
        Event::Step { epoch, epochs, step, steps, ce } => {
            bar.set_length((epochs * steps) as u64);
            bar.set_position(((epoch - 1) * steps + step) as u64);
            bar.set_message(format!("epoch {epoch}/{epochs} ce {ce:.3}"));
        }
        Event::Changed(note) => bar.suspend(|| {
            ui.note(format!("{note}; recipe.toml and what is exported say so"));
        }),
        Event::Epoch(line) => bar.suspend(|| ui.note(told(line))),
    });
    bar.finish_and_clear();
    let outcome = outcome?;
    if outcome.stopped {
        let kept = format!(
            "{} keeps every step, {} complete epochs; --resume goes on",
            out.display(),
            outcome.epochs
        );
        return Err(Interrupted(kept).into());
    }
    Ok(outcome)
}

fn told(line: &EpochMetrics) -> String {
    let share = |of: Option<f64>, what: &str| {
        of.map(|share| format!(" ({:.2} % {what})", 100.0 * share)).unwrap_or_default()
    };
    let attacked = share(line.holdout_attacked, "attacked") + &share(line.holdout_certified, "certified");
    format!(
        "epoch {:3}: cross entropy {:.4}, train {:5.2} %, held out {:5.2} %{attacked}, lr {:.4}, \
         {:.0} images/s",
        line.epoch,
        line.ce,
        100.0 * line.train_accuracy,
        100.0 * line.holdout_accuracy,
        line.lr,
        line.images_per_second
    )
}
