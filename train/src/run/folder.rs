//! Manages the folder of a run: what is in it, how it is begun, resumed and added to. Every file appears
//! whole or not at all.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dq_data::Images;
use toml::{Table, Value};

use super::checkpoint::{State, load, save, write_atomically};
use super::files::{BEST, LAST, METRICS, RECIPE, digest};
use super::metrics::EpochMetrics;
use super::options::Options;
use crate::recipe::Recipe;
use crate::tensor::Tensors;

/// Holds a run's folder, and how far the run has come.
pub struct Folder<'a> {
    run: &'a Path,
    /// How far the run has come.
    pub state: State,
    lines: String,
    /// The recipe that it was trained by so far; none for a new run.
    pub earlier: Option<Recipe>,
    /// What its recipe does not say of the epochs so far, a line each.
    notes: Vec<String>,
}

impl<'a> Folder<'a> {
    /// Makes the folder, or opens it to go on; then also returns the tensors of its last checkpoint.
    ///
    /// # Errors
    /// A folder that holds a run and is not to be resumed, one of another recipe or other images, a damaged
    /// file.
    pub fn open(
        options: &Options<'a>,
        recipe: &Recipe,
        images: &Images,
    ) -> Result<(Folder<'a>, Option<Tensors>)> {
        let run = options.run;
        let last = run.join(LAST);
        std::fs::create_dir_all(run)
            .with_context(|| format!("cannot make the run folder {}", run.display()))?;
        let (image, classes) = (images.shape(), images.classes.len());
        let state = State::new(image, classes);
        let mut folder = Folder { run, state, lines: String::new(), earlier: None, notes: vec![] };
        if !options.goes_on() {
            ensure!(
                options.resume || !(last.exists() || run.join(RECIPE).exists()),
                "{} already holds a run: resume it (--resume) or name another folder",
                run.display()
            );
            if let Some(weights) = options.init {
                let name = weights.file_name().unwrap_or_default().to_string_lossy();
                let hash = digest(weights)?;
                folder.notes.push(format!("it started from the weights of {name}, SHA-256 {hash}"));
            }
            return Ok((folder, None));
        }
        let place = run.join(RECIPE);
        let earlier = Recipe::load(&place, &[])?;
        same_training(&earlier, recipe, run)?;
        let text =
            std::fs::read_to_string(&place).with_context(|| format!("cannot read {}", place.display()))?;
        folder.notes = text.lines().map_while(|line| line.strip_prefix("# ")).map(str::to_owned).collect();
        folder.earlier = Some(earlier);
        let (tensors, found): (Tensors, State) = load(&last)?;
        ensure!(
            (found.image, found.classes) == (image, classes),
            "{}: trained on images of {:?} and {} classes, found {image:?} and {classes}",
            last.display(),
            found.image,
            found.classes
        );
        folder.state = found;
        folder.lines = lines_up_to(&run.join(METRICS), found.epochs)?;
        Ok((folder, Some(tensors)))
    }

    /// Notes that training came so far with other `settings` than the recipe's, in the run's recipe and so in
    /// what is exported. Returns the note, if there is anything to say.
    pub fn note(&mut self, settings: &[String]) -> Option<String> {
        let State { epochs, step, .. } = self.state;
        if settings.is_empty() || (epochs, step) == (0, 0) {
            return None;
        }
        let so_far = match step {
            0 => format!("up to epoch {epochs} it was"),
            _ => format!("up to step {step} of epoch {} it was", epochs + 1),
        };
        // A call that made no step changed nothing.
        if self.notes.iter().any(|note| note.starts_with(&so_far)) {
            return None;
        }
        let note = format!("{so_far} trained with {}", settings.join(", "));
        self.notes.push(note.clone());
        Some(note)
    }

    /// Writes the recipe that is trained from here on, below the notes on what was before.
    pub fn save_recipe(&self, recipe: &Recipe) -> Result<()> {
        let notes: String = self.notes.iter().map(|note| format!("# {note}\n")).collect();
        write_atomically(&self.run.join(RECIPE), (notes + &recipe.to_toml()).as_bytes())
    }

    /// Saves the step that the state is at: all that training goes on from.
    pub fn save_last(&self, checkpoint: &Tensors) -> Result<()> {
        save(&self.run.join(LAST), checkpoint, &self.state)
    }

    /// Saves what is exported, of the best epoch so far.
    pub fn save_best(&self, exported: &Tensors) -> Result<()> {
        save(&self.run.join(BEST), exported, &self.state)
    }

    /// Adds a line of metrics.
    pub fn save_metrics(&mut self, line: &EpochMetrics) -> Result<()> {
        self.lines.push_str(&serde_json::to_string(line)?);
        self.lines.push('\n');
        write_atomically(&self.run.join(METRICS), self.lines.as_bytes())
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

/// Returns the metrics of epochs 1…`epochs`; later lines belong to an epoch that was never saved.
fn lines_up_to(path: &Path, epochs: usize) -> Result<String> {
    if epochs == 0 {
        return Ok(String::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.lines().take(epochs).map(|line| format!("{line}\n")).collect())
}
