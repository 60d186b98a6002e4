//! What the commands that read ONNX files share: how pixels become the graph's input, and an import that
//! shows its progress and that Ctrl-C ends.

use super::ui::{Interrupted, Ui};
use anyhow::Result;
use clap::ValueEnum;
use dq_onnx::number::{Q, decimal};
use dq_onnx::{Import, ImportError, Normalization, Options, Part, Progress, Reading, Watch};
use indicatif::ProgressBar;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// Imports the file at `path`; Ctrl-C ends it.
pub fn import(ui: &Ui, path: &Path, options: &Options) -> Result<Import> {
    let shown = Mutex::new(ProgressBar::hidden());
    let progress = |progress: Progress| {
        let mut bar = shown.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Begins(part, count) => {
                bar.finish_and_clear();
                let (what, unit) = match part {
                    Part::Operators => ("importing", "operators"),
                    Part::Channels => ("proving thresholds", "channels"),
                    Part::Images => ("proving scores", "images"),
                };
                *bar = ui.bar(what, count, unit);
            }
            Progress::Done => bar.inc(1),
        }
    };
    let imported = dq_onnx::import_watched(path, options, Watch { progress: &progress, stop: &ui.stop });
    shown.into_inner().unwrap_or_else(PoisonError::into_inner).finish_and_clear();
    match imported {
        Err(ImportError::Stopped { .. }) => Err(Interrupted("nothing was written".to_owned()).into()),
        imported => Ok(imported?),
    }
}

/// What a pixel is to the graph.
#[derive(Clone, Copy, ValueEnum)]
enum Pixels {
    /// 0 to 1: the pixel divided by 255.
    Unit,
    /// 0 to 255: the pixel as it is.
    Uint8,
    /// Levels of the quantizer that reads the graph's input, from 0 on: it is left out, and the network's
    /// images are its levels.
    Levels,
}

/// A decimal number, exactly.
#[derive(Clone)]
struct Decimal(Q);

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        decimal(text).map(Decimal)
    }
}

/// How pixels become the graph's input: (pixel − mean) / std.
#[derive(clap::Args)]
pub struct NormalizationArgs {
    /// What an element of an image is to the graph (default: what its input's type or finn_datatype says,
    /// else `unit`).
    #[arg(long, value_enum, value_name = "RANGE", requires = "onnx")]
    input: Option<Pixels>,
    /// Mean that was taken off each channel, in the units of --input.
    #[arg(long, value_name = "M[,M…]", value_delimiter = ',', allow_hyphen_values = true, requires = "onnx")]
    mean: Vec<Decimal>,
    /// Standard deviation that each channel was divided by, in the units of --input.
    #[arg(long, value_name = "S[,S…]", value_delimiter = ',', requires = "onnx")]
    std: Vec<Decimal>,
    /// Output of the graph that holds the scores, where it has several.
    #[arg(long = "output-tensor", value_name = "TENSOR", requires = "onnx")]
    scores: Option<String>,
    /// Round scores of several scales where no whole factors within ±2^30 keep them in order: a label may
    /// then differ where two scores lie within twice the rounding, which the command says.
    #[arg(long = "round-scores", requires = "onnx")]
    round_scores: bool,
}

impl NormalizationArgs {
    /// Returns the options of an import.
    pub fn options(&self) -> Options {
        let numbers = |values: &[Decimal]| values.iter().map(|d| d.0.clone()).collect();
        let normalization = Normalization {
            reading: self.input.map(|pixels| match pixels {
                Pixels::Unit => Reading::Unit,
                Pixels::Uint8 => Reading::Pixels,
                Pixels::Levels => Reading::Levels,
            }),
            mean: numbers(&self.mean),
            std: numbers(&self.std),
        };
        let (output, round_scores) = (self.scores.clone(), self.round_scores);
        Options { normalization, output, name: None, round_scores }
    }
}
