//! Writes TensorBoard's view of a run: the metrics of each epoch as scalars, in `RUN/tensorboard/`, one file
//! per process.

use std::path::Path;

use anyhow::{Context, Result};

use crate::run::event_file::EventFile;
use crate::run::metrics::EpochMetrics;

/// Name of the folder in the run.
pub const FOLDER: &str = "tensorboard";

/// Writes an event file, which grows by one epoch at a time and is made at the first.
#[derive(Default)]
pub struct TensorBoard {
    file: Option<EventFile>,
}

impl TensorBoard {
    /// Appends an epoch. Tags are grouped as `loss/…`, `accuracy/…`, `penalty/NODE`, `norm/NODE`.
    pub fn write(&mut self, run: &Path, line: &EpochMetrics) -> Result<()> {
        let folder = run.join(FOLDER);
        let place = || format!("cannot write TensorBoard events in {}", folder.display());
        let mut scalars = vec![
            ("loss/total".to_owned(), line.loss),
            ("loss/cross_entropy".to_owned(), line.ce),
            ("accuracy/train".to_owned(), line.train_accuracy),
            ("accuracy/holdout".to_owned(), line.holdout_accuracy),
            ("rate/lr".to_owned(), line.lr),
            ("rate/images_per_second".to_owned(), line.images_per_second),
        ];
        scalars.extend(line.holdout_attacked.map(|value| ("accuracy/holdout_attacked".to_owned(), value)));
        scalars.extend(line.holdout_certified.map(|value| ("accuracy/holdout_certified".to_owned(), value)));
        let by_node = |group: &str, values: &[(String, f64)]| -> Vec<(String, f64)> {
            values.iter().map(|(node, value)| (format!("{group}/{node}"), *value)).collect()
        };
        scalars.extend(by_node("penalty", &line.penalty));
        scalars.extend(by_node("norm", &line.norm));
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(EventFile::create(&folder).with_context(place)?),
        };
        file.write(line.epoch as i64, &scalars).with_context(place)
    }
}
