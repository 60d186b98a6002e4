//! `dq saturate`: how near accumulators come to their declared bounds.

use crate::shared::args::DataArg;
use crate::shared::table::{table, thousands};
use crate::shared::ui::Ui;
use crate::shared::{data, model};
use anyhow::{Result, bail};
use dq_sim::WhiteBox;
use dq_sim::study::saturate::{Reached, search, steps};
use std::path::PathBuf;

/// Search for inputs that drive accumulators to their declared bounds
///
/// From each test image, steps along the gradient of the most extreme accumulator of each
/// layer, within eps (255: any image). Declared bounds follow from the weights alone, and
/// the circuit's registers are that wide: a value beyond them would be an error in dq, and
/// fails (exit code 1). The bits that were reached are a lower bound of what is needed.
///
/// Examples:
///   dq saturate model.json --data signs --eps 8
///   dq saturate model.json --data cifar10=data/cifar-10 --eps 255 --count 100 --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer network's file.
    model: PathBuf,
    /// Data set whose test images are the start, e.g. `signs` or `cifar10=DIR`.
    #[arg(long, value_name = "SET[=DIR]")]
    data: DataArg,
    /// First N test images.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Radius in units of a uint8 pixel.
    #[arg(long, default_value_t = 8)]
    eps: u8,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = model::open(&args.model, ui.seed())?;
    let white_box = WhiteBox::new(&network);
    let (shape, classes) = (network.input_shape(), network.classes());
    let images = data::test_images(&args.data, Some(args.count), shape, classes)?;
    let bar = ui.bar("searching", steps(white_box.engine()) as u64, "steps");
    let found = ui.study(&bar, |watch| search(&white_box, images.pixels.view(), args.eps, watch))?;
    let row = |layer: &Reached| {
        let [reached, declared] = layer.bits();
        let range = |[lo, hi]: [i64; 2]| format!("{lo}..={hi}");
        let share = |n: usize| match layer.declared[n] {
            0 => String::new(),
            bound => format!("{:.1}", 100.0 * layer.searched[n] as f64 / bound as f64),
        };
        vec![
            layer.node.clone(),
            range(layer.declared),
            range(layer.clean),
            range(layer.searched),
            share(0),
            share(1),
            declared.to_string(),
            reached.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let head =
        ["accumulators of", "declared", "clean", "searched", "% of least", "% of most", "bits", "reached"];
    let text = format!(
        "{}, {} test images of {}, eps {}\n\n{}",
        network.name,
        thousands(images.len() as u64),
        images.name,
        args.eps,
        table(&head, &rows)
    );
    let overflow = found.iter().find(|layer| layer.overflows());
    let json = serde_json::json!({"model": network.name, "hash": dq_net::content_hash(&network),
        "data": images.name, "images": images.len(), "eps": args.eps, "layers": found,
        "overflow": overflow.map(|layer| &layer.node)});
    ui.result(|| &json, text)?;
    match overflow {
        Some(layer) => bail!("accumulators of `{}` went beyond their declared bounds", layer.node),
        None => Ok(()),
    }
}
