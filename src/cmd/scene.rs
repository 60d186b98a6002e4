//! Implements `dq scene`: measures accuracy where the image is turned and shifted, or a patch is put on it.

use crate::shared::data::{TestImages, first_images};
use crate::shared::table::{percent, table};
use crate::shared::target::{Target, open_all};
use crate::shared::ui::Ui;
use anyhow::{Result, ensure};
use clap::value_parser;
use dq_sim::study::scene::{self, Scene};
use serde_json::json;
use std::path::PathBuf;

/// Measure accuracy against turned and shifted images, and against a patch
///
/// turn: the worst of 775 rotations and shifts of each image, black where nothing was.
/// patch: a square of any pixels, at ten random places, by the gradient. Both are judged
/// by the network's own label. They are no noise of small size: no defence of the paper is
/// meant against them.
///
/// Examples:
///   dq scene model.json --data signs
///   dq scene dq.json vanilla.json --data cifar10=data/cifar-10 --count 200 --degrees 15 --shift 2 --patch 4
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("count", first_images("200")))]
pub struct Args {
    /// Networks' files (integer or float).
    #[arg(required = true)]
    models: Vec<PathBuf>,
    #[command(flatten)]
    test: TestImages,
    /// Largest rotation, in degrees.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(..=180))]
    degrees: u16,
    /// Largest shift along each axis, in pixels.
    #[arg(long, default_value_t = 3)]
    shift: u8,
    /// Side of the patch, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 5, value_parser = value_parser!(u16).range(1..))]
    patch: u16,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let (targets, images) = open_all(&args.models, &args.test)?;
    let [height, width, _] = images.shape();
    let side = usize::from(args.patch);
    ensure!(
        side <= height.min(width),
        "--patch: expected at most {} pixels, the image's side, found {side}",
        height.min(width)
    );
    let scene = Scene { degrees: args.degrees, shift: args.shift, patch: side, seed: ui.seed() };
    let bar = ui.bar("attacking", (images.len() * targets.len()) as u64, "images");
    let found = ui.study(&bar, |watch| {
        let measure = |target: &Target| scene::measure(target.judge(), &images, &scene, watch);
        targets.iter().map(measure).collect::<Result<Vec<_>, _>>()
    })?;
    let turn = format!("turned {}°, {} px", args.degrees, args.shift);
    let patch = format!("patch {side}×{side}");
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|f| vec![f.model.name.clone(), percent(&f.clean), percent(&f.turn), percent(&f.patch)])
        .collect();
    let text = format!(
        "{} test images of {}\n\n{}\nIn brackets: Wilson 95 % intervals.",
        images.len(),
        images.name,
        table(&["accuracy in %", "clean", &turn, &patch], &rows)
    );
    let json = json!({"data": images.name, "images": images.len(), "seed": ui.seed(), "degrees": args.degrees,
        "shift": args.shift, "patch": side, "networks": found});
    ui.result(|| &json, text)
}
