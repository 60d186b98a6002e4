//! Implements `dq saturate`: finds how near accumulators come to their declared bounds.

use crate::shared::data::{TestImages, first_images, images_that};
use crate::shared::model::{ModelArg, model_is};
use crate::shared::table::{table, thousands};
use crate::shared::ui::Ui;
use anyhow::{Result, bail};
use dq_sim::WhiteBox;
use dq_sim::study::saturate::{Reached, search, steps};

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
#[command(mut_arg("model", model_is("Integer network's file")))]
#[command(mut_arg("data", images_that("are the start")))]
#[command(mut_arg("count", first_images("64")))]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    test: TestImages,
    /// Radius in units of a uint8 pixel.
    #[arg(long, allow_negative_numbers = true, default_value_t = 8)]
    eps: u8,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = args.model.open(ui)?;
    let white_box = WhiteBox::new(&network);
    let (input, classes) = (network.input(), network.classes());
    let images = args.test.open(input, classes)?;
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
