//! `dq corrupt`: accuracy under natural corruptions.

use crate::args::DataArg;
use crate::attack::{open_all, percent};
use crate::table::table;
use crate::ui::Ui;
use anyhow::Result;
use dq_sim::corrupt;
use dq_sim::report::Tally;
use ndarray::Axis;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;

/// Measure accuracy under natural corruptions of the CIFAR-10-C kinds
///
/// Noise, blur, weather and what lenses and codecs do, computed at five severities with
/// the published parameters for 32-pixel images (frost, which is made of photographs, is
/// left out). The images are not those of the published set: figures compare networks
/// with each other, not with published ones. Integer and float networks may be mixed.
///
/// Examples:
///   dq corrupt model.json --data signs
///   dq corrupt dq.json vanilla.json --data cifar10=data/cifar-10 --count 1000 --kind jpeg,fog --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Networks' files (integer or float).
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Data set whose test images are corrupted, e.g. `signs` or `cifar10=DIR`.
    #[arg(long, value_name = "SET[=DIR]")]
    data: DataArg,
    /// First N test images.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Corruptions (default: all).
    #[arg(long = "kind", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<String>,
    /// Severities, 1 to 5.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5", value_parser = clap::value_parser!(u8).range(1..=5))]
    severity: Vec<u8>,
}

/// What one network made of the corrupted images.
#[derive(Serialize)]
struct Found {
    model: dq_sim::report::Model,
    clean: Tally,
    kinds: Vec<Row>,
    /// Mean error over kinds and severities.
    mean_error: f64,
}

#[derive(Serialize)]
struct Row {
    kind: String,
    /// At each severity.
    accuracy: Vec<Tally>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let (targets, images) = open_all(&args.models, &args.data, args.count)?;
    let all = corrupt::names();
    let kinds: Vec<&str> = match args.kinds.is_empty() {
        true => all,
        false => args.kinds.iter().map(String::as_str).collect(),
    };
    let indices: Vec<usize> = (0..images.len()).collect();
    let bar = ui.bar("corrupting", (images.len() * kinds.len() * args.severity.len()) as u64, "images");
    // Each target's images that are right, of a kind (none: clean) at a severity.
    let count = |corruption: Option<(&str, u8)>| -> Result<Vec<Tally>> {
        let mut right = vec![0; targets.len()];
        for block in indices.chunks(256) {
            ui.check_stop("nothing was written")?;
            let mut pixels = images.pixels.select(Axis(0), block);
            if let Some((kind, severity)) = corruption {
                pixels = corrupt::corrupt(pixels.view(), block, kind, severity, ui.seed());
                bar.inc(block.len() as u64);
            }
            for (target, right) in targets.iter().zip(&mut right) {
                let found = target.judge().judge(pixels.view());
                *right += found
                    .iter()
                    .zip(block)
                    .filter(|(v, i)| v.label == usize::from(images.labels[**i]))
                    .count();
            }
        }
        Ok(right.into_iter().map(|right| Tally::new(right, images.len())).collect())
    };
    let clean = count(None)?;
    let mut found: Vec<Found> = targets
        .iter()
        .zip(clean)
        .map(|(target, clean)| Found { model: target.judge().model(), clean, kinds: vec![], mean_error: 0.0 })
        .collect();
    for kind in &kinds {
        let mut rows: Vec<Row> =
            targets.iter().map(|_| Row { kind: (*kind).to_owned(), accuracy: vec![] }).collect();
        for &severity in &args.severity {
            let tallies = count(Some((kind, severity)))?;
            rows.iter_mut().zip(tallies).for_each(|(row, tally)| row.accuracy.push(tally));
        }
        found.iter_mut().zip(rows).for_each(|(found, row)| found.kinds.push(row));
    }
    bar.finish_and_clear();
    for found in &mut found {
        let errors = found.kinds.iter().flat_map(|row| &row.accuracy).map(|tally| 1.0 - tally.accuracy);
        found.mean_error = errors.sum::<f64>() / (kinds.len() * args.severity.len()) as f64;
    }
    let text = found.iter().map(|found| text(found, args, &images.name)).collect::<Vec<_>>().join("\n");
    let json = json!({"data": images.name, "images": images.len(), "seed": ui.seed(),
        "severities": args.severity, "networks": found});
    ui.result(&json, text)
}

fn text(found: &Found, args: &Args, data: &str) -> String {
    let head: Vec<String> = ["accuracy in %".to_owned()]
        .into_iter()
        .chain(args.severity.iter().map(|severity| format!("severity {severity}")))
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let row = |row: &Row| {
        let cells = row.accuracy.iter().map(|tally| format!("{:.2}", 100.0 * tally.accuracy));
        [row.kind.clone()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = found.kinds.iter().map(row).collect();
    format!(
        "{}, {} test images of {data}: clean {}, mean error under corruption {:.2} %\n\n{}",
        found.model.name,
        found.clean.total,
        percent(&found.clean),
        100.0 * found.mean_error,
        table(&head, &rows)
    )
}

fn kind(text: &str) -> Result<String, String> {
    let known = corrupt::names();
    match known.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected one of {}", known.join(", "))),
    }
}
