//! Implements `dq corrupt`: measures accuracy under natural corruptions.

use crate::shared::corrupted::Folder;
use crate::shared::data::{TestImages, first_images, images_that};
use crate::shared::files::{Files, shown};
use crate::shared::report;
use crate::shared::table::{percent, table};
use crate::shared::target::{Target, open_all};
use crate::shared::ui::Ui;
use anyhow::{Error, Result, bail};
use clap::error::ErrorKind;
use clap::value_parser;
use dq_data::Images;
use dq_sim::attack::suite::Judge;
use dq_sim::report::Data;
use dq_sim::study::corrupt::{self, Corruptions, Found, Row};
use ndarray::Axis;
use serde_json::json;
use std::path::PathBuf;

/// Measure accuracy under natural corruptions of the CIFAR-10-C kinds
///
/// Noise, blur, weather and what lenses and codecs do, computed at five severities with
/// the published parameters for 32-pixel images (frost, which is made of photographs, is
/// left out). The images are not those of the published set: figures compare networks
/// with each other, not with published ones. With --arrays they are. Integer and float
/// networks may be mixed.
///
/// Examples:
///   dq corrupt model.json --data signs -o corrupt.json
///   dq corrupt dq.json vanilla.json --data cifar10=data/cifar-10 --count 1000 --kind jpeg,fog --json
///   dq corrupt model.json --data cifar10=data/cifar-10 --arrays data/CIFAR-10-C -o corrupt.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("data", images_that("are corrupted")))]
#[command(mut_arg("count", first_images("1000")))]
pub struct Args {
    /// Networks' files (integer or float).
    #[arg(required = true)]
    models: Vec<PathBuf>,
    #[command(flatten)]
    test: TestImages,
    /// Corruptions (default: all; with --arrays names of files without `.npy`).
    #[arg(long = "kind", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Read corrupted images from this folder instead of computing them: NAME.npy for each corruption (uint8,
    /// the whole test set at severity 1, then 2 to 5) and labels.npy, as CIFAR-10-C is published.
    #[arg(long, value_name = "DIR")]
    arrays: Option<PathBuf>,
    /// Severities, 1 to 5.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5")]
    #[arg(value_parser = value_parser!(u8).range(1..=5))]
    severity: Vec<u8>,
    /// Write all figures (JSON), for `dq report`.
    #[arg(short, long = "output", value_name = "REPORT")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files = args.models.iter().fold(Files::default(), |files, path| files.read("MODELS", path.as_path()));
    files.written("-o", args.output.as_deref()).check()?;
    if args.arrays.is_none() {
        check_kinds(&args.kinds);
    }
    let (targets, images) = open_all(&args.models, &args.test)?;
    if let Some(target) = targets.iter().find(|target| !target.source().input().has_pixels()) {
        let (name, levels) = (target.judge().model().name, target.source().input().levels);
        bail!(
            "network `{name}`: expected an input of uint8 pixels, which can be corrupted, found {levels} levels"
        );
    }
    let judges: Vec<&dyn Judge> = targets.iter().map(Target::judge).collect();
    let found = measure(ui, args, &judges, &images)?;
    let text = found.iter().map(|found| text(found, args, &images.name)).collect::<Vec<_>>().join("\n");
    let data = Data::from(&images);
    let mut json = json!({"format": "dq-corruptions", "version": 1, "data": data, "seed": ui.seed(),
        "severities": args.severity, "networks": found});
    if let Some(folder) = &args.arrays {
        json["arrays"] = shown(folder).into();
    }
    let written = args.output.as_ref().map_or(Ok(()), |path| report::write(&json, path));
    // The result is shown even where it could not be written: the work is done.
    ui.result(|| &json, text)?;
    written
}

/// Classifies the images, computed or read.
fn measure(ui: &Ui, args: &Args, judges: &[&dyn Judge], images: &Images) -> Result<Vec<Found>> {
    let mut folder = match &args.arrays {
        Some(folder) => Some(Folder::open(folder, &args.kinds, &args.test.whole()?)?),
        None => None,
    };
    let kinds = match &folder {
        Some(folder) => folder.kinds(),
        None if args.kinds.is_empty() => corrupt::names().into_iter().map(str::to_owned).collect(),
        None => args.kinds.clone(),
    };
    let corruptions = Corruptions { kinds, severities: args.severity.clone() };
    let steps = images.len() * corruptions.kinds.len() * corruptions.severities.len();
    let bar = ui.bar("corrupting", steps as u64, "images");
    let corrupted = |kind: &str, severity: u8, block: &[usize]| match &mut folder {
        Some(folder) => folder.read(kind, severity, block),
        None => {
            let pixels = images.pixels.select(Axis(0), block);
            Ok::<_, Error>(corrupt::corrupt(pixels.view(), block, kind, severity, ui.seed()))
        }
    };
    ui.study(&bar, |watch| corrupt::measure(judges, images, &corruptions, corrupted, watch))?
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
    let mut rows: Vec<Vec<String>> = found.kinds.iter().map(row).collect();
    let mean = |n: usize| {
        let sum: f64 = found.kinds.iter().map(|row| row.accuracy[n].accuracy).sum();
        format!("{:.2}", 100.0 * sum / found.kinds.len() as f64)
    };
    rows.push(["mean".to_owned()].into_iter().chain((0..args.severity.len()).map(mean)).collect());
    format!(
        "{}, {} test images of {data}: clean {}, mean error under corruption {:.2} %\n\n{}",
        found.model.name,
        found.clean.total,
        percent(&found.clean),
        100.0 * found.mean_error,
        table(&head, &rows)
    )
}

/// Ends the program with exit code 2 where a name is not that of a corruption that can be computed.
fn check_kinds(kinds: &[String]) {
    let known = corrupt::names();
    if let Some(kind) = kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
        let text = format!("--kind {kind}: expected one of {}\n", known.join(", "));
        clap::Error::raw(ErrorKind::InvalidValue, text).exit();
    }
}
