//! Implements `dq data`: writes the images of a data set, for other tools.

use crate::shared::args::{DataArg, at_least_one};
use crate::shared::data::{first, images};
use crate::shared::files::{Files, shown};
use crate::shared::folder;
use crate::shared::npz;
use crate::shared::ui::Ui;
use anyhow::Result;
use clap::ValueEnum;
use dq_data::{Images, Split};
use ndarray::{Array1, Axis};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Write the images of a data set, for other tools
///
/// Pixels, labels and names of the classes exactly as every command here reads them, so that
/// a figure can be checked outside: as one file of arrays for NumPy (`images`, N x height x
/// width x channels; `labels`), or as a folder of PNG files and labels.csv.
///
/// Examples:
///   dq data signs -o signs.npz
///   dq data cifar10=data/cifar-10 --split train --count 100 -o pictures
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Data set, e.g. `signs` or `cifar10=DIR`.
    #[arg(value_name = "SET[=DIR]")]
    data: DataArg,
    /// Which of its two parts.
    #[arg(long, value_enum, default_value_t = SplitArg::Test)]
    split: SplitArg,
    /// First N images (default: all).
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    count: Option<u64>,
    /// File that ends in .npz, or a folder.
    #[arg(short, long = "output", value_name = "FILE|DIR")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SplitArg {
    /// The images that networks are trained on.
    Train,
    /// The images that networks are judged on.
    Test,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let is_file = args.output.extension().is_some_and(|end| end == "npz");
    if is_file {
        Files::default().written("-o", args.output.as_path()).check()?;
    }
    let split = if args.split == SplitArg::Train { Split::Train } else { Split::Test };
    let images = first(images(&args.data, split)?, args.count);
    if is_file {
        npz::write(&args.output, |file| {
            file.add_array("images", &images.pixels)?;
            file.add_array("labels", &Array1::from(images.labels.clone()))
        })?;
    } else {
        pictures(&images, &args.output)?;
    }
    let json = json!({"data": images.name, "images": images.len(), "shape": images.shape(),
        "classes": images.classes, "digest": images.digest(), "output": shown(&args.output)});
    let text = format!(
        "{} images of {}, {:?}, classes {}\nwritten: {}",
        images.len(),
        images.name,
        images.shape(),
        images.classes.join(", "),
        args.output.display()
    );
    ui.result(|| json, text)
}

/// Writes one PNG per image and `labels.csv` into the folder `output`, which appears whole or not at all.
fn pictures(images: &Images, output: &Path) -> Result<()> {
    let shape = images.shape();
    let mut labels = String::from("file,label,class\n");
    let mut files = vec![];
    for (index, (image, &label)) in images.pixels.axis_iter(Axis(0)).zip(&images.labels).enumerate() {
        let pixels: Vec<u8> = image.iter().copied().collect();
        let name = format!("{index:05}.png");
        labels += &format!("{name},{label},{}\n", images.classes[usize::from(label)]);
        files.push((name, dq_report::png(shape, &pixels)));
    }
    files.push(("labels.csv".to_owned(), labels.into_bytes()));
    folder::publish(output, &files, None)
}
