//! Implements `dq landscape`: stores the loss around test images.

use crate::shared::data::{TestImages, first_images, images_that};
use crate::shared::files::Files;
use crate::shared::report;
use crate::shared::table::table;
use crate::shared::target::Target;
use crate::shared::ui::Ui;
use anyhow::Result;
use dq_sim::study::landscape::{self, Landscape, POINTS, STEPS, Surroundings};
use std::path::PathBuf;

/// Store loss curves and loss surfaces around test images
///
/// For each image: the cross entropy along 100 steps of an attack, and on a grid of
/// 21 x 21 points of the ball, along the gradient's signs and random ones. An image that
/// stands while its loss still rises, or a gradient that is zero, is a reason to distrust
/// attacks of fewer steps.
///
/// Examples:
///   dq landscape model.json --data signs --eps 8 -o landscape.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("data", images_that("are looked at")))]
#[command(mut_arg("count", first_images("16")))]
pub struct Args {
    /// Network's file (integer or float).
    model: PathBuf,
    #[command(flatten)]
    test: TestImages,
    /// Radius in units of a uint8 pixel.
    #[arg(long, allow_negative_numbers = true, default_value_t = 8)]
    eps: u8,
    /// Where curves and surfaces go (JSON).
    #[arg(short, long = "output", value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files = Files::default().read("MODEL", args.model.as_path());
    files.written("-o", args.output.as_path()).check()?;
    let target = Target::open(&args.model)?;
    let (input, classes) = (target.source().input(), target.source().classes());
    let images = args.test.open(input, classes)?;
    let bar = ui.bar("looking", images.len() as u64, "images");
    let (source, seed) = (target.source(), ui.seed());
    let found = ui.study(&bar, |watch| landscape::measure(source, &images, args.eps, seed, watch))?;
    let model = target.judge().model();
    let rising = found.iter().filter(|image| image.landscape.still_rising()).count();
    let zero = found.iter().filter(|image| image.landscape.zero_gradients > 0).count();
    let json = serde_json::json!({"format": "dq-landscape", "version": 1, "model": model, "data": images.name,
        "seed": ui.seed(), "eps": args.eps, "images": found, "still_rising": rising, "zero_gradients": zero});
    let written = report::write(&json, &args.output);
    let row = |image: &Surroundings| {
        let Landscape { curve, surface, .. } = &image.landscape;
        let most = surface.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        vec![
            format!("image {}", image.index),
            format!("{:.4}", surface[POINTS / 2][POINTS / 2]),
            format!("{most:.3}"),
            format!("{:.3}", curve[curve.len() - 1]),
            spark(curve),
        ]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let mut text = format!(
        "{}, eps {}: cross entropy around {} test images of {}\n\n{}",
        model.name,
        args.eps,
        images.len(),
        images.name,
        table(&["", "at it", "on the grid", "attacked", &format!("{STEPS} steps")], &rows)
    );
    for (count, what) in
        [(rising, "not been broken while the loss still rose"), (zero, "had a gradient of zero at some step")]
    {
        if count > 0 {
            text += &format!("DOUBT {count} of {} images have {what}\n", images.len());
        }
    }
    // The result is shown even where it could not be written: the work is done.
    ui.result(|| &json, text + &format!("written: {}", args.output.display()))?;
    written
}

/// Draws a curve in twenty letters, from its least value to its largest.
fn spark(curve: &[f64]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let (least, most) = curve.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
    let level = |v: f64| if most > least { ((v - least) / (most - least) * 7.0).round() as usize } else { 0 };
    (0..20).map(|n| LEVELS[level(curve[n * (curve.len() - 1) / 19]).min(7)]).collect()
}
