//! The folder of a run: what is in it, how it is begun, resumed and added to. Every file appears whole or not at all.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dq_data::Images;
use toml::{Table, Value};

use crate::fit::learner::Learner;
use crate::fit::model::Tensors;
use crate::fit::trainer::Options;
use crate::recipe::Recipe;
use crate::run::checkpoint::{State, load, save, write_atomically};
use crate::run::metrics::EpochMetrics;

/// The resolved recipe.
pub const RECIPE: &str = "recipe.toml";
/// One JSON object an epoch.
pub const METRICS: &str = "metrics.jsonl";
/// All that training goes on from, as of the newest epoch or, within one, of the newest step that was saved.
pub const LAST: &str = "last.safetensors";
/// The best epoch by held-out images (the earliest of equals).
pub const BEST: &str = "best.safetensors";

/// A run's folder, and where the run stands.
pub struct Folder<'a> {
    run: &'a Path,
    /// Where the run stands.
    pub state: State,
    lines: String,
}

impl<'a> Folder<'a> {
    /// Makes or resumes the folder; `learner` then stands where the run stands.
    ///
    /// # Errors
    /// A folder that holds a run and is not to be resumed, one of another recipe or other images, a damaged file.
    pub fn open(
        options: &Options<'a>,
        recipe: &Recipe,
        images: &Images,
        learner: &mut Learner,
    ) -> Result<Folder<'a>> {
        let run = options.run;
        let last = run.join(LAST);
        std::fs::create_dir_all(run)
            .with_context(|| format!("cannot make the run folder {}", run.display()))?;
        let (image, classes) = (images.shape(), images.classes.len());
        let mut folder = Folder { run, state: State::new(image, classes), lines: String::new() };
        if options.goes_on() {
            same_training(&Recipe::load(&run.join(RECIPE), &[])?, recipe, run)?;
            let (tensors, found): (Tensors, State) = load(&last)?;
            learner.restore(&tensors, &last)?;
            ensure!(
                (found.image, found.classes) == (image, classes),
                "{}: trained on images of {:?} and {} classes, found {image:?} and {classes}",
                last.display(),
                found.image,
                found.classes
            );
            folder.state = found;
            folder.lines = lines_up_to(&run.join(METRICS), found.epochs)?;
        } else {
            ensure!(
                options.resume || !(last.exists() || run.join(RECIPE).exists()),
                "{} already holds a run: resume it (--resume) or name another folder",
                run.display()
            );
        }
        write_atomically(&run.join(RECIPE), recipe.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// Saves the step that the state stands at.
    pub fn save_last(&self, learner: &Learner) -> Result<()> {
        save(&self.run.join(LAST), &learner.checkpoint(), &self.state)
    }

    /// Saves a complete epoch, which `is_best` or not.
    pub fn save_epoch(&mut self, learner: &Learner, line: &EpochMetrics, is_best: bool) -> Result<()> {
        if is_best {
            save(&self.run.join(BEST), &learner.exported(), &self.state)?;
        }
        self.lines.push_str(&serde_json::to_string(line)?);
        self.lines.push('\n');
        write_atomically(&self.run.join(METRICS), self.lines.as_bytes())?;
        self.save_last(learner)
    }
}

/// Refuses to resume with another recipe, and says which fields differ; name, length and precision may.
fn same_training(old: &Recipe, new: &Recipe, run: &Path) -> Result<()> {
    let mut expected = new.clone();
    expected.name.clone_from(&old.name);
    expected.train.epochs = old.train.epochs;
    expected.train.precision = old.train.precision;
    if *old == expected {
        return Ok(());
    }
    let table = |recipe: &Recipe| Table::try_from(recipe).expect("a recipe is a table");
    let mut changed = Vec::new();
    differences("", &table(old), &table(&expected), &mut changed);
    bail!("{}: cannot resume with another recipe: {}", run.display(), changed.join("; "));
}

fn differences(prefix: &str, old: &Table, new: &Table, found: &mut Vec<String>) {
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let shown = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => {
                differences(&format!("{prefix}{key}."), a, b, found);
            }
            (a, b) if a != b => found.push(format!(
                "the run has `{prefix}{key} = {}`, the recipe has `{prefix}{key} = {}`",
                shown(a),
                shown(b)
            )),
            _ => {}
        }
    }
}

/// The metrics of epochs 1…`epochs`; later lines belong to an epoch that was never saved.
fn lines_up_to(path: &Path, epochs: usize) -> Result<String> {
    if epochs == 0 {
        return Ok(String::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().take(epochs).map(|line| format!("{line}\n")).collect())
}
