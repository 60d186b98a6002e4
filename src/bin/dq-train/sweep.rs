//! Trains grids of recipes: every combination of some values, with several seeds, and one table at the end.

use crate::training::{How, train};
use anyhow::{Context, Result, ensure};
use clap::error::ErrorKind;
use dq::shared::files::shown;
use dq::shared::table::table;
use dq::shared::ui::Ui;
use dq::torch::Axis;
use dq_data::Images;
use dq_train::{EpochMetrics, METRICS, Recipe};
use serde::Serialize;
use std::path::Path;

/// The most runs that a grid may have.
const MOST: usize = 1000;

/// Holds every recipe of a sweep, checked before the first is trained.
pub struct Grid {
    keys: Vec<String>,
    cells: Vec<Cell>,
}

/// Holds one combination of values.
struct Cell {
    values: Vec<String>,
    /// One recipe per seed.
    recipes: Vec<Recipe>,
}

/// Holds a row of the table.
#[derive(Serialize)]
struct Row {
    values: Vec<String>,
    /// Says what is quantized: weights, activations, both or nothing.
    quantized: &'static str,
    runs: Vec<String>,
    /// The best held-out accuracy per seed, 0 to 1.
    accuracy: Vec<f64>,
    /// The best held-out accuracy under the recipe's attack, per seed, in the epoch that was chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attacked: Vec<f64>,
}

impl Grid {
    /// Makes all combinations of `axes`, each with `seeds` seeds from the recipe's own on.
    pub fn new(recipe: &Path, overrides: &[String], axes: &[Axis], seeds: u64) -> Result<Grid> {
        let mut combinations: Vec<Vec<String>> = vec![vec![]];
        for axis in axes {
            let longer = |row: &Vec<String>| {
                let row = row.clone();
                axis.values.iter().map(move |value| [row.clone(), vec![value.clone()]].concat())
            };
            combinations = combinations.iter().flat_map(longer).collect();
            ensure!(combinations.len() * seeds as usize <= MOST, "the grid has more than {MOST} runs");
        }
        let keys: Vec<String> = axes.iter().map(|axis| axis.key.clone()).collect();
        let cell = |values: Vec<String>| -> Result<Cell> {
            let mut all = overrides.to_vec();
            all.extend(keys.iter().zip(&values).map(|(key, value)| format!("{key}={value}")));
            let first = Recipe::load(recipe, &all)?;
            check_seeds(first.train.seed, seeds);
            let tail: String = keys.iter().zip(&values).map(|(key, value)| part(key, value)).collect();
            let seeded = (0..seeds).map(|i| {
                let mut recipe = first.clone();
                recipe.train.seed += i;
                recipe.name = format!("{}{tail}-seed.{}", first.name, recipe.train.seed);
                recipe.name.truncate(100);
                recipe
            });
            Ok(Cell { recipes: seeded.collect(), values })
        };
        let cells = combinations.into_iter().map(cell).collect::<Result<Vec<Cell>>>()?;
        let mut names: Vec<&str> = cells.iter().flat_map(|c| &c.recipes).map(|r| r.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            anyhow::bail!(
                "two runs of the grid would be called {}: shorten `name`, or drop a value given twice",
                pair[0]
            );
        }
        Ok(Grid { keys, cells })
    }

    /// Returns the data set that all recipes learn from; an error where they differ.
    pub fn data_set(&self) -> Result<String> {
        let set = |recipe: &Recipe| recipe.data.set.clone();
        let first = set(&self.cells[0].recipes[0]);
        let same = self.cells.iter().flat_map(|cell| &cell.recipes).all(|recipe| set(recipe) == first);
        ensure!(same, "a sweep has one data set: `data.set` cannot be swept");
        Ok(first)
    }
}

/// Refuses seeds beyond the largest, as an error of usage: what they give could not be read again.
fn check_seeds(first: u64, count: u64) {
    let last = u128::from(first) + u128::from(count) - 1;
    if last > u128::from(Recipe::MAX_SEED) {
        let most = Recipe::MAX_SEED;
        let text =
            format!("--seeds {count}: expected seeds up to {most}, found {last} (`train.seed` is {first})\n");
        clap::Error::raw(ErrorKind::ValueValidation, text).exit();
    }
}

/// Names a value in a run's name by the last part of its key: `-beta.2e-3`.
fn part(key: &str, value: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    let key = key.rsplit('.').next().unwrap_or(key);
    let value: String = value.chars().map(plain).collect();
    format!("-{key}.{}", value.trim_matches('_'))
}

/// Trains what is not trained yet, and tells of all.
pub fn run(ui: &Ui, grid: &Grid, images: &Images, out: &Path, how: &How) -> Result<()> {
    let count: usize = grid.cells.iter().map(|cell| cell.recipes.len()).sum();
    let (mut rows, mut number) = (Vec::new(), 0);
    for cell in &grid.cells {
        let quantized = cell.recipes[0].bits.quantized();
        let mut row =
            Row { values: cell.values.clone(), quantized, runs: vec![], accuracy: vec![], attacked: vec![] };
        for recipe in &cell.recipes {
            number += 1;
            ui.note(format!("run {number} of {count}"));
            let run = out.join(&recipe.name);
            let outcome = train(ui, recipe, images, &run, how)?;
            let best = metrics(&run, outcome.best.1)?;
            row.accuracy.push(best.holdout_accuracy);
            row.attacked.extend(best.holdout_attacked);
            row.runs.push(shown(&run));
        }
        rows.push(row);
    }
    let place = out.join("sweep.json");
    let value = serde_json::json!({"keys": grid.keys, "rows": rows});
    dq_net::atomic::write(&place, serde_json::to_string_pretty(&value)?.as_bytes())
        .with_context(|| format!("cannot write {}", place.display()))?;
    ui.result(|| &value, format!("{}{}", laid_out(grid, &rows), place.display()))
}

/// Reads the metrics of an epoch, which count from 1.
fn metrics(run: &Path, epoch: usize) -> Result<EpochMetrics> {
    let path = run.join(METRICS);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text.lines().nth(epoch.saturating_sub(1));
    let line = line.with_context(|| format!("{}: epoch {epoch} is missing", path.display()))?;
    serde_json::from_str(line).with_context(|| format!("{}: epoch {epoch}", path.display()))
}

fn laid_out(grid: &Grid, rows: &[Row]) -> String {
    let attacked = rows.iter().any(|row| !row.attacked.is_empty());
    let mut head: Vec<&str> = grid.keys.iter().map(String::as_str).collect();
    head.extend(["quantized", "seeds", "held out %"]);
    head.extend(attacked.then_some("attacked %"));
    let cells = |row: &Row| {
        let mut cells = row.values.clone();
        cells.push(row.quantized.into());
        cells.push(row.accuracy.len().to_string());
        cells.push(spread(&row.accuracy));
        cells.extend(attacked.then(|| spread(&row.attacked)));
        cells
    };
    table(&head, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// Writes the mean in per cent and, of several, the standard deviation.
fn spread(shares: &[f64]) -> String {
    let n = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / n;
    if shares.len() < 2 {
        return format!("{:.2}", 100.0 * mean);
    }
    let variance = shares.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    format!("{:.2} ± {:.2}", 100.0 * mean, 100.0 * variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_values_and_shares_have_a_spread() {
        assert_eq!(part("dq.beta", "2e-3"), "-beta.2e-3");
        assert_eq!(part("model.blocks", "[[8],[16]]"), "-blocks.8___16");
        assert_eq!(spread(&[0.5, 0.7]), "60.00 ± 14.14");
    }
}
