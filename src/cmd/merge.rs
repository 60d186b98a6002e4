//! Implements `dq merge`: makes one report of the reports of all shards of an attack.

use crate::shared::attack;
use crate::shared::files::Files;
use crate::shared::report;
use crate::shared::ui::Ui;
use anyhow::{Result, anyhow};
use dq_sim::attack::merge::{MergeError, merge};
use std::path::PathBuf;

/// Merge the reports of all shards of an attack
///
/// What `dq attack --shard I/N` wrote for each I becomes the report that one process
/// would have written, byte for byte. The order of the files does not matter; shards
/// of different networks, data, seeds or attacks, missing and doubled ones are refused.
/// docs/cluster.md has a Slurm array and a Kubernetes indexed Job.
///
/// Examples:
///   dq merge shard-*.json -o report.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Reports of the shards.
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// The merged report's file.
    #[arg(short, long = "output", value_name = "REPORT")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files =
        args.reports.iter().fold(Files::default(), |files, path| files.read("REPORTS", path.as_path()));
    files.written("-o", args.output.as_path()).check()?;
    let reports = args.reports.iter().map(|path| report::read(path)).collect::<Result<Vec<_>>>()?;
    let merged = merge(reports).map_err(|error| match &error {
        MergeError::Whole(n)
        | MergeError::Stopped(n)
        | MergeError::Other { report: n, .. }
        | MergeError::Length { report: n, .. } => anyhow!("{}: {error}", args.reports[*n].display()),
        MergeError::Empty | MergeError::Shards { .. } => error.into(),
    })?;
    report::write(&merged, &args.output)?;
    ui.result(|| attack::summary(&merged, &args.output), attack::text(&merged, &args.output))
}
