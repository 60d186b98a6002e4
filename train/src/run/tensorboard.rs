//! Writes TensorBoard's view of a run: the metrics of each epoch as scalars, in `RUN/tensorboard/`, one file
//! per process.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use syntaxdot_summary::SummaryWriter;

use crate::run::metrics::EpochMetrics;

/// Name of the folder in the run.
pub const FOLDER: &str = "tensorboard";

/// Writes an event file, which grows by one epoch at a time and is made at the first.
#[derive(Default)]
pub struct TensorBoard {
    writer: Option<SummaryWriter<BufWriter<File>>>,
}

impl TensorBoard {
    /// Appends an epoch. Tags are grouped as `loss/…`, `accuracy/…`, `penalty/NODE`, `norm/NODE`.
    pub fn write(&mut self, run: &Path, line: &EpochMetrics) -> Result<()> {
        let folder = run.join(FOLDER);
        let place = || format!("cannot write TensorBoard events in {}", folder.display());
        if self.writer.is_none() {
            self.writer = Some(SummaryWriter::from_prefix(folder.join("dq")).with_context(place)?);
        }
        let writer = self.writer.as_mut().expect("just made");
        let mut scalars = vec![
            ("loss/total".to_owned(), line.loss),
            ("loss/cross_entropy".to_owned(), line.ce),
            ("accuracy/train".to_owned(), line.train_accuracy),
            ("accuracy/holdout".to_owned(), line.holdout_accuracy),
            ("rate/lr".to_owned(), line.lr),
            ("rate/images_per_second".to_owned(), line.images_per_second),
        ];
        scalars.extend(line.holdout_attacked.map(|value| ("accuracy/holdout_attacked".to_owned(), value)));
        let by_node = |group: &str, values: &[(String, f64)]| -> Vec<(String, f64)> {
            values.iter().map(|(node, value)| (format!("{group}/{node}"), *value)).collect()
        };
        scalars.extend(by_node("penalty", &line.penalty));
        scalars.extend(by_node("norm", &line.norm));
        for (tag, value) in scalars {
            writer.write_scalar(tag, line.epoch as i64, value as f32).with_context(place)?;
        }
        Ok(())
    }
}
